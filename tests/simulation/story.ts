/** The events behind a violation, as lines to read: those of the job it names, and of its tenant around them. */
import type { Fact } from '../../schemas/events.generated.ts'

const linesMax = 60

/** `all`: the facts of every partition. */
export function storyOf(violation: string, all: readonly (readonly Fact[])[]): string[] {
  const jobId = /job_\w+/.exec(violation)?.[0]
  const home = all.find((facts) => facts.some((fact) => 'jobId' in fact && fact.jobId === jobId)) ?? all[0] ?? []
  const tenantId = home.find((fact) => 'jobId' in fact && fact.jobId === jobId)?.tenantId
  const isClose = (fact: Fact) =>
    jobId === undefined ||
    ('jobId' in fact ? fact.jobId === jobId : fact.tenantId === tenantId || fact.type === 'PriceBookPublished')
  return home.filter(isClose).slice(-linesMax).map(toLine)
}

const headers = new Set([
  'tenantId',
  'eventId',
  'seq',
  'occurredAt',
  'actor',
  'correlationId',
  'traceparent',
  'type',
  'book',
])

function toLine(fact: Fact): string {
  const rest = Object.fromEntries(Object.entries(fact).filter(([name]) => !headers.has(name)))
  const text = JSON.stringify(rest, (_, value: unknown) => (typeof value === 'bigint' ? Number(value) : value))
  return `${fact.seq} ${new Date(Number(fact.occurredAt / 1_000n)).toISOString()} ${fact.tenantId} ${fact.type} ${text}`
}
