import { connectToSocket, openEmbeddedDatabase } from '../../platform/postgres/embedded.ts'
import { pooledContract } from './pooled-contract.ts'

pooledContract('pooled transactions on the built-in database', async () => {
  const database = await openEmbeddedDatabase()
  const others = Array.from({ length: 3 }, () => connectToSocket(database.socketDir))
  return {
    clients: [database, ...others],
    raw: { host: database.socketDir, port: 5432, user: 'postgres', database: 'postgres', password: '', ssl: false },
    canCancel: false, // One session, one thread: nobody is there to cancel.
    connectionsMax: 4,
    async close() {
      await Promise.all(others.map((other) => other.close()))
      await database.close()
    },
  }
})
