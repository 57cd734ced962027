import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { openEmbeddedDatabase } from '../../platform/postgres/embedded.ts'
import { type Fact, factTypesOfNoJob, streamOf } from '../../schemas/events.generated.ts'
import type { AuditFact } from '../audit-fact.ts'
import { jobTrail } from '../job-trail/projection.ts'
import { capSet, Stamp, submitted } from '../testing/facts.ts'
import { history } from '../testing/history.ts'
import { openView, type View } from '../testing/view.ts'
import { pageContract } from './page-contract.ts'
import { auditTrail } from './projection.ts'
import { answersTo, answersToMany, auditStreams } from './queries.ts'

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

test('every event there is stands in this trail or in the one of its job', () => {
  const { byPartition } = history({ seed: 4, jobs: 200, partitionCount: 1 })
  const facts: Fact[] = byPartition.flat()
  expect(new Set(facts.map((fact) => fact.type)).size).toBe(
    Object.values(streamOf).filter((stream) => stream !== 'intake').length,
  )
  for (const fact of facts)
    expect(auditTrail.apply(fact).length + jobTrail.apply(fact).length, `${fact.type} ${fact.seq}`).toBe(1)
})

test('answers to requests: only facts a request caused, of that tenant, of no job, in order; many in one statement', async () => {
  const asked = { causedBy: 'req-1', intakeOffset: 3n }
  await view.take(
    stamp.fact('harbor', capSet('day'), asked),
    stamp.fact('harbor', capSet('month'), asked),
    stamp.fact('harbor', submitted('j'), asked),
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

test('what each type shows: a field that is new is decided on here', () => {
  const { byPartition } = history({ seed: 4, jobs: 200, partitionCount: 1 })
  const rows = byPartition.flat().flatMap((fact) => auditTrail.apply(fact))
  const shown = rows.flatMap((row) =>
    row.op === 'insert'
      ? [[row.values['type'], Object.keys(JSON.parse(String(row.values['body'])) as object).join(' ')]]
      : [],
  )
  expect(Object.fromEntries(shown)).toEqual({
    PriceBookPublished: 'hash currency effectiveFrom', // Not the book, which is large.
    TenantRegistered: 'registeredTenantId level parentId name currency timeZone',
    AdminActed: 'justification method route path',
    CapRemoved: 'capId version',
    CapSet: 'capId metric limit period anchorDate scopeMemberId scopeCapability version countsFrom',
    ContentErased: 'erasureId keys payloads',
    ErasureRequested: 'erasureId',
    LabelSetRegistered: 'labelSetId hash payloadRef payloadBytes labelCount exampleCount',
    MemberAdded: 'memberId kind',
    MemberRemoved: 'memberId',
    RequestRefused: 'requestType reason subject',
    RetentionSet: 'contentDays',
    TokenIssued: 'tokenId role memberId expiresAt', // Not the hash of the token.
    TokenRevoked: 'tokenId',
    TransferForwarded: 'transfers',
    TransferSent: 'toTenantId number kind directoryVersion rollup',
    TransferTaken: 'fromTenantId number kind rollup',
  })
})

test('every type is of one of the streams that have such facts', () => {
  expect(new Set(factTypesOfNoJob.map((type) => streamOf[type]))).toEqual(new Set(auditStreams))
})

pageContract('pages of the audit trail', async () => {
  const database = await openEmbeddedDatabase()
  return { database, close: database.close }
})
