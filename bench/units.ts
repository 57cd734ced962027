/** What one job costs in everything there is to pay for: processor time of every part, bytes and records, rows and memory. */
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { Pool } from 'pg'
import { factStreams } from '../schemas/streams.ts'
import { type OnKafka, onKafka } from './on-kafka.ts'
import { processorMs, residentMiB } from './processes.ts'
import type { Bench, Row } from './report.ts'
import { jobsTogether } from './work.ts'

const inFlight = 64
const warmUpJobs = 6_000
const jobsPerRound = 4_000

export const units: Bench = {
  about: `What a job leaves behind and what it takes, with ${inFlight} callers who wait: the difference before and after ${jobsPerRound} jobs, divided by them. [Scaling](scaling.md) reckons with these.`,
  limits:
    'Texts to classify are short: a long input or output adds its own bytes once, encrypted, to PostgreSQL. Processor time is what the system counts for the processes of each part, in hundredths of a second.',
  run: ({ rounds, brokerCount }) =>
    onKafka({ brokerCount, connectionsMax: 2 * inFlight }, async (on) => {
      const pool = new Pool({ connectionString: on.stack.environment.PF3_POSTGRES_URL, max: 1 })
      try {
        await jobsTogether(on.client, on.token, 'warm-up', warmUpJobs, inFlight)
        const rows = new Map<string, Row>()
        const note = (what: string, unit: Row['unit'], value: number) => {
          const row = rows.get(what) ?? { what, unit, ours: [] }
          row.ours.push(value)
          rows.set(what, row)
        }
        const tables: Record<string, number[]> = {}
        for (let round = 0; round < rounds; round++) {
          const before = await taken(on, pool)
          await jobsTogether(on.client, on.token, `round-${round}`, jobsPerRound, inFlight)
          const after = await taken(on, pool)
          for (const [what, { unit, value }] of after.grows)
            note(what, unit, (value - (before.grows.get(what)?.value ?? 0)) / jobsPerRound)
          for (const [what, { unit, value }] of after.is) note(what, unit, value)
          for (const [table, count] of after.tables) {
            tables[table] ??= []
            tables[table].push((count - (before.tables.get(table) ?? 0)) / jobsPerRound)
          }
        }
        return { rows: [...rows.values()], raw: tables, setting: on.setting }
      } finally {
        await pool.end()
      }
    }),
}

type Amount = { unit: Row['unit']; value: number }
type Taken = { grows: Map<string, Amount>; is: Map<string, Amount>; tables: Map<string, number> }

async function taken({ stack, kafka, env }: OnKafka, pool: Pool): Promise<Taken> {
  const grows = new Map<string, Amount>()
  for (const [part, ms] of processorMs()) grows.set(`processor time of ${part}`, { unit: 'ms a job', value: ms })
  const admin = kafka.admin()
  await admin.connect()
  const ends = async (stream: string) =>
    (await admin.fetchTopicOffsets(`${env['PF3_TOPIC_PREFIX']}${stream}`)).reduce(
      (sum, { high }) => sum + Number(high),
      0,
    )
  const facts = (await Promise.all(factStreams.map(ends))).reduce((sum, count) => sum + count, 0)
  grows.set('offsets on the fact topics, with markers of transactions', { unit: 'a job', value: facts })
  grows.set('offsets on the intake', { unit: 'a job', value: await ends('intake') })
  await admin.disconnect()
  grows.set('bytes in logs of Kafka, of one replica', {
    unit: 'bytes a job',
    value: bytesBelow(stack.dir, /\/bench\.[^/]+\/\d+\.log$/) / stack.environment.PF3_KAFKA_BROKERS.split(',').length,
  })
  const { rows: tables } = await pool.query<{ name: string; inserted: string; changed: string; bytes: string }>(
    `SELECT relname AS name, n_tup_ins AS inserted, n_tup_upd + n_tup_del AS changed,
            pg_total_relation_size(relid) AS bytes FROM pg_stat_user_tables`,
  )
  const sum = (column: 'inserted' | 'changed' | 'bytes') => tables.reduce((all, row) => all + Number(row[column]), 0)
  grows.set('rows added in PostgreSQL', { unit: 'a job', value: sum('inserted') })
  grows.set('rows changed or removed in PostgreSQL', { unit: 'a job', value: sum('changed') })
  grows.set('bytes in PostgreSQL, tables and indexes', { unit: 'bytes a job', value: sum('bytes') })
  const { rows: wal } = await pool.query<{ bytes: string }>(`SELECT pg_current_wal_lsn() - '0/0' AS bytes`)
  grows.set("bytes of PostgreSQL's write-ahead log", { unit: 'bytes a job', value: Number(wal[0]?.bytes) })
  const { rows: kept } = await pool.query<{ bytes: string }>(
    'SELECT max(octet_length(body)) AS bytes FROM owner_snapshot',
  )
  const is = new Map<string, Amount>([
    ['the snapshot of the partition, so far', { unit: 'MiB', value: Number(kept[0]?.bytes ?? 0) / 2 ** 20 }],
    ["memory of PF-3's process", { unit: 'MiB', value: residentMiB() }],
  ])
  return { grows, is, tables: new Map(tables.map(({ name, bytes }) => [name, Number(bytes)])) }
}

function bytesBelow(dir: string, wanted: RegExp): number {
  return readdirSync(dir, { withFileTypes: true, recursive: true })
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => wanted.test(path))
    .reduce((sum, path) => sum + statSync(path).size, 0)
}
