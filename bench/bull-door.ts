/** BullMQ behind an express route, in a process of its own as a service is: `POST /jobs` answers when the job has ended. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import express from 'express'
import { openBull } from './bull.ts'

const [redisUrl = '', postgresUrl = '', inFlight = '64'] = process.argv.slice(2)
const bull = await openBull(redisUrl, postgresUrl, Number(inFlight))
const app = express()
app.post('/jobs', express.json(), async (request, response) => {
  const id = String(request.get('idempotency-key'))
  await bull.run('ledger', id, request.body)
  response.status(200).json({ id, status: 'succeeded' })
})
const server = createServer(app)
server.listen(0, '127.0.0.1', () => process.stdout.write(`${(server.address() as AddressInfo).port}\n`))
process.once('SIGTERM', () => {
  server.closeAllConnections()
  server.close()
  void bull.close().then(() => process.exit(0))
})
