import { expect, test } from 'vitest'
import { type CallOutcome, noTokens, type UsageReport } from '../../../capabilities/index.ts'
import { canonicalJson } from '../../../pricing/index.ts'
import { cap, submit } from '../../../processors/testing/given.ts'
import { world } from '../../../processors/testing/world.ts'
import type { Fact } from '../../../schemas/events.generated.ts'
import { exported } from '../testing/sample-history.ts'
import { verifyExport } from '../verify.ts'

/** What the real owner writes while everything goes wrong that can has to hold in the eyes of the separate code. */
test.for([1, 2, 3, 4, 5, 6])('the history of a real owner holds, seed %i', async (seed) => {
  const call = async (): Promise<CallOutcome> => {
    await new Promise((resolve) => setTimeout(resolve, one(6)))
    const usage: UsageReport = {
      ...noTokens,
      source: 'provider',
      inputUncachedTokens: BigInt(one(14)),
      inputCacheReadTokens: BigInt(one(3)),
      outputTokens: BigInt(one(9)),
      reasoningTokens: 0n,
    }
    const known = chance(0.5) ? { usage } : {}
    if (chance(0.2)) return { ok: false, code: 'PROVIDER_UNAVAILABLE', ...known }
    if (chance(0.1)) return { ok: false, code: 'PROVIDER_REJECTED', ...known }
    return { ok: true, result: { label: 'x' }, usage }
  }
  const w = world({ seed, call, faults: { duplicateAppend: 0.1, commitUnknownLost: 0.05, commitUnknownDurable: 0.05 } })
  const one = (max: number) => Math.floor(w.random.fraction() * max)
  const chance = (share: number) => w.random.fraction() < share
  const pick = <T>(...of: readonly T[]): T => of[one(of.length)] as T

  let owner = w.start()
  await w.begin()
  const jobs = 150
  for (let index = 0; index < jobs; index++) {
    if (chance(0.1)) {
      const metric = pick('requests', 'tokens', 'money')
      const limit = { requests: 40n, tokens: 500n, money: 40_000_000_000_000n }[metric] + BigInt(one(50))
      const period = pick('day', 'week', 'month', 'total')
      const anchorDate = period === 'total' || chance(0.5) ? null : '2026-01-31'
      const scopeMemberId = chance(0.3) ? 'ann' : null
      await w.ask(cap(`cap-${one(5)}`, { metric, limit, period, anchorDate, scopeMemberId }))
    }
    if (chance(0.03)) await w.ask({ type: 'RemoveCap', capId: `cap-${one(5)}` })
    const maxCharge = chance(0.05) ? 1n : null
    await w.ask(
      submit(`job-${index}`, {
        memberId: pick('ann', 'bob', null),
        inputTokensMax: 10n,
        outputTokensMax: 5n,
        maxCharge,
      }),
    )
    if (chance(0.2)) await w.ask({ type: 'RequestCancel', jobId: `job-${one(index + 1)}` })
    if (chance(0.02)) {
      await owner.end()
      owner = w.start()
    }
  }
  const facts = await w.until((all) => {
    const answered = all.filter(({ type }) => type === 'JobRated' || type === 'JobRefused')
    return answered.length === jobs
  })
  w.log.setFaults({ commitUnknownLost: 0, commitUnknownDurable: 0 })
  await owner.end()

  // The book of these worlds is published as it is written, not canonically; everything else is the owner's own.
  const canonical = (fact: Fact): Fact =>
    fact.type === 'PriceBookPublished' ? { ...fact, book: canonicalJson(JSON.parse(fact.book)) } : fact
  const dir = await exported(facts.map((fact) => ({ partition: 0, fact: canonical(fact) })))
  const report = await verifyExport(dir)
  expect(report.problems).toEqual([])
  expect(report.tenants[0]?.jobs).toMatchObject({ submitted: jobs, open: 0 })
})
