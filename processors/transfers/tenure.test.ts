/** Transfers through whole tenures of an owner, on a log that fails, repeats and forgets what was acknowledged. */
import { expect, test } from 'vitest'
import { noTokens } from '../../capabilities/index.ts'
import type { Fact, RequestBody } from '../../schemas/events.generated.ts'
import type { Recorded } from '../processor.ts'
import { submit } from '../testing/given.ts'
import { checkHistory, tally, world } from '../testing/world.ts'

const of = <Type extends Fact['type']>(facts: readonly Fact[], type: Type) =>
  facts.filter((fact): fact is Recorded<Type> => fact.type === type)
const rated = (facts: readonly Fact[]) => of(facts, 'JobRated')
const charged = (facts: readonly Fact[]): bigint => rated(facts).reduce((sum, { chargedPico }) => sum + chargedPico, 0n)
const told = (facts: readonly Fact[], type: 'TransferSent' | 'TransferTaken'): bigint =>
  of(facts, type)
    .flatMap(({ rollup }) => rollup)
    .reduce((sum, { chargedPico }) => sum + chargedPico, 0n)
const isTold = (jobs: number) => (facts: Fact[]) =>
  rated(facts).length >= jobs && told(facts, 'TransferTaken') === charged(facts)

test('the platform is told what a job cost: sent, taken and noted as forwarded, in facts that name their cause', async () => {
  const w = world({ options: { rollupWaitMs: 30 } })
  const owner = w.start()
  await w.begin()
  await w.ask(submit('job-1'))
  const facts = await w.until((all) => isTold(1)(all) && of(all, 'TransferForwarded').length === 1)
  await owner.end()
  const [sent] = of(facts, 'TransferSent')
  const [taken] = of(facts, 'TransferTaken')
  const [forwarded] = of(facts, 'TransferForwarded')
  const job = rated(facts)[0]
  if (!sent || !taken || !forwarded || !job) throw new Error('something is missing')
  expect(sent).toMatchObject({ tenantId: 'harbor', toTenantId: 'platform', number: 1n, actor: 'owner' })
  expect(sent.occurredAt).toBeGreaterThanOrEqual(job.occurredAt + 30_000n)
  expect(taken).toMatchObject({ tenantId: 'platform', fromTenantId: 'harbor', number: 1n, rollup: sent.rollup })
  expect([taken.causedBy, taken.correlationId]).toEqual([sent.eventId, sent.correlationId])
  expect(taken.intakeOffset).not.toBeNull()
  expect(forwarded).toMatchObject({ causedBy: sent.eventId, transfers: [{ toTenantId: 'platform', number: 1n }] })
  checkHistory(facts)
  expect(w.problems).toEqual([])
})

test('reports of as many tokens as a fact can hold do not stop the partition, whose sums they would pass', async () => {
  const most = 2n ** 63n - 1n
  const w = world({
    options: { rollupWaitMs: 30 },
    call: async () => ({
      ok: true,
      result: 1,
      usage: { ...noTokens, inputUncachedTokens: most, outputTokens: most, source: 'provider' },
    }),
  })
  const owner = w.start()
  await w.begin()
  await w.ask(submit('job-1'), submit('job-2'))
  const facts = await w.until(isTold(2))
  await owner.end()
  checkHistory(facts)
  expect(of(facts, 'UsageMetered')).toMatchObject(
    Array(2).fill({ inputUncachedTokens: 90n, outputTokens: 10n, source: 'estimated' }),
  )
  expect(w.problems).toEqual([])
})

test.each([1, 2, 3, 4, 5, 6, 7, 8])(
  'through every fault of the log and many owners nothing is lost or told twice, seed %i',
  async (seed) => {
    const w = world({
      seed,
      options: { rollupWaitMs: 3, snapshotEveryFacts: 20n },
      faults: {
        duplicateAppend: 0.2,
        appendLost: 0.2,
        appendUnacknowledged: 0.2,
        commitUnknownDurable: 0.04,
        commitUnknownLost: 0.04,
      },
    })
    let owner = w.start()
    await w.begin()
    const jobs = 30
    for (let job = 0; job < jobs; job++) {
      await w.ask(submit(`job-${job}`))
      if (job % 7 === 6) {
        await owner.end()
        owner = w.start()
      }
    }
    const facts = await w.until(
      (all) => isTold(jobs)(all) && of(all, 'TransferSent').length === of(all, 'TransferTaken').length,
    )
    w.log.setFaults({ commitUnknownDurable: 0, commitUnknownLost: 0 })
    await owner.end()
    checkHistory(facts)
    expect(told(facts, 'TransferSent')).toBe(charged(facts))
    expect(of(facts, 'TransferTaken').map(({ number }) => number)).toEqual(
      of(facts, 'TransferSent').map((_, index) => BigInt(index) + 1n),
    )
    expect(w.problems.filter(({ isStopped }) => isStopped)).toEqual([])
  },
)

test('what the last owner sent and did not see arrive, the next one sends again', async () => {
  const w = world({ options: { rollupWaitMs: 5 } })
  const first = w.start()
  await w.begin()
  w.log.setFaults({ appendLost: 0 })
  await w.ask(submit('job-1'))
  await w.until((all) => rated(all).length === 1)
  w.log.setFaults({ appendLost: 1 })
  await w.until((all) => of(all, 'TransferSent').length === 1)
  await expect.poll(() => first.health().transfersUnderWay).toBe(1)
  await first.end()
  w.log.setFaults({ appendLost: 0 })
  expect(tally(await w.facts())).not.toHaveProperty('TransferTaken')
  const second = w.start()
  const facts = await w.until((all) => of(all, 'TransferForwarded').length === 1 && isTold(1)(all))
  await expect.poll(() => second.health().transfersUnderWay).toBe(0)
  await second.end()
  expect(tally(facts)).toMatchObject({ TransferSent: 1, TransferForwarded: 1, TransferTaken: 1 })
  expect(w.problems.some(({ doing }) => doing === 'forwarding transfers')).toBe(true)
})

test('what waited when the last owner stopped is told by the next, though nothing happens any more', async () => {
  const w = world({ options: { rollupWaitMs: 3_600_000 } })
  const first = w.start()
  await w.begin()
  await w.ask(submit('job-1'))
  await w.until((all) => rated(all).length === 1)
  await first.end()
  const second = w.start({ rollupWaitMs: 20 })
  await w.until(isTold(1))
  await second.end()
})

test('a transfer that skips a number is refused in the log, and said aloud', async () => {
  const w = world()
  const owner = w.start()
  await w.begin()
  const body: RequestBody = { type: 'TransferArrived', fromTenantId: 'harbor', number: 2n, kind: 'rollup', rollup: [] }
  await w.log.append([w.encode(body, { tenantId: 'platform' })])
  const facts = await w.until((all) => of(all, 'RequestRefused').length === 1)
  await w.until(() => w.problems.length === 1)
  await owner.end()
  expect(of(facts, 'RequestRefused')).toMatchObject([{ tenantId: 'platform', reason: 'number_gap', subject: 'harbor' }])
  expect(w.problems).toMatchObject([{ doing: 'taking a transfer', isStopped: false, error: { code: 'LOG_GAP' } }])
})
