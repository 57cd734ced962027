/** What /metrics shows. No tenant in any label: their number has no bound, and their names are nobody else's business. */
import { collectDefaultMetrics, Gauge, Registry } from 'prom-client'
import { systemClock, within } from '../platform/clock.ts'
import type { RedisHealth } from '../platform/redis/redis.ts'
import type { OwnerHealth } from '../processors/index.ts'
import type { ProjectionHealth } from '../projections/runner.ts'
import type { Watch, WatchedName } from './watch.ts'

export type Rows = readonly (readonly [partition: number, value: number])[]

export type MetricSources = {
  owners(): readonly OwnerHealth[]
  /** Offset after the last request of a partition. */
  intakeEnd(partition: number): Promise<bigint>
  /** Where processes share the partitions: requests not taken of all of them, whoever serves them, or nobody. */
  lag?: (() => Promise<Rows>) | undefined
  views(): readonly ProjectionHealth[]
  /** Left out where there is none: a figure that is always 0 would raise an alarm. */
  redis?: (() => RedisHealth) | undefined
  watches: readonly Watch[]
}

/** Read from the parts when somebody asks, so nothing is counted twice and nothing has to be kept in step. */
export function metricsRegistry({ owners, intakeEnd, lag, views, redis, watches }: MetricSources): Registry {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  const gauge = (name: string, help: string, rows: () => Rows | Promise<Rows>) =>
    new Gauge({
      name,
      help,
      labelNames: ['partition'],
      registers: [registry],
      async collect() {
        const found = await rows()
        this.reset()
        for (const [partition, value] of found) this.set({ partition: String(partition) }, value)
      },
    })
  gauge('pf3_owner_serving', '1 while the owner serves the partition.', () =>
    owners().map((o) => [o.partition, o.phase === 'serving' ? 1 : 0]),
  )
  gauge('pf3_owner_seq', 'Last committed fact of the partition.', () =>
    owners().map((o) => [o.partition, Number(o.seq)]),
  )
  gauge('pf3_owner_open_jobs', 'Admitted jobs that have not been rated.', () =>
    owners().map((o) => [o.partition, o.openJobs]),
  )
  gauge('pf3_owner_running', 'Calls to providers that are under way.', () =>
    owners().map((o) => [o.partition, o.running]),
  )
  gauge('pf3_owner_queued', 'Jobs that wait for a place.', () => owners().map((o) => [o.partition, o.queued]))
  gauge(
    'pf3_owner_transfers_under_way',
    "Transfers to other tenants that have not reached the receiver's log yet.",
    () => owners().map((o) => [o.partition, o.transfersUnderWay]),
  )
  gauge('pf3_owner_restored_facts', 'Facts read at the last restore.', () =>
    owners().map((o) => [o.partition, o.restoredFacts]),
  )
  gauge('pf3_owner_restoring_facts', 'Facts that a restore under way has still to read.', () =>
    owners().map((o) => [o.partition, o.restoringFacts]),
  )
  gauge(
    'pf3_owner_lag_requests',
    'Requests that the owner has not taken yet; left out while the log cannot say.',
    () => (lag ? inTime(lag()).then((rows) => rows ?? []) : lagOf(owners(), intakeEnd)),
  )
  gauge('pf3_owner_indeterminate', 'Calls the last restore found under way.', () =>
    owners().map((o) => [o.partition, o.indeterminate]),
  )
  gauge('pf3_views_seq', 'Last fact the views show.', () => views().map((v) => [v.partition, Number(v.seq)]))
  gauge('pf3_views_lag_facts', 'Committed facts the views do not show yet.', () =>
    views().map((v) => [v.partition, Number(v.lagFacts)]),
  )
  if (redis) {
    new Gauge({
      name: 'pf3_redis_up',
      help: '1 while Redis answers; at 0 processes look for what they are not told, and count limits by themselves.',
      registers: [registry],
      collect() {
        this.set(redis().state === 'up' ? 1 : 0)
      },
    })
  }
  for (const { name, isUp } of watches) {
    new Gauge({
      name: `pf3_${name}_up`,
      help: upMeans[name],
      registers: [registry],
      collect() {
        this.set(isUp() ? 1 : 0)
      },
    })
  }
  return registry
}

const upMeans: Readonly<Record<WatchedName, string>> = {
  postgres: '1 while PostgreSQL answers; at 0 nothing can be asked, and jobs wait for their content.',
  registry: '1 while the schema registry answers; at 0 all goes on with the schemas that are known.',
}

const lagMsMax = 1_000

/** Waits no longer than somebody who collects figures does. */
const inTime = <Found>(found: Promise<Found>): Promise<Found | undefined> =>
  within(systemClock, found, lagMsMax, () => new Error('late')).catch(() => undefined)

async function lagOf(owners: readonly OwnerHealth[], intakeEnd: MetricSources['intakeEnd']): Promise<Rows> {
  const serving = owners.filter(({ phase }) => phase === 'serving')
  const rows = await Promise.all(
    serving.map(async ({ partition, intakeOffset }): Promise<Rows> => {
      const end = await inTime(intakeEnd(partition))
      return end === undefined ? [] : [[partition, Number(end > intakeOffset ? end - intakeOffset : 0n)]]
    }),
  )
  return rows.flat()
}
