import { connectToSocket, openEmbeddedDatabase } from '../platform/postgres/embedded.ts'
import { rebuildContract } from './testing/rebuild-contract.ts'

rebuildContract('rebuilt views on the embedded database', async () => {
  const database = await openEmbeddedDatabase()
  return { database, another: async () => connectToSocket(database.socketDir), close: () => database.close() }
})
