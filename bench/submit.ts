/** POST /v1/jobs, beside the least that a route can do: the same bytes appended by kafkajs, or added to a queue. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import express from 'express'
import { type ApiClient, apiClient, inParallel } from '../bin/demo/api-client.ts'
import { quantile } from '../bin/demo/fairness.ts'
import { producerSettings } from '../platform/log/kafka/client.ts'
import { makeTopics, type OnKafka, onKafka } from './on-kafka.ts'
import { bullMq, redisAt } from './peers.ts'
import type { Bench, Row } from './report.ts'
import { jobBody } from './work.ts'

const inFlight = 64
const requestsPerRound = 6_000
/** Compiled and pooled by then, on either side. */
const warmUpRequests = 10_000

export const submit: Bench = {
  about: `Submissions a second over HTTP, ${inFlight} at once, each answered when it is durable (acks=all): checked, its input encrypted and kept, its key remembered. Beside it a route of the same framework that only appends the body, or adds it to a queue.`,
  limits:
    'In a process with all roles the jobs are decided and executed while more come in: that is part of the price there, and not of the other sides. With the door alone nobody decides them, as nobody reads what the bare route appends. BullMQ answers when Redis has it in memory.',
  run: ({ rounds, brokerCount }) =>
    onKafka({ brokerCount, connectionsMax: inFlight }, async (on) => {
      const peers = await openPeers(on)
      const rows: Row[] = []
      /** PF-3 and its peers in turn. */
      const measure = async (what: string) => {
        const submissions = `submissions, ${what}`
        const raw = row(submissions, 'requests/s', 'express and kafkajs', '≥ 0.7×')
        const bull = row(submissions, 'requests/s', 'express and BullMQ')
        const p99 = row(`99 of 100 answered within, ${what}`, 'ms', 'express and kafkajs', '≤ 2×')
        await flood(on.client, '/v1/jobs', on.token, warmUpRequests)
        for (let round = 0; round < rounds; round++) {
          const own = await flood(on.client, '/v1/jobs', on.token, requestsPerRound)
          const bare = await flood(peers.client, '/raw', '', requestsPerRound)
          const queued = await flood(peers.client, '/bull', '', requestsPerRound)
          push(raw, own.perS, bare.perS)
          push(bull, own.perS, queued.perS)
          push(p99, own.p99Ms, bare.p99Ms)
        }
        rows.push(raw, bull, p99)
      }
      try {
        await flood(peers.client, '/raw', '', warmUpRequests)
        await measure('all roles in the process')
        await on.only('api')
        await measure('the door alone')
      } finally {
        await peers.close()
      }
      return { rows, setting: on.setting }
    }),
}

const row = (what: string, unit: Row['unit'], name: string, aim?: string): Row => ({
  what,
  unit,
  ours: [],
  beside: { name, rounds: [] },
  ...(aim !== undefined && { aim }),
})

function push({ ours, beside }: Row, own: number, other: number): void {
  ours.push(own)
  beside?.rounds.push(other)
}

async function flood(client: ApiClient, path: string, token: string, count: number) {
  const took: number[] = []
  const since = performance.now()
  await inParallel(Array(count).keys(), inFlight, async (index) => {
    const sentMs = performance.now()
    await client.mustAsk(token, { method: 'POST', path, body: jobBody(index) })
    took.push(performance.now() - sentMs)
  })
  const perS = (count * 1_000) / (performance.now() - since)
  return {
    perS,
    p99Ms: quantile(
      took.toSorted((a, b) => a - b),
      0.99,
    ),
  }
}

async function openPeers({ kafka, stack }: OnKafka) {
  await makeTopics(kafka, ['submit-raw'], 6)
  const producer = kafka.producer({ idempotent: true, ...producerSettings, maxInFlightRequests: 5 })
  await producer.connect()
  const { Queue } = await bullMq()
  const queue = new Queue('submit', { connection: redisAt(stack.environment.PF3_REDIS_URL) })
  let count = 0
  const app = express()
  app.post('/raw', express.text({ type: '*/*' }), async (request, response) => {
    count += 1
    await producer.send({
      topic: 'submit-raw',
      acks: -1,
      messages: [{ value: String(request.body), partition: count % 6 }],
    })
    response.status(202).json({ id: count })
  })
  app.post('/bull', express.json(), async (request, response) => {
    const { id } = await queue.add('classify', request.body)
    response.status(202).json({ id })
  })
  const server = createServer(app)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port: own } = server.address() as AddressInfo
  const client = apiClient(() => `http://127.0.0.1:${own}`, inFlight)
  return {
    client,
    async close() {
      client.close()
      server.closeAllConnections()
      server.close()
      await queue.close()
      await producer.disconnect()
    },
  }
}
