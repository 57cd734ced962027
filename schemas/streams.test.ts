import { expect, test } from 'vitest'
import { streamOf } from './events.generated.ts'
import { factStreams, platformTenantId, streams } from './streams.ts'

test('every event stands in a stream of the table, and every stream has events', () => {
  expect(new Set(Object.values(streamOf))).toEqual(new Set(streams.map(({ name }) => name)))
})

test('fact streams are all but intake, in the order of the table', () => {
  expect(factStreams).toEqual(streams.map(({ name }) => name).filter((name) => name !== 'intake'))
})

test('only doors write intake, only owners write facts, and only the directory is one partition', () => {
  for (const { name, writtenBy, partitions } of streams) {
    expect(writtenBy).toBe(name === 'intake' ? 'doors' : 'owner')
    expect(partitions).toBe(name === 'directory' ? 'one' : 'tenant')
  }
})

test('what money rests on is kept at least seven years, with their leap days', () => {
  const daysOf = (name: string) => streams.find((stream) => stream.name === name)?.keptDays
  expect(daysOf('intake')).toBe(30)
  for (const name of ['jobs', 'usage', 'billing', 'transfers'])
    expect(daysOf(name)).toBe((Date.UTC(2035, 0, 1) - Date.UTC(2028, 0, 1)) / 86_400_000)
  for (const name of ['directory', 'accounts']) expect(daysOf(name)).toBeNull()
})

test('the platform is a tenant', () => {
  expect(platformTenantId).toBe('platform')
})
