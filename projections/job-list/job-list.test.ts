import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import type { Fact, FactBody } from '../../schemas/events.generated.ts'
import { explaining, type Plan, readsOf } from '../testing/explaining.ts'
import {
  admitted,
  attemptFailed,
  cancelled,
  failed,
  metered,
  noon,
  rated,
  ratedUntried,
  refused,
  Stamp,
  started,
  submitted,
  succeeded,
} from '../testing/facts.ts'
import { openView, type View } from '../testing/view.ts'
import { jobList } from './projection.ts'
import { isSettled, type Job, jobById, jobPage, jobsById } from './queries.ts'

let view: View
let stamp: Stamp
beforeAll(async () => {
  view = await openView(jobList)
})
afterAll(() => view.close())
beforeEach(async () => {
  await view.clear()
  stamp = new Stamp()
})

const given = async (...bodies: FactBody[]): Promise<Fact[]> => {
  const facts = bodies.map((body) => stamp.fact('harbor', body))
  await view.take(...facts)
  return facts
}
const job = (jobId = 'j'): Promise<Job | undefined> => view.asTenant('harbor', (tx) => jobById(tx, 'harbor', jobId))

test('submitted: everything that was asked, and nothing else yet', async () => {
  const [fact] = await given(submitted('j', { memberId: 'ann', model: 'linear-1', maxCharge: 10n ** 30n, priority: 1 }))
  expect(await job()).toEqual({
    tenantId: 'harbor',
    jobId: 'j',
    status: 'submitted',
    capability: 'classify.category',
    memberId: 'ann',
    priority: 1,
    resourceId: 'mails',
    resourceHash: null,
    requestedModel: 'linear-1',
    submittedBy: 'token:t1',
    correlationId: 'corr_1',
    inputRef: 'in_j',
    inputBytes: 1_200n,
    inputMac: 'aa',
    maxChargePico: 10n ** 30n,
    submittedAt: fact?.occurredAt,
    admittedAt: null,
    startedAt: null,
    retryAt: null,
    cancelRequestedAt: null,
    deadlineAt: null,
    endedAt: null,
    ratedAt: null,
    attempts: 0,
    provider: null,
    model: null,
    resultRef: null,
    resultBytes: null,
    resultMac: null,
    failureCode: null,
    refusal: null,
    usage: null,
    currency: null,
    priceBookHash: null,
    billingPeriod: null,
    heldPico: null,
    chargedPico: null,
  })
})

test('admitted, running, succeeded, metered, rated', async () => {
  await given(submitted('j'))
  const [admission] = await given(admitted('j'))
  expect(await job()).toMatchObject({
    status: 'admitted',
    admittedAt: admission?.occurredAt,
    deadlineAt: noon + 60_000_000n,
    resourceHash: 'set-1',
    currency: 'USD',
    priceBookHash: 'book-1',
    billingPeriod: '2026-11',
    heldPico: 1_000_000_000n,
    chargedPico: null,
  })
  const [start] = await given(started('j'))
  expect(await job()).toMatchObject({
    status: 'running',
    startedAt: start?.occurredAt,
    attempts: 1,
    provider: 'local',
    model: 'linear-1',
  })
  const [end] = await given(succeeded('j'))
  const ended = await job()
  expect(ended).toMatchObject({
    status: 'succeeded',
    endedAt: end?.occurredAt,
    resultRef: 'out_j',
    resultBytes: 90n,
    resultMac: 'bb',
    chargedPico: null,
  })
  expect(ended && isSettled(ended)).toBe(false)
  const [, rating] = await given(metered('j'), rated('j'))
  const settled = await job()
  expect(settled).toMatchObject({
    status: 'succeeded',
    ratedAt: rating?.occurredAt,
    chargedPico: 230n,
    usage: {
      source: 'counted',
      inputUncachedTokens: 200n,
      inputCacheReadTokens: 20n,
      inputCacheWriteTokens: 2n,
      outputTokens: 10n,
      reasoningTokens: 1n,
    },
  })
  expect(settled && isSettled(settled)).toBe(true)
})

test('between two attempts a job is admitted again, and keeps when it first started', async () => {
  const [, , first] = await given(submitted('j'), admitted('j'), started('j', 1), attemptFailed('j', 1, noon + 5n))
  expect(await job()).toMatchObject({
    status: 'admitted',
    retryAt: noon + 5n,
    failureCode: 'PROVIDER_TIMEOUT',
    attempts: 1,
  })
  await given(started('j', 2))
  expect(await job()).toMatchObject({ status: 'running', retryAt: null, attempts: 2, startedAt: first?.occurredAt })
  await given(succeeded('j', 2))
  expect(await job()).toMatchObject({ status: 'succeeded', failureCode: null, attempts: 2 })
})

test('failed', async () => {
  await given(submitted('j'), admitted('j'), started('j'), attemptFailed('j', 1, null))
  expect(await job()).toMatchObject({ status: 'running', endedAt: null })
  const [end] = await given(failed('j', 1), metered('j'), rated('j', { outcome: 'failed', chargedPico: 0n, lines: [] }))
  expect(await job()).toMatchObject({
    status: 'failed',
    failureCode: 'PROVIDER_TIMEOUT',
    endedAt: end?.occurredAt,
    chargedPico: 0n,
    attempts: 1,
  })
})

test('cancelled, asked for before', async () => {
  const [, , , asked] = await given(submitted('j'), admitted('j'), started('j'), {
    type: 'CancelRequested',
    jobId: 'j',
  })
  expect(await job()).toMatchObject({ status: 'running', cancelRequestedAt: asked?.occurredAt })
  await given(cancelled('j', 1), ratedUntried('j'))
  expect(await job()).toMatchObject({ status: 'cancelled', chargedPico: 0n, usage: null })
})

test('refused: the reason, and the cap that was too tight', async () => {
  const cap = {
    capId: 'month',
    capVersion: 2n,
    metric: 'money' as const,
    limit: 10n ** 20n,
    free: 5n,
    needed: 6n,
    periodStart: noon,
    resetsAt: noon + 9n,
  }
  await given(
    submitted('a'),
    refused('a', { reason: 'over_cap', cap }),
    submitted('b'),
    refused('b', { reason: 'over_max_charge', heldPico: 77n }),
    submitted('c'),
    refused('c'),
  )
  const { capVersion, ...shown } = cap
  expect(await job('a')).toMatchObject({
    status: 'refused',
    refusal: { reason: 'over_cap', neededPico: null, cap: shown },
  })
  expect(await job('b')).toMatchObject({ refusal: { reason: 'over_max_charge', neededPico: 77n, cap: null } })
  const c = await job('c')
  expect(c?.refusal).toEqual({ reason: 'queue_full', neededPico: null, cap: null })
  expect(c && isSettled(c)).toBe(true)
})

test('events that are not about the row change nothing', async () => {
  await given(submitted('j'))
  const before = await job()
  await given(
    { type: 'HoldExceeded', jobId: 'j', metric: 'tokens', held: 1n, actual: 2n, excess: 1n },
    { type: 'TokenRevoked', tokenId: 'j' },
  )
  expect(await job()).toEqual(before)
})

test('a job that nobody submitted cannot be admitted', async () => {
  await expect(given(admitted('ghost'))).rejects.toThrow('job-list: fact 1 begins a row without')
})

test('many jobs of many tenants in one statement, answered in order', async () => {
  await view.take(
    stamp.fact('one', submitted('a')),
    stamp.fact('two', submitted('b')),
    stamp.fact('two', submitted('a')),
  )
  const wanted = [
    { tenantId: 'two', jobId: 'a' },
    { tenantId: 'one', jobId: 'b' },
    { tenantId: 'one', jobId: 'a' },
    { tenantId: 'two', jobId: 'a' },
  ]
  const found = await view.asService((tx) => jobsById(tx, wanted))
  expect(found.map((j) => j && [j.tenantId, j.jobId])).toEqual([['two', 'a'], undefined, ['one', 'a'], ['two', 'a']])
  expect(await view.asTenant('one', (tx) => jobsById(tx, wanted))).toMatchObject([
    undefined,
    undefined,
    { tenantId: 'one' },
    undefined,
  ])
  expect(await view.asService((tx) => jobsById(tx, []))).toEqual([])
})

test('pages: newest first, each job once, whatever is submitted meanwhile; filters', async () => {
  for (let n = 0; n < 7; n++)
    await given(
      submitted(`j${n}`, {
        capability: n % 2 === 0 ? 'generate.text' : 'classify.category',
        memberId: n < 3 ? 'ann' : null,
      }),
    )
  await given(admitted('j1'))
  const page = (wish: Omit<Parameters<typeof jobPage>[2], 'limit'> & { limit?: number }) =>
    view.asTenant('harbor', (tx) => jobPage(tx, 'harbor', { limit: 3, ...wish }))
  const ids = (jobs: readonly Job[]) => jobs.map((j) => j.jobId)
  const first = await page({})
  expect(ids(first.items)).toEqual(['j6', 'j5', 'j4'])
  await given(submitted('later'))
  const second = await page({ ...(first.next && { after: first.next }) })
  expect(ids(second.items)).toEqual(['j3', 'j2', 'j1'])
  const third = await page({ ...(second.next && { after: second.next }) })
  expect([ids(third.items), third.next]).toEqual([['j0'], null])
  expect(ids((await page({ capability: 'generate.text' })).items)).toEqual(['j6', 'j4', 'j2'])
  expect(ids((await page({ status: 'admitted' })).items)).toEqual(['j1'])
  expect(ids((await page({ memberId: 'ann', limit: 1_000 })).items)).toEqual(['j2', 'j1', 'j0'])
  const [late, early] = (await page({ limit: 1_000, status: 'submitted' })).items.flatMap((job) =>
    ['j4', 'j2'].includes(job.jobId) ? [job] : [],
  )
  const between = await page({ from: early?.submittedAt ?? 0n, to: late?.submittedAt ?? 0n })
  expect(ids(between.items)).toEqual(['j3', 'j2'])
  expect(ids((await page({ correlationId: early?.correlationId ?? '' })).items)).toContain('j2')
  expect(ids((await page({ correlationId: 'nobody' })).items)).toEqual([])
  for (const limit of [0, 1_001, 1.5]) await expect(page({ limit })).rejects.toMatchObject({ code: 'REQUEST_INVALID' })
})

test('given few jobs among many that are wanted, a page says where looking goes on, and all pages together have each once', async () => {
  for (let n = 0; n < 23; n++)
    await given(submitted(`j${n}`, { memberId: n % 9 === 0 ? 'ann' : null }), ...(n === 22 ? [admitted('j22')] : []))
  const walk = async (wish: Omit<Parameters<typeof jobPage>[2], 'limit' | 'after'>, limit: number, lookMax: number) => {
    const pages: string[][] = []
    let after: Parameters<typeof jobPage>[2]['after']
    do {
      const { items, next } = await view.asTenant('harbor', (tx) =>
        jobPage(tx, 'harbor', { ...wish, limit, ...(after && { after }) }, lookMax),
      )
      pages.push(items.map(({ jobId }) => jobId))
      after = next ?? undefined
    } while (after && pages.length < 50)
    return pages
  }
  expect(await walk({ memberId: 'ann' }, 5, 10)).toEqual([['j18'], ['j9'], ['j0']])
  expect(await walk({ memberId: 'bob' }, 5, 10)).toEqual([[], [], []])
  expect(await walk({ memberId: 'ann' }, 5, 100)).toEqual([['j18', 'j9', 'j0']])
  const all = Array.from({ length: 23 }, (_, n) => `j${22 - n}`)
  for (const limit of [1, 2, 3, 9, 10, 22, 23])
    for (const lookMax of [limit + 1, 11, 12, 22, 23, 24]) {
      if (lookMax <= limit) continue
      expect((await walk({}, limit, lookMax)).flat()).toEqual(all)
      expect((await walk({ memberId: 'ann' }, limit, lookMax)).flat()).toEqual(['j18', 'j9', 'j0'])
      expect((await walk({ status: 'admitted' }, limit, lookMax)).flat()).toEqual(['j22'])
    }
})

test('however many jobs there are, a page reads those that it shows, and with a filter as many as it may look at', async () => {
  await view.take(...Array.from({ length: 600 }, (_, n) => stamp.fact('harbor', submitted(`j${n}`))))
  await view.asService((tx) => tx.query('ANALYZE job_list'))
  const rowsRead = async (wish: Omit<Parameters<typeof jobPage>[2], 'limit'>) => {
    const plans: Plan[] = []
    await view.asTenant('harbor', (tx) => jobPage(explaining(tx, plans), 'harbor', { ...wish, limit: 5 }, 50))
    return plans
      .flatMap((plan) => readsOf(plan, jobList.table))
      .map((read) => read['Actual Rows'] * read['Actual Loops'] + (read['Rows Removed by Filter'] ?? 0))
  }
  const middle = await view.asTenant('harbor', (tx) => jobById(tx, 'harbor', 'j300'))
  const after = { submittedAt: middle?.submittedAt ?? 0n, jobId: 'j300' }
  expect([await rowsRead({}), await rowsRead({ after })]).toEqual([[6], [6]])
  expect([await rowsRead({ to: after.submittedAt }), await rowsRead({ from: 0n, after })]).toEqual([[6], [6]])
  expect([await rowsRead({ memberId: 'nobody' }), await rowsRead({ memberId: 'nobody', after })]).toEqual([[50], [50]])
})
