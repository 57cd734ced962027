import { renumber } from '../testing/sample-events.ts'
import { changed, drop, find, lastTime, lineOf, type Planted, recharge, testCaught } from '../testing/spoil.ts'

const ratingBugs: Planted[] = [
  [
    'a wrong price',
    'rating',
    /lines is .*3000001 = .*should be/,
    (facts) =>
      recharge(find(facts, 'JobRated', 'ok'), (lines) =>
        lines.map((line) => (line.kind === 'input_uncached' ? { ...line, pricePico: line.pricePico + 1n } : line)),
      ),
  ],
  [
    'the price of another model',
    'rating',
    /lines is request 1 × 1000000000/,
    (facts) => recharge(find(facts, 'JobRated', 'cancelled-late'), () => [lineOf('request', 1n, 1_000_000_000n)]),
  ],
  [
    'a sum that is not that of its lines',
    'rating',
    /chargedPico is 29/,
    (facts) => {
      find(facts, 'JobRated', 'other').chargedPico = 29n
    },
  ],
  [
    'rounding through floating point to six decimals',
    'rating',
    /chargedPico is 5236000000, should be 5235850211/,
    (facts) => {
      const rated = find(facts, 'JobRated', 'ok')
      rated.chargedPico = BigInt(Math.round((Number(rated.chargedPico) / 1e12) * 1e6)) * 1_000_000n
    },
  ],
  [
    'reasoning priced on top of output',
    'rating',
    /output 312 ×.*should be.*output 211 ×/,
    (facts) =>
      recharge(find(facts, 'JobRated', 'ok'), (lines) =>
        lines.map((line) => (line.kind === 'output' ? { ...line, quantity: line.quantity + 101n } : line)),
      ),
  ],
  [
    'cached input priced in full',
    'rating',
    /input_uncached 423 × .*should be/,
    (facts) =>
      recharge(find(facts, 'JobRated', 'ok'), (lines) =>
        lines
          .filter(({ kind }) => !kind.startsWith('input_cache'))
          .map((line) => (line.kind === 'input_uncached' ? { ...line, quantity: 423n } : line)),
      ),
  ],
  [
    'a failed job charged',
    'rating',
    /chargedPico is 1000000000, should be 0/,
    (facts) => recharge(find(facts, 'JobRated', 'failed'), () => [lineOf('request', 1n, 1_000_000_000n)]),
  ],
  [
    'a cancelled job without known usage charged',
    'rating',
    /chargedPico is 500000000, should be 0/,
    (facts) => recharge(find(facts, 'JobRated', 'cancelled-unknown'), () => [lineOf('request', 1n, 500_000_000n)]),
  ],
  [
    "work under the own key charged as under the platform's",
    'rating',
    /request 1 × .*should be platform_fee/,
    (facts) => recharge(find(facts, 'JobRated', 'own-key'), () => [lineOf('request', 1n, 1_000_000_000n)]),
  ],
  [
    'the request charged per attempt',
    'rating',
    /request 2 × .*should be request 1/,
    (facts) =>
      recharge(find(facts, 'JobRated', 'ok'), (lines) =>
        lines.map((line) => (line.kind === 'request' ? { ...line, quantity: 2n } : line)),
      ),
  ],
  [
    'a free job where something was used',
    'rating',
    /lines is none/,
    (facts) => recharge(find(facts, 'JobRated', 'other'), () => []),
  ],
  [
    'the charge cut to what was held',
    'rating',
    /chargedPico is 12250000500, should be 13108000607/,
    (facts) => {
      find(facts, 'JobRated', 'excess').chargedPico = 12_250_000_500n
    },
  ],
  [
    "the provider's cost left out",
    'rating',
    /providerCostPico is null/,
    (facts) => {
      find(facts, 'JobRated', 'ok').providerCostPico = null
    },
  ],
  [
    'a price book nobody published',
    'rating',
    /priceBookHash is abc/,
    (facts) => {
      find(facts, 'JobRated', 'ok').priceBookHash = 'abc'
    },
  ],
  [
    "a charge that points at another job's usage",
    'rating',
    /usageEventId is/,
    (facts) => {
      find(facts, 'JobRated', 'ok').usageEventId = find(facts, 'UsageMetered', 'failed').eventId
    },
  ],
  [
    'a charge in the wrong month',
    'rating',
    /billingPeriod is 2026-04, should be 2026-03/,
    (facts) => {
      find(facts, 'JobRated', 'ok').billingPeriod = '2026-04'
    },
  ],
  [
    'a charge dated at its end instead of its admission',
    'rating',
    /admittedAt is/,
    (facts) => {
      const rated = find(facts, 'JobRated', 'ok')
      rated.admittedAt = rated.occurredAt
    },
  ],
  [
    'a job charged twice',
    'rating',
    /it is charged twice/,
    (facts) => {
      const rated = find(facts, 'JobRated', 'ok')
      const lines = rated.lines.map((line) => ({ ...line, lineId: `${line.lineId}-again` }))
      facts.push({ partition: 1, fact: { ...rated, eventId: 'again', lines, occurredAt: lastTime(facts) } })
      renumber(facts)
    },
  ],
  [
    'a ledger line that stands in two charges',
    'rating',
    /comes twice/,
    (facts) =>
      changed(find(facts, 'JobRated', 'across-midnight').lines[0], (line) => {
        line.lineId = find(facts, 'JobRated', 'ok').lines[0]?.lineId ?? ''
      }),
  ],
  [
    'a job never rated',
    'rating',
    /ended as succeeded but was never rated/,
    (facts) => {
      drop(facts, 'JobRated', 'ok')
      renumber(facts)
    },
  ],
  [
    'a refused job rated',
    'end',
    /JobRated of a job that was not admitted/,
    (facts) => {
      find(facts, 'JobRated', 'ok').jobId = 'refused-member'
    },
  ],
  [
    "an outcome that is not the job's",
    'rating',
    /outcome is succeeded, should be failed/,
    (facts) => {
      find(facts, 'JobRated', 'failed').outcome = 'succeeded'
    },
  ],
]

const usageBugs: Planted[] = [
  [
    'figures other than those the failed call reported',
    'usage',
    /outputTokens is 21, should be 20/,
    (facts) => {
      find(facts, 'UsageMetered', 'failed').outputTokens = 21n
    },
  ],
  [
    'usage metered twice',
    'usage',
    /was metered before/,
    (facts) => {
      const usage = find(facts, 'UsageMetered', 'ok')
      const at = facts.findIndex(({ fact }) => fact === usage)
      facts.splice(at, 0, { partition: 1, fact: { ...usage, eventId: 'again' } })
      renumber(facts)
    },
  ],
  [
    'usage never metered',
    'usage',
    /was never metered/,
    (facts) => {
      drop(facts, 'UsageMetered', 'ok')
      renumber(facts)
    },
  ],
  [
    'usage under another model',
    'usage',
    /model is small, should be big/,
    (facts) => {
      find(facts, 'UsageMetered', 'ok').model = 'small'
    },
  ],
  [
    'more reasoning than output',
    'usage',
    /more reasoning than output/,
    (facts) => {
      find(facts, 'UsageMetered', 'ok').reasoningTokens = 212n
    },
  ],
  [
    'excess that is not told',
    'excess',
    /HoldExceeded is money: 13108000607 instead of 12250000500, 858000107 more, should be tokens: 1608/,
    (facts) => {
      drop(facts, 'HoldExceeded', 'excess')
      renumber(facts)
    },
  ],
  [
    'excess off by one',
    'excess',
    /109 more.*should be.*108 more/,
    (facts) => {
      const exceeded = find(facts, 'HoldExceeded', 'excess')
      exceeded.actual += 1n
      exceeded.excess += 1n
    },
  ],
]

testCaught([...ratingBugs, ...usageBugs])
