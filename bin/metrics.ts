/** What /metrics shows. No tenant in any label: their number has no bound, and their names are nobody else's business. */
import { collectDefaultMetrics, Gauge, Registry } from 'prom-client'
import type { RedisHealth } from '../platform/redis/redis.ts'
import type { OwnerHealth } from '../processors/index.ts'
import type { ProjectionHealth } from '../projections/runner.ts'

export type MetricSources = {
  owners(): readonly OwnerHealth[]
  views(): readonly ProjectionHealth[]
  /** Left out where there is none: a figure that is always 0 would raise an alarm. */
  redis?: (() => RedisHealth) | undefined
}

/** Read from the parts when somebody asks, so nothing is counted twice and nothing has to be kept in step. */
export function metricsRegistry({ owners, views, redis }: MetricSources): Registry {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  const gauge = (name: string, help: string, rows: () => readonly (readonly [partition: number, value: number])[]) =>
    new Gauge({
      name,
      help,
      labelNames: ['partition'],
      registers: [registry],
      collect() {
        this.reset()
        for (const [partition, value] of rows()) this.set({ partition: String(partition) }, value)
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
  gauge('pf3_owner_restored_facts', 'Facts read at the last restore.', () =>
    owners().map((o) => [o.partition, o.restoredFacts]),
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
  return registry
}
