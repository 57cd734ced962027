import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { type Fact, streamOf } from '../../schemas/events.generated.ts'
import { admitted, capSet, rated, Stamp, submitted } from '../testing/facts.ts'
import { history } from '../testing/history.ts'
import { openView, type View } from '../testing/view.ts'
import { auditTrail } from './projection.ts'
import { type AuditFact, answersTo, answersToMany, auditPage, factsOfJob } from './queries.ts'

let view: View
let stamp: Stamp
beforeAll(async () => {
  view = await openView(auditTrail)
})
afterAll(() => view.close())
beforeEach(async () => {
  await view.clear()
  stamp = new Stamp()
})

test('a fact is shown whole, integers of eight bytes as text', async () => {
  const fact = stamp.fact('harbor', capSet('day', { limit: 10n ** 30n }), {
    causedBy: 'req',
    intakeOffset: 7n,
    traceparent: '00-ab-cd-01',
  })
  await view.take(fact)
  expect(await view.asTenant('harbor', (tx) => answersTo(tx, 'harbor', 'req'))).toEqual([
    {
      tenantId: 'harbor',
      seq: 1n,
      eventId: 'evt_1',
      type: 'CapSet',
      stream: 'accounts',
      occurredAt: fact.occurredAt,
      actor: 'token:t1',
      correlationId: 'corr_1',
      causedBy: 'req',
      intakeOffset: 7n,
      traceparent: '00-ab-cd-01',
      jobId: null,
      body: {
        capId: 'day',
        metric: 'requests',
        limit: '1000000000000000000000000000000',
        period: 'day',
        anchorDate: null,
        scopeMemberId: null,
        scopeCapability: null,
        version: '1',
        countsFrom: '1794312000000000',
      },
    },
  ])
})

test('every event there is stands in the trail', async () => {
  const { byPartition } = history({ seed: 4, jobs: 200, partitionCount: 1 })
  const facts: Fact[] = byPartition.flat()
  expect(new Set(facts.map((fact) => fact.type)).size).toBe(
    Object.values(streamOf).filter((stream) => stream !== 'intake').length,
  )
  await view.take(...facts)
  const { rows } = await view.asService((tx) =>
    tx.query<{ fact_seq: bigint; type: string }>('SELECT fact_seq, type FROM audit_trail ORDER BY fact_seq'),
  )
  expect(rows.map((row) => [row.fact_seq, row.type])).toEqual(facts.map((fact) => [fact.seq, fact.type]))
})

test('answers to requests: only facts a request caused, of that tenant, of no job, in order; many in one statement', async () => {
  const asked = { causedBy: 'req-1', intakeOffset: 3n }
  await view.take(
    stamp.fact('harbor', capSet('day'), asked),
    stamp.fact('harbor', capSet('month'), asked),
    stamp.fact('harbor', submitted('j'), asked),
    stamp.fact('harbor', rated('j'), { causedBy: 'req-1' }),
    stamp.fact('other', capSet('week'), asked),
  )
  const caps = (facts: readonly AuditFact[]) => facts.map(({ body }) => body['capId'])
  expect(caps(await view.asTenant('harbor', (tx) => answersTo(tx, 'harbor', 'req-1')))).toEqual(['day', 'month'])
  const many = await view.asService((tx) =>
    answersToMany(tx, [
      { tenantId: 'other', requestId: 'req-1' },
      { tenantId: 'harbor', requestId: 'req-9' },
      { tenantId: 'harbor', requestId: 'req-1' },
    ]),
  )
  expect(many.map(caps)).toEqual([['week'], [], ['day', 'month']])
  expect(await view.asTenant('other', (tx) => answersTo(tx, 'harbor', 'req-1'))).toEqual([])
})

test('the facts behind a job', async () => {
  await view.take(
    stamp.fact('harbor', submitted('j')),
    stamp.fact('harbor', submitted('k')),
    stamp.fact('harbor', admitted('j')),
    stamp.fact('harbor', rated('j')),
  )
  const facts = await view.asTenant('harbor', (tx) => factsOfJob(tx, 'harbor', 'j'))
  expect(facts.map((fact) => [fact.seq, fact.type])).toEqual([
    [1n, 'JobSubmitted'],
    [3n, 'JobAdmitted'],
    [4n, 'JobRated'],
  ])
  expect(facts[2]?.body).toMatchObject({ chargedPico: '230', lines: [{ amountPico: '30' }, { amountPico: '200' }] })
})

test('pages: newest first, by type and time', async () => {
  const facts = Array.from({ length: 5 }, (_, n) =>
    stamp.fact('harbor', n % 2 === 0 ? submitted(`j${n}`) : admitted(`j${n}`)),
  )
  await view.take(...facts)
  const page = (wish: Partial<Parameters<typeof auditPage>[2]>) =>
    view.asTenant('harbor', (tx) => auditPage(tx, 'harbor', { limit: 2, ...wish }))
  const first = await page({})
  expect([first.items.map((fact) => fact.seq), first.next]).toEqual([[5n, 4n], 4n])
  expect((await page({ beforeSeq: 4n })).items.map((fact) => fact.seq)).toEqual([3n, 2n])
  expect(await page({ beforeSeq: 2n })).toMatchObject({ items: [{ seq: 1n }], next: null })
  expect((await page({ type: 'JobAdmitted' })).items.map((fact) => fact.seq)).toEqual([4n, 2n])
  const [, second, third] = facts
  expect(
    (await page({ fromAt: second?.occurredAt ?? 0n, toAt: third?.occurredAt ?? 0n })).items.map((fact) => fact.seq),
  ).toEqual([2n])
})
