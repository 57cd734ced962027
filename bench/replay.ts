/** How fast the past is read again: views built anew, and a tenant's charges derived once more, beside reading alone. */
import { execFile } from 'node:child_process'
import { Readable } from 'node:stream'
import { pipeline as streamed } from 'node:stream/promises'
import { promisify } from 'node:util'
import { Pool } from 'pg'
import { cleanEnv, nodeFlags, pf3Path } from '../bin/demo/service-process.ts'
import { allProjections } from '../projections/index.ts'
import { factStreams } from '../schemas/streams.ts'
import { type OnKafka, onKafka } from './on-kafka.ts'
import { copyFrom } from './peers.ts'
import type { Bench, Row } from './report.ts'
import { jobsTogether } from './work.ts'

const inFlight = 64
const historyJobs = 100_000
/** About what a fact has. */
const rowBytes = 300

export const replay: Bench = {
  about: `Facts a second over the history of ${historyJobs} jobs: all views built anew beside the running service, one view alone, and the charges of the month derived again; beside it kafkajs, which reads the same topics and does nothing with them, and PostgreSQL's COPY of as many rows of ${rowBytes} bytes into a table with a key.`,
  limits:
    "Each of PF-3's is a whole command: the start of its process, about half a second, and for views the comparison of every row before and after, are in the figure. kafkajs' figure begins with its first batch.",
  run: ({ rounds, brokerCount }) =>
    onKafka({ brokerCount, connectionsMax: 2 * inFlight }, async (on) => {
      await jobsTogether(on.client, on.token, 'history', historyJobs, inFlight)
      const month = new Date().toISOString().slice(0, 7)
      const commands: Record<string, { args: string[]; row: Row }> = {
        all: { args: ['projections', 'rebuild', '--all'], row: row(`all ${allProjections.length} views`) },
        one: { args: ['projections', 'rebuild', 'job-list'], row: row('the view of jobs') },
        charges: {
          args: ['replay', '--tenant', 'bench', '--period', month],
          row: row("a tenant's charges", '≥ 0.25×'),
        },
      }
      const copied: Row = {
        ...row(`all ${allProjections.length} views, beside COPY`),
        beside: { name: 'COPY', rounds: [] },
      }
      for (let round = 0; round < rounds; round++) {
        const raw = await rawRead(on, round)
        for (const { args, row } of Object.values(commands)) {
          const since = performance.now()
          await promisify(execFile)(process.execPath, [...nodeFlags, pf3Path, ...args], { env: cleanEnv(on.env) })
          row.ours.push((raw.facts * 1_000) / (performance.now() - since))
          row.beside?.rounds.push(raw.factsPerS)
        }
        copied.ours.push(commands['all']?.row.ours.at(-1) ?? Number.NaN)
        copied.beside?.rounds.push(await rawCopy(on, raw.facts))
      }
      return { rows: [...Object.values(commands).map(({ row }) => row), copied], setting: on.setting }
    }),
}

const row = (what: string, aim?: string): Row => ({
  what,
  unit: 'facts/s',
  ours: [],
  beside: { name: 'kafkajs, reading', rounds: [] },
  ...(aim !== undefined && { aim }),
})

/** Reads every fact topic from its beginning to where it ends now. */
async function rawRead({ kafka, env }: OnKafka, round: number): Promise<{ facts: number; factsPerS: number }> {
  const topics = factStreams.map((stream) => `${env['PF3_TOPIC_PREFIX']}${stream}`)
  const admin = kafka.admin()
  await admin.connect()
  const ends = new Map<string, bigint>()
  for (const topic of topics)
    for (const { partition, high } of await admin.fetchTopicOffsets(topic))
      if (BigInt(high) > 0n) ends.set(`${topic}/${partition}`, BigInt(high))
  await admin.disconnect()

  const consumer = kafka.consumer({ groupId: `bench-read-${round}`, readUncommitted: false })
  await consumer.connect()
  await consumer.subscribe({ topics, fromBeginning: true })
  let facts = 0
  let since = 0
  const tookMs = await new Promise<number>((resolve, reject) => {
    consumer
      .run({
        autoCommit: false,
        eachBatch: async ({ batch }) => {
          since ||= performance.now()
          facts += batch.messages.length
          // The last record of a partition is the marker of its last transaction.
          if (BigInt(batch.lastOffset()) + 2n >= (ends.get(`${batch.topic}/${batch.partition}`) ?? 0n))
            ends.delete(`${batch.topic}/${batch.partition}`)
          if (ends.size === 0) resolve(performance.now() - since)
        },
      })
      .catch(reject)
  })
  await consumer.disconnect()
  return { facts, factsPerS: (facts * 1_000) / tookMs }
}

/** Rows a second of a bare COPY of `count` rows, into a table of its own. */
async function rawCopy({ stack }: OnKafka, count: number): Promise<number> {
  const pool = new Pool({ connectionString: stack.environment.PF3_POSTGRES_URL, max: 1 })
  const client = await pool.connect()
  try {
    await client.query('CREATE TABLE peer_fact (seq bigint PRIMARY KEY, body text)')
    const body = 'f'.repeat(rowBytes)
    const lines = function* () {
      for (let seq = 0; seq < count; seq++) yield `${seq}\t${body}\n`
    }
    const since = performance.now()
    const copying = client.query((await copyFrom())('COPY peer_fact FROM STDIN'))
    await streamed(Readable.from(lines()), copying)
    return (count * 1_000) / (performance.now() - since)
  } finally {
    await client.query('DROP TABLE IF EXISTS peer_fact')
    client.release()
    await pool.end()
  }
}
