import { connectToSocket, openEmbeddedDatabase } from '../platform/postgres/embedded.ts'
import { runnerContract } from './testing/runner-contract.ts'

runnerContract('views on the embedded database', async () => {
  const database = await openEmbeddedDatabase()
  return { database, another: async () => connectToSocket(database.socketDir), close: () => database.close() }
})
