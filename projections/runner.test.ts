import { connectToSocket, openEmbeddedDatabase } from '../platform/postgres/embedded.ts'
import { runnerContract } from './testing/runner-contract.ts'
import { viewsContract } from './testing/views-contract.ts'

const open = async () => {
  const database = await openEmbeddedDatabase()
  return { database, another: async () => connectToSocket(database.socketDir), close: () => database.close() }
}

viewsContract('views on the embedded database', open)
runnerContract('views on the embedded database, beside others and with faults', open)
