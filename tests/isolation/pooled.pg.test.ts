import { openPostgres } from '../../platform/postgres/postgres.ts'
import { freshDatabase } from '../postgres/fresh-database.ts'
import { pooledContract } from './pooled-contract.ts'

pooledContract('pooled transactions on PostgreSQL', async () => {
  const fresh = await freshDatabase()
  const clients = await Promise.all(Array.from({ length: 2 }, () => openPostgres({ url: fresh.url, poolMax: 5 })))
  return {
    clients,
    raw: { connectionString: fresh.url },
    canCancel: true,
    connectionsMax: 10,
    async close() {
      await Promise.all(clients.map((client) => client.close()))
      await fresh.drop()
    },
  }
})
