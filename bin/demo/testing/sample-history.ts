/** For tests of the verifier: a right history in which everything happens that can. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import type { ReportedUsage } from '../../../processors/rating/decide.ts'
import type { JobAdmittedRouteStep } from '../../../schemas/events.generated.ts'
import { type VerifyOptions, type VerifyReport, verifyExport } from '../verify.ts'
import { type PlacedFact, SampleLog, writeExport } from './sample-events.ts'

const partitions = 2
const local: JobAdmittedRouteStep = {
  provider: 'local',
  model: 'linear-1',
  keyOwner: 'platform',
  keyId: null,
  pool: 'local',
}
const big: JobAdmittedRouteStep = {
  provider: 'scripted',
  model: 'big',
  keyOwner: 'platform',
  keyId: 'k1',
  pool: 'remote',
}
const small: JobAdmittedRouteStep = {
  provider: 'scripted',
  model: 'small',
  keyOwner: 'platform',
  keyId: 'k1',
  pool: 'remote',
}
const ownKey: JobAdmittedRouteStep = {
  provider: 'scripted',
  model: 'big',
  keyOwner: 'tenant',
  keyId: 'k2',
  pool: 'remote',
}

const used = (input: bigint, output = 0n, more: Partial<ReportedUsage> = {}): ReportedUsage => ({
  source: 'provider',
  inputUncachedTokens: input,
  inputCacheReadTokens: 0n,
  inputCacheWriteTokens: 0n,
  outputTokens: output,
  reasoningTokens: 0n,
  ...more,
})

/** Three tenants in two partitions and every way a job can go, across the night in which Berlin's clocks jump. */
export function sampleHistory(): PlacedFact[] {
  const log = new SampleLog()
  log.tenant('acme', 1, 'Europe/Berlin')
  log.tenant('zeta', 1, 'Africa/Lagos')
  log.tenant('solo', 0, 'America/New_York')
  log.cap('acme', 'a-requests', { metric: 'requests', limit: 9n, period: 'day' })
  log.cap('acme', 'b-tokens', { metric: 'tokens', limit: 100_000n, period: 'month', anchorDate: '2026-01-31' })
  log.cap('acme', 'c-money', { metric: 'money', limit: 2_000_000_000_000n, period: 'total' })
  log.cap('acme', 'd-money', { metric: 'money', limit: 3_000_000_000_000n, period: 'week' })
  log.cap('acme', 'e-member', {
    metric: 'requests',
    limit: 1n,
    period: 'week',
    anchorDate: '2026-04-30',
    scopeMemberId: 'ann',
  })
  log.cap('zeta', 'capability', { metric: 'tokens', limit: 50n, period: 'day', scopeCapability: 'classify.category' })

  const text = { capability: 'generate.text', tokens: [1_000n, 500n] as [bigint, bigint] }
  const mail = { capability: 'classify.category', tokens: [40n, 0n] as [bigint, bigint] }
  const ok = log.submit('acme', 'ok', { ...text, memberId: 'ann' }, [big, small])
  const other = log.submit('zeta', 'other', mail, [local])
  log.submit('acme', 'refused-member', { ...text, memberId: 'ann' }, [big])
  log.submit('zeta', 'refused-tokens', mail, [local])
  log.submit('acme', 'refused-charge', { ...text, maxCharge: 1n }, [big])
  const buckets = { inputCacheReadTokens: 77n, inputCacheWriteTokens: 13n, reasoningTokens: 101n }
  log.finish(ok, 'succeeded', [{ isFailed: true }, { usage: used(333n, 211n, buckets) }])
  log.finish(other, 'succeeded', [{ usage: used(31n, 0n, { source: 'counted' }) }])
  const failed = log.submit('acme', 'failed', text, [big])
  const early = log.submit('acme', 'cancelled-early', text, [big])
  log.cap('acme', 'd-money', { metric: 'money', limit: 1_000_000_000_000n, period: 'week' })
  const late = log.submit('acme', 'cancelled-late', text, [small])
  const unknown = log.submit('acme', 'cancelled-unknown', text, [small])
  log.finish(failed, 'failed', [{ isFailed: true }, { isFailed: true, usage: used(900n, 20n) }])
  log.finish(early, 'cancelled', [])
  log.finish(late, 'cancelled', [{ isFailed: true, usage: used(1_000n, 7n) }])
  log.finish(unknown, 'cancelled', [{ isFailed: true }])
  const open = log.submit('acme', 'across-midnight', text, [big])
  log.wait(3_600_000n)
  const own = log.submit('acme', 'own-key', { ...text, memberId: 'bob' }, [ownKey])
  log.removeCap('acme', 'd-money')
  log.cap('acme', 'd-money', { metric: 'money', limit: 1_000_000_000_000n, period: 'day' })
  const excess = log.submit('acme', 'excess', text, [big])
  log.finish(open, 'succeeded', [{ usage: used(999n, 500n) }])
  log.finish(excess, 'succeeded', [{ usage: used(1_001n, 607n) }])
  log.finish(own, 'succeeded', [{ usage: used(5n, 5n) }])
  log.finish(log.submit('solo', 'alone', mail, [local]), 'succeeded', [{ usage: used(0n) }])
  log.finish(log.submit('solo', 'never-started', mail, [local]), 'failed', [])
  return log.facts
}

/** Writes the facts out and verifies them. */
export async function verify(facts: PlacedFact[], options?: VerifyOptions): Promise<VerifyReport> {
  const dir = await exported(facts)
  return verifyExport(dir, options)
}

/** Directory of an export of the facts; gone when the test is over. */
export async function exported(facts: PlacedFact[]): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'pf3-verify-'))
  onTestFinished(() => rm(dir, { recursive: true }))
  await writeExport(dir, facts, partitions)
  return dir
}
