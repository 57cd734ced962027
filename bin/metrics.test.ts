import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { apiMetrics } from '../api/metrics.ts'
import type { OwnerHealth } from '../processors/index.ts'
import { metricsRegistry } from './metrics.ts'

const owner = (partition: number, more: Partial<OwnerHealth> = {}): OwnerHealth => ({
  partition,
  phase: 'serving',
  seq: 40n,
  intakeOffset: 10n,
  openJobs: 0,
  running: 0,
  queued: 0,
  transfersUnderWay: 0,
  restoredFacts: 0,
  restoringFacts: 0,
  indeterminate: 0,
  ...more,
})

test('shows what waits to be taken and to be restored, and leaves out what nobody can say now', async () => {
  const text = await metricsRegistry({
    owners: () => [owner(0), owner(1), owner(2, { phase: 'restoring', restoringFacts: 7_000 }), owner(3)],
    intakeEnd: async (partition) => {
      if (partition === 1) throw new Error('no broker')
      if (partition === 3) return new Promise<never>(() => {})
      return 15n
    },
    views: () => [],
    watches: [{ name: 'postgres', isUp: () => false, stop: async () => {} }],
  }).metrics()
  const rows = (name: string) =>
    text.split('\n').filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
  expect(rows('pf3_owner_lag_requests')).toEqual(['pf3_owner_lag_requests{partition="0"} 5'])
  expect(rows('pf3_owner_restoring_facts')).toContain('pf3_owner_restoring_facts{partition="2"} 7000')
  expect(rows('pf3_postgres_up')).toEqual(['pf3_postgres_up 0'])
})

test('where processes share the partitions it shows what waits in all of them, and leaves it out while nobody can say', async () => {
  const rowsWith = async (lag: () => Promise<(readonly [number, number])[]>) => {
    const intakeEnd = () => Promise.reject(new Error('not asked'))
    const registry = metricsRegistry({ owners: () => [owner(0)], intakeEnd, lag, views: () => [], watches: [] })
    return (await registry.metrics()).split('\n').filter((line) => line.startsWith('pf3_owner_lag_requests{'))
  }
  const all = ['pf3_owner_lag_requests{partition="0"} 5', 'pf3_owner_lag_requests{partition="1"} 9']
  expect(await rowsWith(async () => [[0, 5] as const, [1, 9] as const])).toEqual(all)
  expect(await rowsWith(() => Promise.reject(new Error('no broker')))).toEqual([])
  expect(await rowsWith(() => new Promise<never>(() => {}))).toEqual([])
})

test('the documented metrics are those of the code (UPDATE_DOCS=1 writes them)', async () => {
  const registry = metricsRegistry({
    owners: () => [owner(0)],
    intakeEnd: async () => 15n,
    views: () => [],
    redis: () => ({ state: 'up', sinceMs: 0 }),
    watches: (['postgres', 'registry'] as const).map((name) => ({ name, isUp: () => true, stop: async () => {} })),
  })
  apiMetrics(registry)
  const own = registry.getMetricsAsArray().filter(({ name }) => name.startsWith('pf3_'))
  const rows = own.map((metric) => {
    const { name, help, type } = metric
    const labels = 'labelNames' in metric && Array.isArray(metric.labelNames) ? metric.labelNames : []
    return `| \`${name}\` | ${type} | ${labels.map((label) => `\`${label}\``).join(', ')} | ${help} |`
  })
  const page = join(import.meta.dirname, '../docs/reference/metrics.md')
  const start = '<!-- table -->\n'
  const text = readFileSync(page, 'utf8')
  const table = ['| metric | type | labels | means |', '| --- | --- | --- | --- |', ...rows.sort()].join('\n')
  const wanted = `${text.slice(0, text.indexOf(start) + start.length)}${table}\n`
  if (process.env['UPDATE_DOCS'] === '1') writeFileSync(page, wanted)
  else expect(text).toBe(wanted)
})
