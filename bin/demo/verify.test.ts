import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import type { ReportedUsage } from '../../processors/rating/decide.ts'
import type { Fact, FactType, JobAdmittedRouteStep, JobRated } from '../../schemas/events.generated.ts'
import type { Check } from './verify/findings.ts'
import { type PlacedFact, renumber, SampleLog, sampleBook, writeExport } from './verify/sample-events.ts'
import { verifyExport, type VerifyOptions } from './verify.ts'

const partitions = 2
const local: JobAdmittedRouteStep = { provider: 'local', model: 'linear-1', keyOwner: 'platform', keyId: null, pool: 'local' }
const big: JobAdmittedRouteStep = { provider: 'scripted', model: 'big', keyOwner: 'platform', keyId: 'k1', pool: 'remote' }
const small: JobAdmittedRouteStep = { provider: 'scripted', model: 'small', keyOwner: 'platform', keyId: 'k1', pool: 'remote' }
const ownKey: JobAdmittedRouteStep = { provider: 'scripted', model: 'big', keyOwner: 'tenant', keyId: 'k2', pool: 'remote' }

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
function sample(): PlacedFact[] {
  const log = new SampleLog()
  log.tenant('acme', 1, 'Europe/Berlin')
  log.tenant('zeta', 1, 'Africa/Lagos')
  log.tenant('solo', 0, 'America/New_York')
  log.cap('acme', 'a-requests', { metric: 'requests', limit: 9n, period: 'day' })
  log.cap('acme', 'b-tokens', { metric: 'tokens', limit: 100_000n, period: 'month', anchorDate: '2026-01-31' })
  log.cap('acme', 'c-money', { metric: 'money', limit: 2_000_000_000_000n, period: 'total' })
  log.cap('acme', 'd-money', { metric: 'money', limit: 3_000_000_000_000n, period: 'week' })
  log.cap('acme', 'e-member', { metric: 'requests', limit: 1n, period: 'week', anchorDate: '2026-04-30', scopeMemberId: 'ann' })
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

async function verify(facts: PlacedFact[], options?: VerifyOptions) {
  const dir = await exported(facts)
  return verifyExport(dir, options)
}

async function exported(facts: PlacedFact[]): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'pf3-verify-'))
  onTestFinished(() => rm(dir, { recursive: true }))
  await writeExport(dir, facts, partitions)
  return dir
}

test('a right history passes, and the report says what it holds', async () => {
  const report = await verify(sample(), { books: [sampleBook] })
  expect(report.problems).toEqual([])
  expect(report.tenants).toEqual([
    {
      tenantId: 'acme',
      jobs: { submitted: 10, admitted: 8, refused: 2, succeeded: 4, failed: 1, cancelled: 3, open: 0 },
      refusals: { over_cap: 1, over_max_charge: 1 },
      // By hand from the book: 5,235,850,211 + 810,500,000 + 11,497,000,500 + 13,108,000,607 + 100,150,000.
      ledger: [{ currency: 'USD', jobs: 8, chargedPico: 30_751_501_318n, recordedPico: 30_751_501_318n }],
    },
    {
      tenantId: 'solo',
      jobs: { submitted: 2, admitted: 2, refused: 0, succeeded: 1, failed: 1, cancelled: 0, open: 0 },
      refusals: {},
      ledger: [{ currency: 'USD', jobs: 2, chargedPico: 200_000_000n, recordedPico: 200_000_000n }],
    },
    {
      tenantId: 'zeta',
      jobs: { submitted: 2, admitted: 1, refused: 1, succeeded: 1, failed: 0, cancelled: 0, open: 0 },
      refusals: { over_cap: 1 },
      // 200,000,000 for the request and 31 tokens at 150,000.
      ledger: [{ currency: 'USD', jobs: 1, chargedPico: 204_650_000n, recordedPico: 204_650_000n }],
    },
  ])
})

test('jobs under way are a problem only when nobody said they may be', async () => {
  const facts = sample()
  for (const type of ['JobFailed', 'JobRated'] as const) drop(facts, type, 'never-started')
  const { problems } = await verify(facts)
  expect(problems.map(({ check, says }) => [check, says])).toEqual([['end', 'the job was admitted but never ended']])
  const { problems: none, tenants } = await verify(facts, { openAllowed: true })
  expect(none).toEqual([])
  expect(tenants[1]?.jobs).toMatchObject({ admitted: 2, succeeded: 1, open: 1 })
})

test('a published book that is none of the given ones is a problem', async () => {
  const dearer = sampleBook.replace('"0.0002"', '"0.0003"')
  const { problems } = await verify(sample(), { books: [dearer] })
  expect(problems.map(({ check, says }) => [check, says])).toEqual([['directory', expect.stringMatching(/none of the given ones/)]])
})

test('a given book need not be written as it was published', async () => {
  const reordered = JSON.stringify(Object.fromEntries(Object.entries(JSON.parse(sampleBook)).reverse()), null, 2)
  expect((await verify(sample(), { books: [dearerThan(), reordered] })).problems).toEqual([])
})

const dearerThan = () => sampleBook.replace('"0.0002"', '"0.0003"')

test('a tenant in two partitions is a problem', async () => {
  const facts = sample()
  const moved = facts.filter(({ fact }) => fact.tenantId === 'zeta')
  for (const placed of moved) placed.partition = 0
  facts.sort((a, b) => Number(a.fact.occurredAt - b.fact.occurredAt))
  const split = facts.find(({ fact }) => fact.tenantId === 'zeta' && fact.type === 'JobRefused')
  if (split) split.partition = 1
  renumber(facts)
  expect((await verify(facts)).problems).toContainEqual(expect.objectContaining({ check: 'end', says: expect.stringMatching(/never submitted/) }))
})

test('files that are not what the manifest says', async () => {
  const dir = await exported(sample())
  const path = join(dir, 'manifest.json')
  const manifest = JSON.parse(await readFile(path, 'utf8'))
  const rated = manifest.files.find((file: { event: string }) => file.event === 'JobRated')
  rated.records += 1
  manifest.files.find((file: { event: string }) => file.event === 'HoldExceeded').event = 'CapRemoved'
  await writeFile(path, JSON.stringify(manifest))
  const { problems } = await verifyExport(dir)
  const says = problems.filter(({ check }) => check === 'export').map((problem) => problem.says)
  expect(says).toEqual([
    'usage-1/HoldExceeded.avro holds HoldExceeded, not CapRemoved',
    expect.stringMatching(/^billing-\d.JobRated.avro holds \d+ records, the manifest says \d+$/),
  ])
})

test('an empty export is a problem', async () => {
  expect((await verify([])).problems).toEqual([{ check: 'export', says: 'the export is empty' }])
})

test.for([
  ['not JSON', '{'],
  ['no list of files', '{"partitions": 2}'],
  ['a file outside of the export', '{"partitions": 1, "files": [{"path": "../x", "stream": "jobs", "event": "JobRated", "partition": 0, "records": 1}]}'],
  ['a partition there is none of', '{"partitions": 1, "files": [{"path": "x", "stream": "jobs", "event": "JobRated", "partition": 1, "records": 1}]}'],
  ['a file that is missing', '{"partitions": 1, "files": [{"path": "x", "stream": "jobs", "event": "JobRated", "partition": 0, "records": 1}]}'],
])('a manifest with %s cannot be read', async ([, text = '']) => {
  const dir = await exported([])
  await writeFile(join(dir, 'manifest.json'), text)
  await expect(verifyExport(dir)).rejects.toThrow()
})

test('a damaged file cannot be read, and is not taken for an empty one', async () => {
  const dir = await exported(sample())
  const path = join(dir, 'jobs-1/JobAdmitted.avro')
  const bytes = await readFile(path)
  await writeFile(path, bytes.subarray(0, bytes.length - 40))
  const outcome = await verifyExport(dir).catch(() => undefined)
  expect(outcome?.problems.some(({ check }) => check === 'export') ?? true).toBe(true)
})

test('the command says what is wrong and exits with 0, 1 or 2', async () => {
  const run = (...args: string[]) => {
    try {
      const stdout = execFileSync(process.execPath, [join(import.meta.dirname, 'verify.ts'), ...args], { encoding: 'utf8', stdio: 'pipe' })
      return { status: 0, text: stdout }
    } catch (error) {
      const { status, stdout, stderr } = error as { status: number; stdout: string; stderr: string }
      return { status, text: stdout + stderr }
    }
  }
  const right = await exported(sample())
  const book = join(right, 'book.json')
  await writeFile(book, sampleBook)
  expect(run(right, book)).toEqual({ status: 0, text: expect.stringMatching(/USD 0\.000204650000\n\d+ events: everything holds\n$/) })
  const facts = sample()
  find(facts, 'JobRated', 'other').chargedPico += 1n
  const wrong = await exported(facts)
  expect(run(wrong)).toEqual({ status: 1, text: expect.stringMatching(/chargedPico is 204650001, should be 204650000/) })
  expect(run('--json', wrong).text).toContain('"problemCount": 1')
  expect(run(join(right, 'nowhere'))).toMatchObject({ status: 2 })
  expect(run()).toMatchObject({ status: 2, text: expect.stringMatching(/directory/) })
})

test('the verifier shares nothing with the product', async () => {
  const own = (await readdir(join(import.meta.dirname, 'verify'))).filter((name) => name !== 'sample-events.ts')
  const files = [join(import.meta.dirname, 'verify.ts'), ...own.map((name) => join(import.meta.dirname, 'verify', name))]
  const imported = new Set<string>()
  for (const file of files) {
    for (const [, from] of (await readFile(file, 'utf8')).matchAll(/(?:from|import\()\s*'([^']+)'/g)) imported.add(from ?? '')
  }
  const foreign = [...imported].filter((from) => !from.startsWith('node:') && !/^\.\/(verify\/)?[a-z-]+\.ts$/.test(from))
  expect(foreign).toEqual(['avsc'])
  expect(imported.has('./sample-events.ts')).toBe(false)
})

function find<Type extends FactType>(facts: PlacedFact[], type: Type, id: string): Extract<Fact, { type: Type }> {
  const found = facts.map(({ fact }) => fact).find((fact) => fact.type === type && idOf(fact) === id)
  if (!found) throw new Error(`The sample has no ${type} of ${id}`)
  return found as Extract<Fact, { type: Type }>
}

const idOf = (fact: Fact): string =>
  'jobId' in fact
    ? fact.jobId
    : 'capId' in fact
      ? fact.capId
      : fact.type === 'TenantRegistered'
        ? fact.registeredTenantId
        : fact.type

function drop(facts: PlacedFact[], type: FactType, id: string): void {
  const fact = find(facts, type, id)
  facts.splice(facts.findIndex((placed) => placed.fact === fact), 1)
}

function changed<T>(value: T | undefined, change: (value: T) => void): void {
  if (value === undefined) throw new Error('The sample has no such part')
  change(value)
}

/** Charges other lines, and lets sum and money settlements follow: consistent in itself, as a bug in rating would be. */
function recharge(rated: JobRated, change: (lines: JobRated['lines']) => JobRated['lines']): void {
  rated.lines = change(rated.lines.map((line) => ({ ...line })))
  for (const line of rated.lines) line.amountPico = line.quantity * line.pricePico
  rated.chargedPico = rated.lines.reduce((sum, line) => sum + line.amountPico, 0n)
  for (const settlement of rated.settlements) if (settlement.metric === 'money') settlement.settled = rated.chargedPico
}

const lineOf = (kind: 'request' | 'output', quantity: bigint, pricePico: bigint) =>
  ({ lineId: `line-${kind}`, kind, quantity, pricePico, amountPico: quantity * pricePico })

type Planted = [bug: string, check: Check, says: RegExp, plant: (facts: PlacedFact[]) => void]

const ratingBugs: Planted[] = [
  ['a wrong price', 'rating', /lines is .*3000001 = .*should be/, (facts) =>
    recharge(find(facts, 'JobRated', 'ok'), (lines) =>
      lines.map((line) => (line.kind === 'input_uncached' ? { ...line, pricePico: line.pricePico + 1n } : line)))],
  ['the price of another model', 'rating', /lines is request 1 × 1000000000/, (facts) =>
    recharge(find(facts, 'JobRated', 'cancelled-late'), () => [lineOf('request', 1n, 1_000_000_000n)])],
  ['a sum that is not that of its lines', 'rating', /chargedPico is 29/, (facts) => {
    find(facts, 'JobRated', 'other').chargedPico = 29n
  }],
  ['rounding through floating point to six decimals', 'rating', /chargedPico is 5236000000, should be 5235850211/, (facts) => {
    const rated = find(facts, 'JobRated', 'ok')
    rated.chargedPico = BigInt(Math.round((Number(rated.chargedPico) / 1e12) * 1e6)) * 1_000_000n
  }],
  ['reasoning priced on top of output', 'rating', /output 312 ×.*should be.*output 211 ×/, (facts) =>
    recharge(find(facts, 'JobRated', 'ok'), (lines) =>
      lines.map((line) => (line.kind === 'output' ? { ...line, quantity: line.quantity + 101n } : line)))],
  ['cached input priced in full', 'rating', /input_uncached 423 × .*should be/, (facts) =>
    recharge(find(facts, 'JobRated', 'ok'), (lines) =>
      lines
        .filter(({ kind }) => !kind.startsWith('input_cache'))
        .map((line) => (line.kind === 'input_uncached' ? { ...line, quantity: 423n } : line)))],
  ['a failed job charged', 'rating', /chargedPico is 1000000000, should be 0/, (facts) =>
    recharge(find(facts, 'JobRated', 'failed'), () => [lineOf('request', 1n, 1_000_000_000n)])],
  ['a cancelled job without known usage charged', 'rating', /chargedPico is 500000000, should be 0/, (facts) =>
    recharge(find(facts, 'JobRated', 'cancelled-unknown'), () => [lineOf('request', 1n, 500_000_000n)])],
  ['work under the own key charged as under the platform\'s', 'rating', /request 1 × .*should be platform_fee/, (facts) =>
    recharge(find(facts, 'JobRated', 'own-key'), () => [lineOf('request', 1n, 1_000_000_000n)])],
  ['the request charged per attempt', 'rating', /request 2 × .*should be request 1/, (facts) =>
    recharge(find(facts, 'JobRated', 'ok'), (lines) =>
      lines.map((line) => (line.kind === 'request' ? { ...line, quantity: 2n } : line)))],
  ['a free job where something was used', 'rating', /lines is none/, (facts) =>
    recharge(find(facts, 'JobRated', 'other'), () => [])],
  ['the charge cut to what was held', 'rating', /chargedPico is 12250000500, should be 13108000607/, (facts) => {
    find(facts, 'JobRated', 'excess').chargedPico = 12_250_000_500n
  }],
  ['the provider\'s cost left out', 'rating', /providerCostPico is null/, (facts) => {
    find(facts, 'JobRated', 'ok').providerCostPico = null
  }],
  ['a price book nobody published', 'rating', /priceBookHash is abc/, (facts) => {
    find(facts, 'JobRated', 'ok').priceBookHash = 'abc'
  }],
  ['a charge that points at another job\'s usage', 'rating', /usageEventId is/, (facts) => {
    find(facts, 'JobRated', 'ok').usageEventId = find(facts, 'UsageMetered', 'failed').eventId
  }],
  ['a charge in the wrong month', 'rating', /billingPeriod is 2026-04, should be 2026-03/, (facts) => {
    find(facts, 'JobRated', 'ok').billingPeriod = '2026-04'
  }],
  ['a charge dated at its end instead of its admission', 'rating', /admittedAt is/, (facts) => {
    const rated = find(facts, 'JobRated', 'ok')
    rated.admittedAt = rated.occurredAt
  }],
  ['a job charged twice', 'rating', /it is charged twice/, (facts) => {
    const rated = find(facts, 'JobRated', 'ok')
    const lines = rated.lines.map((line) => ({ ...line, lineId: `${line.lineId}-again` }))
    facts.push({ partition: 1, fact: { ...rated, eventId: 'again', lines, occurredAt: lastTime(facts) } })
    renumber(facts)
  }],
  ['a ledger line that stands in two charges', 'rating', /comes twice/, (facts) =>
    changed(find(facts, 'JobRated', 'across-midnight').lines[0], (line) => {
      line.lineId = find(facts, 'JobRated', 'ok').lines[0]?.lineId ?? ''
    })],
  ['a job never rated', 'rating', /ended as succeeded but was never rated/, (facts) => {
    drop(facts, 'JobRated', 'ok')
    renumber(facts)
  }],
  ['a refused job rated', 'end', /JobRated of a job that was not admitted/, (facts) => {
    find(facts, 'JobRated', 'ok').jobId = 'refused-member'
  }],
  ['an outcome that is not the job\'s', 'rating', /outcome is succeeded, should be failed/, (facts) => {
    find(facts, 'JobRated', 'failed').outcome = 'succeeded'
  }],
]

const lastTime = (facts: PlacedFact[]): bigint => facts.at(-1)?.fact.occurredAt ?? 0n

const usageBugs: Planted[] = [
  ['figures other than those the failed call reported', 'usage', /outputTokens is 21, should be 20/, (facts) => {
    find(facts, 'UsageMetered', 'failed').outputTokens = 21n
  }],
  ['usage metered twice', 'usage', /was metered before/, (facts) => {
    const usage = find(facts, 'UsageMetered', 'ok')
    const at = facts.findIndex(({ fact }) => fact === usage)
    facts.splice(at, 0, { partition: 1, fact: { ...usage, eventId: 'again' } })
    renumber(facts)
  }],
  ['usage never metered', 'usage', /was never metered/, (facts) => {
    drop(facts, 'UsageMetered', 'ok')
    renumber(facts)
  }],
  ['usage under another model', 'usage', /model is small, should be big/, (facts) => {
    find(facts, 'UsageMetered', 'ok').model = 'small'
  }],
  ['more reasoning than output', 'usage', /more reasoning than output/, (facts) => {
    find(facts, 'UsageMetered', 'ok').reasoningTokens = 212n
  }],
  ['excess that is not told', 'excess', /HoldExceeded is money: 13108000607 instead of 12250000500, 858000107 more, should be tokens: 1608/, (facts) => {
    drop(facts, 'HoldExceeded', 'excess')
    renumber(facts)
  }],
  ['excess off by one', 'excess', /109 more.*should be.*108 more/, (facts) => {
    const exceeded = find(facts, 'HoldExceeded', 'excess')
    exceeded.actual += 1n
    exceeded.excess += 1n
  }],
]

const capBugs: Planted[] = [
  ['a cap overshot by one unit', 'admission', /cap b-tokens is passed by 1: /, (facts) => {
    const { caps, tokensHeld } = find(facts, 'JobAdmitted', 'across-midnight')
    const tightest = caps.find(({ capId }) => capId === 'b-tokens')
    const limit = (tightest?.settledBefore ?? 0n) + (tightest?.heldBefore ?? 0n) + tokensHeld - 1n
    find(facts, 'CapSet', 'b-tokens').limit = limit
    for (const { fact } of facts) {
      if (fact.type === 'JobAdmitted') for (const hold of fact.caps) if (hold.capId === 'b-tokens') hold.limit = limit
    }
  }],
  ['a cap that was forgotten', 'admission', /caps is a-requests, b-tokens, d-money, e-member, should be/, (facts) => {
    const job = find(facts, 'JobAdmitted', 'ok')
    job.caps = job.caps.filter(({ capId }) => capId !== 'c-money')
  }],
  ['a settled amount that forgot a job', 'admission', /a-requests.settledBefore is 0, should be 1/, (facts) =>
    changed(find(facts, 'JobAdmitted', 'failed').caps[0], (hold) => {
      hold.settledBefore -= 1n
    })],
  ['a hold that forgot a job', 'admission', /heldBefore is 0, should be 1/, (facts) =>
    changed(find(facts, 'JobAdmitted', 'cancelled-early').caps[0], (hold) => {
      hold.heldBefore -= 1n
    })],
  ['an outdated limit', 'admission', /d-money.limit is 3000000000000, should be 1000000000000/, (facts) =>
    changed(find(facts, 'JobAdmitted', 'cancelled-late').caps[3], (hold) => {
      hold.limit = 3_000_000_000_000n
    })],
  ['a day that begins at midnight in London', 'admission', /period of cap a-requests does not start where a local day/, (facts) =>
    changed(find(facts, 'JobAdmitted', 'ok').caps[0], (hold) => {
      hold.periodStart += 3_600_000_000n
    })],
  ['a day of 24 hours where the clocks jump', 'admission', /period of cap a-requests does not end where a local day/, (facts) =>
    changed(find(facts, 'JobAdmitted', 'own-key').caps[0], (hold) => {
      hold.periodEnd = hold.periodStart + 86_400_000_000n
    })],
  ['an anchored month that began on the wrong day', 'admission', /period of cap b-tokens does not start on day 31/, (facts) =>
    changed(find(facts, 'JobAdmitted', 'ok').caps[1], (hold) => {
      hold.periodStart += 86_400_000_000n
    })],
  ['a hold below the dearest step', 'admission', /heldPico is 1250000000, should be 12250000500/, (facts) => {
    find(facts, 'JobAdmitted', 'ok').heldPico = 1_250_000_000n
  }],
  ['a token hold without the output', 'admission', /tokensHeld is 1000, should be 1500/, (facts) => {
    find(facts, 'JobAdmitted', 'ok').tokensHeld = 1_000n
  }],
  ['an admission in the wrong month', 'admission', /billingPeriod is 2026-02/, (facts) => {
    find(facts, 'JobAdmitted', 'ok').billingPeriod = '2026-02'
  }],
  ['a job admitted twice', 'admission', /was answered before/, (facts) => {
    const admitted = find(facts, 'JobAdmitted', 'ok')
    const at = facts.findIndex(({ fact }) => fact === admitted)
    facts.splice(at, 0, { partition: 1, fact: { ...admitted, eventId: 'again' } })
    renumber(facts)
  }],
  ['a job never answered', 'admission', /neither admitted nor refused/, (facts) => {
    drop(facts, 'JobRefused', 'refused-member')
    renumber(facts)
  }],
  ['a settlement to another cap', 'settlement', /caps is a-requests, c-money, c-money, e-member, should be/, (facts) => {
    const [, first] = find(facts, 'JobRated', 'ok').settlements.filter(({ metric }) => metric === 'money')
    changed(first, (settlement) => {
      settlement.capId = 'c-money'
    })
  }],
  ['a settlement in the next period', 'settlement', /a-requests.periodStart is/, (facts) =>
    changed(find(facts, 'JobRated', 'across-midnight').settlements[0], (settlement) => {
      settlement.periodStart += 86_400_000_000n
    })],
  ['tokens settled at what was held', 'settlement', /b-tokens.settled is 1500, should be 634/, (facts) =>
    changed(find(facts, 'UsageMetered', 'ok').settlements[0], (settlement) => {
      settlement.settled = settlement.held
    })],
  ['a request given back although an attempt started', 'settlement', /a-requests.settled is 0, should be 1/, (facts) =>
    changed(find(facts, 'JobRated', 'failed').settlements[0], (settlement) => {
      settlement.settled = 0n
    })],
  ['a request kept although no attempt started', 'settlement', /a-requests.settled is 1, should be 0/, (facts) =>
    changed(find(facts, 'JobRated', 'cancelled-early').settlements[0], (settlement) => {
      settlement.settled = 1n
    })],
  ['a hold that is never given up', 'hold', /cap b-tokens still holds 1500/, (facts) => {
    find(facts, 'UsageMetered', 'ok').settlements = []
  }],
  ['a refusal of what would have fitted', 'refusal', /1 fits under cap e-member, where 1 is free/, (facts) => {
    find(facts, 'CapSet', 'e-member').limit = 2n
  }],
  ['a refusal that tells the wrong free amount', 'refusal', /free is 20, should be 10/, (facts) =>
    changed(find(facts, 'JobRefused', 'refused-tokens').cap ?? undefined, (cap) => {
      cap.free = 20n
    })],
  ['a refusal at a charge the caller accepts', 'refusal', /the caller accepts what it could cost/, (facts) => {
    find(facts, 'JobSubmitted', 'refused-charge').maxCharge = 10n ** 15n
  }],
  ['a cap version that comes twice', 'cap', /has version 2 instead of 3/, (facts) => {
    find(facts, 'CapRemoved', 'd-money').version = 2n
  }],
  ['a cap that counts from before it was set', 'cap', /counts from/, (facts) => {
    find(facts, 'CapSet', 'c-money').countsFrom -= 1n
  }],
]

const lifeBugs: Planted[] = [
  ['a lost event', 'order', /seq \d+ follows \d+/, (facts) => drop(facts, 'AttemptStarted', 'other')],
  ['the last event of a partition lost', 'rating', /never rated/, (facts) => drop(facts, 'JobRated', 'never-started')],
  ['an event that comes twice', 'order', /comes twice/, (facts) => {
    const fact = find(facts, 'CapSet', 'c-money')
    facts.push({ partition: 1, fact: { ...fact, capId: 'again', occurredAt: lastTime(facts), countsFrom: lastTime(facts) } })
    renumber(facts)
  }],
  ['time that goes back', 'order', /occurredAt goes back/, (facts) => {
    find(facts, 'JobSucceeded', 'ok').occurredAt -= 3_600_000_000n
  }],
  ['a missing end', 'end', /JobRated.*not ended|never ended/, (facts) => {
    for (const type of ['JobSucceeded', 'UsageMetered', 'JobRated'] as const) drop(facts, type, 'other')
    renumber(facts)
  }],
  ['a second end', 'end', /JobFailed after the job's end/, (facts) => {
    const end = find(facts, 'JobSucceeded', 'ok')
    const { tenantId, jobId, occurredAt } = end
    const header = { seq: 0n, actor: '', correlationId: '', causedBy: '', intakeOffset: null, traceparent: null }
    const second: Fact = { ...header, type: 'JobFailed', tenantId, jobId, occurredAt, eventId: 'second', code: '', attempts: 2 }
    facts.splice(facts.findIndex(({ fact }) => fact === end) + 1, 0, { partition: 1, fact: second })
    renumber(facts)
  }],
  ['an end that miscounts its attempts', 'end', /attempts is 1, should be 2/, (facts) => {
    find(facts, 'JobFailed', 'failed').attempts = 1
  }],
  ['an outcome without a start', 'attempt', /JobSucceeded without an attempt under way/, (facts) => {
    drop(facts, 'AttemptStarted', 'other')
    renumber(facts)
  }],
  ['more attempts than allowed', 'attempt', /more than 1 attempts/, (facts) => {
    find(facts, 'JobAdmitted', 'ok').attemptsMax = 1
  }],
  ['an attempt with the wrong number', 'attempt', /attemptNo is 5, should be 1/, (facts) => {
    find(facts, 'AttemptStarted', 'other').attemptNo = 5
  }],
  ['an attempt off the route', 'attempt', /is no step of the route/, (facts) => {
    find(facts, 'AttemptStarted', 'other').keyOwner = 'ancestor'
  }],
  ['an attempt after the last', 'attempt', /was said to be the last/, (facts) => {
    find(facts, 'AttemptFailed', 'ok').retryAt = null
  }],
  ['a job that was never submitted', 'end', /of a job that was never submitted/, (facts) => {
    find(facts, 'JobSucceeded', 'other').jobId = 'nobody'
  }],
  ['another tenant\'s event', 'end', /of another tenant's job/, (facts) => {
    find(facts, 'JobSucceeded', 'other').tenantId = 'acme'
  }],
]

const directoryBugs: Planted[] = [
  ['a book that is not what its hash says', 'directory', /the hash is not that of the book/, (facts) => {
    const [first] = facts
    if (first?.fact.type === 'PriceBookPublished') first.fact.book = first.fact.book.replace('"3"', '"4"')
  }],
  ['a currency that is not the tenant\'s', 'admission', /currency is EUR, should be USD/, (facts) => {
    find(facts, 'JobAdmitted', 'ok').currency = 'EUR'
  }],
  ['a time zone that is not the tenant\'s', 'admission', /timeZone is UTC, should be Europe.Berlin/, (facts) => {
    find(facts, 'JobAdmitted', 'ok').timeZone = 'UTC'
  }],
  ['a price book of before it was known', 'admission', /priceBookHash is \w+, should be undefined/, (facts) => {
    find(facts, 'JobAdmitted', 'ok').directoryVersion = 0n
  }],
]

/** One field that says something else than the rest of the history. */
function tampered<Type extends FactType>(
  type: Type,
  id: string,
  field: keyof Extract<Fact, { type: Type }> & string,
  value: Extract<Fact, { type: Type }>[typeof field],
  check: Check,
  says: RegExp,
): Planted {
  return [`another ${field} in ${type} of ${id}`, check, says, (facts) => Object.assign(find(facts, type, id), { [field]: value })]
}

/** The same inside the hold of a cap, the refusal at a cap, or a settlement. */
function tamperedPart(what: string, part: (facts: PlacedFact[]) => object | null | undefined, change: object, check: Check, says: RegExp): Planted {
  return [`another ${Object.keys(change).join()} in ${what}`, check, says, (facts) =>
    changed(part(facts) ?? undefined, (found) => Object.assign(found, change))]
}

const holdOf = (id: string, index: number) => (facts: PlacedFact[]) => find(facts, 'JobAdmitted', id).caps[index]
const refusalOf = (id: string) => (facts: PlacedFact[]) => find(facts, 'JobRefused', id).cap

const fieldBugs: Planted[] = [
  tampered('JobAdmitted', 'ok', 'memberId', 'bob', 'admission', /memberId is bob, should be ann/),
  tampered('JobAdmitted', 'ok', 'capability', 'x', 'admission', /capability is x/),
  tampered('JobAdmitted', 'ok', 'requestsHeld', 2n, 'admission', /requestsHeld is 2, should be 1/),
  tampered('JobSubmitted', 'ok', 'maxCharge', 1n, 'admission', /more is held than the caller accepts/),
  tampered('TenantRegistered', 'solo', 'registeredTenantId', 'nobody', 'admission', /tenant is not registered/),
  tamperedPart('a hold', holdOf('ok', 0), { capVersion: 9n }, 'admission', /a-requests.capVersion is 9, should be 1/),
  tamperedPart('a hold', holdOf('ok', 0), { metric: 'tokens' }, 'admission', /a-requests.metric is tokens, should be requests/),
  tamperedPart('a hold', holdOf('ok', 0), { held: 0n }, 'admission', /a-requests.held is 0, should be 1/),
  tamperedPart('a hold of a total cap', holdOf('ok', 2), { periodEnd: 10n ** 16n }, 'admission', /c-money is not the whole life/),
  tamperedPart('a hold', holdOf('ok', 0), { periodEnd: null }, 'admission', /a-requests never ends/),
  ['a hold in yesterday', 'admission', /a-requests does not hold the moment/, (facts) =>
    changed(find(facts, 'JobAdmitted', 'own-key').caps[0], (hold) =>
      Object.assign(hold, { periodStart: hold.periodStart - 86_400_000_000n, periodEnd: hold.periodStart }))],
  tampered('JobRefused', 'refused-charge', 'heldPico', 7n, 'refusal', /no route could cost 7/),
  tampered('JobRefused', 'refused-member', 'reason', 'queue_full', 'refusal', /names a cap although/),
  tampered('JobRefused', 'refused-member', 'cap', null, 'refusal', /does not name the cap/),
  tamperedPart('a refusal', refusalOf('refused-member'), { capId: 'nothing' }, 'refusal', /nothing does not apply/),
  tamperedPart('a refusal', refusalOf('refused-member'), { capId: 'c-money' }, 'refusal', /no route could cost 1/),
  tamperedPart('a refusal', refusalOf('refused-member'), { capVersion: 9n }, 'refusal', /capVersion is 9/),
  tamperedPart('a refusal', refusalOf('refused-member'), { metric: 'money' }, 'refusal', /metric is money/),
  tamperedPart('a refusal', refusalOf('refused-member'), { limit: 9n }, 'refusal', /limit is 9/),
  tamperedPart('a refusal', refusalOf('refused-tokens'), { needed: 41n }, 'refusal', /needed is 41, should be 40/),
  tamperedPart('a refusal', refusalOf('refused-tokens'), { resetsAt: null }, 'refusal', /never ends/),
  ['an attempt before the last has ended', 'attempt', /still under way/, (facts) => {
    drop(facts, 'AttemptFailed', 'ok')
    renumber(facts)
  }],
  ['an attempt id that comes twice', 'attempt', /its id was used before/, (facts) => {
    const [first, second] = facts.flatMap(({ fact }) => (fact.type === 'AttemptStarted' && fact.jobId === 'ok' ? [fact] : []))
    Object.assign(second ?? {}, { attemptId: first?.attemptId })
  }],
  tampered('AttemptFailed', 'ok', 'retryAt', 10n ** 17n, 'attempt', /starts before its time/),
  tampered('JobSucceeded', 'ok', 'model', 'small', 'attempt', /model is small, should be big/),
  tampered('JobSucceeded', 'ok', 'attemptNo', 1, 'attempt', /attemptNo is 1, should be 2/),
  tampered('JobSucceeded', 'ok', 'attemptId', 'x', 'attempt', /attemptId is x/),
  tampered('AttemptFailed', 'failed', 'provider', 'x', 'attempt', /provider is x/),
  ['a job that fails while its attempt is under way', 'end', /while its attempt was under way/, (facts) => {
    const failures = facts.filter(({ fact }) => fact.type === 'AttemptFailed' && fact.jobId === 'failed')
    facts.splice(facts.findIndex((placed) => placed === failures.at(-1)), 1)
    renumber(facts)
  }],
  ['usage before the end', 'usage', /the job has not ended/, (facts) => {
    const end = facts.findIndex(({ fact }) => fact.type === 'JobSucceeded' && fact.jobId === 'ok')
    const [placed] = facts.splice(end, 1)
    if (placed) facts.splice(end + 1, 0, placed)
    const times = [facts[end], facts[end + 1]].map((found) => found?.fact.occurredAt ?? 0n).sort()
    for (const [index, time] of times.entries()) Object.assign(facts[end + index]?.fact ?? {}, { occurredAt: time })
    renumber(facts)
  }],
  ['usage although no attempt started', 'usage', /no attempt started/, (facts) => {
    const usage = { ...find(facts, 'UsageMetered', 'own-key'), jobId: 'cancelled-early', eventId: 'x', settlements: [] }
    const at = facts.findIndex(({ fact }) => fact.type === 'JobRated' && fact.jobId === 'cancelled-early')
    facts.splice(at, 0, { partition: 1, fact: { ...usage, occurredAt: facts[at]?.fact.occurredAt ?? 0n } })
    renumber(facts)
  }],
  tampered('UsageMetered', 'ok', 'memberId', 'bob', 'usage', /memberId is bob/),
  tampered('UsageMetered', 'ok', 'capability', 'x', 'usage', /capability is x/),
  tampered('UsageMetered', 'ok', 'tokensHeld', 1n, 'usage', /tokensHeld is 1/),
  tampered('UsageMetered', 'ok', 'inputUncachedTokens', -1n, 'usage', /below 0/),
  tampered('UsageMetered', 'ok', 'source', 'absent', 'usage', /figures although none/),
  tampered('UsageMetered', 'own-key', 'source', 'absent', 'usage', /succeeded without figures/),
  tampered('UsageMetered', 'cancelled-late', 'source', 'absent', 'usage', /whether figures are known is false, should be true/),
  ...(['capVersion', 'held'] as const).map((field) =>
    tamperedPart('a settlement', (facts) => find(facts, 'JobRated', 'ok').settlements[0], { [field]: 8n }, 'settlement', new RegExp(`a-requests.${field} is 8, should be 1`))),
  tamperedPart('a settlement', (facts) => find(facts, 'JobRated', 'ok').settlements[0], { metric: 'money' }, 'settlement', /a-requests.metric is money/),
  tampered('JobRated', 'ok', 'memberId', 'bob', 'rating', /memberId is bob/),
  tampered('JobRated', 'ok', 'capability', 'x', 'rating', /capability is x/),
  tampered('JobRated', 'ok', 'attempts', 1, 'rating', /attempts is 1, should be 2/),
  tampered('JobRated', 'ok', 'currency', 'EUR', 'rating', /currency is EUR/),
  tampered('JobRated', 'ok', 'provider', 'x', 'rating', /provider is x/),
  tampered('JobRated', 'ok', 'model', 'x', 'rating', /model is x/),
  tampered('JobRated', 'ok', 'keyOwner', 'tenant', 'rating', /keyOwner is tenant/),
  tampered('JobRated', 'ok', 'heldPico', 1n, 'rating', /heldPico is 1,/),
  tampered('CapRemoved', 'd-money', 'capId', 'nothing', 'cap', /removes a cap that is not in force/),
  tampered('PriceBookPublished', 'PriceBookPublished', 'currency', 'EUR', 'directory', /currency is not the book's USD/),
  tampered('PriceBookPublished', 'PriceBookPublished', 'effectiveFrom', 1n, 'directory', /effectiveFrom is not the book's/),
  ['a tenant registered twice', 'directory', /registers acme again/, (facts) => {
    Object.assign(find(facts, 'TenantRegistered', 'solo'), { registeredTenantId: 'acme' })
  }],
  ['a book that is not canonical', 'directory', /the book is not canonical/, (facts) => {
    const published = find(facts, 'PriceBookPublished', 'PriceBookPublished')
    published.book = published.book.replace('{', '{ ')
    published.hash = createHash('sha256').update(published.book).digest('hex')
  }],
]

test.for([...ratingBugs, ...usageBugs, ...capBugs, ...lifeBugs, ...directoryBugs, ...fieldBugs])('%s is caught', async ([, check, says, plant]) => {
  const facts = sample()
  plant(facts)
  const { problems } = await verify(facts)
  const found = problems.filter((problem) => problem.check === check).map((problem) => problem.says)
  expect(found.join('\n')).toMatch(says)
})
