import { createHash } from 'node:crypto'
import { type PlacedFact, renumber } from '../testing/sample-events.ts'
import {
  changed,
  drop,
  find,
  holdOf,
  type Planted,
  refusalOf,
  tampered,
  tamperedPart,
  testCaught,
} from '../testing/spoil.ts'

const fieldBugs: Planted[] = [
  tampered('JobAdmitted', 'ok', 'memberId', 'bob', 'admission', /memberId is bob, should be ann/),
  tampered('JobAdmitted', 'ok', 'capability', 'x', 'admission', /capability is x/),
  tampered('JobAdmitted', 'ok', 'requestsHeld', 2n, 'admission', /requestsHeld is 2, should be 1/),
  tampered('JobSubmitted', 'ok', 'maxCharge', 1n, 'admission', /more is held than the caller accepts/),
  tampered('TenantRegistered', 'solo', 'registeredTenantId', 'nobody', 'admission', /tenant is not registered/),
  tamperedPart('a hold', holdOf('ok', 0), { capVersion: 9n }, 'admission', /a-requests.capVersion is 9, should be 1/),
  tamperedPart(
    'a hold',
    holdOf('ok', 0),
    { metric: 'tokens' },
    'admission',
    /a-requests.metric is tokens, should be requests/,
  ),
  tamperedPart('a hold', holdOf('ok', 0), { held: 0n }, 'admission', /a-requests.held is 0, should be 1/),
  tamperedPart(
    'a hold of a total cap',
    holdOf('ok', 2),
    { periodEnd: 10n ** 16n },
    'admission',
    /c-money is not the whole life/,
  ),
  tamperedPart('a hold', holdOf('ok', 0), { periodEnd: null }, 'admission', /a-requests never ends/),
  [
    'a hold in yesterday',
    'admission',
    /a-requests does not hold the moment/,
    (facts) =>
      changed(find(facts, 'JobAdmitted', 'own-key').caps[0], (hold) =>
        Object.assign(hold, { periodStart: hold.periodStart - 86_400_000_000n, periodEnd: hold.periodStart }),
      ),
  ],
  tampered('JobRefused', 'refused-charge', 'heldPico', 7n, 'refusal', /no route could cost 7/),
  tampered('JobRefused', 'refused-member', 'reason', 'queue_full', 'refusal', /names a cap although/),
  tampered('JobRefused', 'refused-tokens', 'timeZone', 'UTC', 'refusal', /timeZone is UTC, should be Africa.Lagos/),
  tampered('JobRefused', 'refused-charge', 'priceBookHash', null, 'refusal', /priceBookHash is null, should be \w+/),
  tampered('JobRefused', 'refused-charge', 'directoryVersion', 0n, 'refusal', /should be undefined/),
  tampered('JobRefused', 'refused-member', 'cap', null, 'refusal', /does not name the cap/),
  tamperedPart('a refusal', refusalOf('refused-member'), { capId: 'nothing' }, 'refusal', /nothing does not apply/),
  tamperedPart('a refusal', refusalOf('refused-member'), { capId: 'c-money' }, 'refusal', /no route could cost 1/),
  tamperedPart('a refusal', refusalOf('refused-member'), { capVersion: 9n }, 'refusal', /capVersion is 9/),
  tamperedPart('a refusal', refusalOf('refused-member'), { metric: 'money' }, 'refusal', /metric is money/),
  tamperedPart('a refusal', refusalOf('refused-member'), { limit: 9n }, 'refusal', /limit is 9/),
  tamperedPart('a refusal', refusalOf('refused-tokens'), { needed: 41n }, 'refusal', /needed is 41, should be 40/),
  tamperedPart('a refusal', refusalOf('refused-tokens'), { resetsAt: null }, 'refusal', /never ends/),
  [
    'an attempt before the last has ended',
    'attempt',
    /still under way/,
    (facts) => {
      drop(facts, 'AttemptFailed', 'ok')
      renumber(facts)
    },
  ],
  [
    'an attempt id that comes twice',
    'attempt',
    /its id was used before/,
    (facts) => {
      const [first, second] = facts.flatMap(({ fact }) =>
        fact.type === 'AttemptStarted' && fact.jobId === 'ok' ? [fact] : [],
      )
      Object.assign(second ?? {}, { attemptId: first?.attemptId })
    },
  ],
  tampered('AttemptFailed', 'ok', 'retryAt', 10n ** 17n, 'attempt', /starts before its time/),
  tampered('JobSucceeded', 'ok', 'model', 'small', 'attempt', /model is small, should be big/),
  tampered('JobSucceeded', 'ok', 'attemptNo', 1, 'attempt', /attemptNo is 1, should be 2/),
  tampered('JobSucceeded', 'ok', 'attemptId', 'x', 'attempt', /attemptId is x/),
  tampered('AttemptFailed', 'failed', 'provider', 'x', 'attempt', /provider is x/),
  [
    'a job that fails while its attempt is under way',
    'end',
    /while its attempt was under way/,
    (facts) => {
      const isFailure = ({ fact }: PlacedFact) => fact.type === 'AttemptFailed' && fact.jobId === 'failed'
      facts.splice(facts.findLastIndex(isFailure), 1)
      renumber(facts)
    },
  ],
  [
    'usage before the end',
    'usage',
    /the job has not ended/,
    (facts) => {
      const end = facts.findIndex(({ fact }) => fact.type === 'JobSucceeded' && fact.jobId === 'ok')
      const [placed] = facts.splice(end, 1)
      if (placed) facts.splice(end + 1, 0, placed)
      const times = [facts[end], facts[end + 1]].map((found) => found?.fact.occurredAt ?? 0n).sort()
      for (const [index, time] of times.entries()) Object.assign(facts[end + index]?.fact ?? {}, { occurredAt: time })
      renumber(facts)
    },
  ],
  [
    'usage although no attempt started',
    'usage',
    /no attempt started/,
    (facts) => {
      const usage = {
        ...find(facts, 'UsageMetered', 'own-key'),
        jobId: 'cancelled-early',
        eventId: 'x',
        settlements: [],
      }
      const at = facts.findIndex(({ fact }) => fact.type === 'JobRated' && fact.jobId === 'cancelled-early')
      facts.splice(at, 0, { partition: 1, fact: { ...usage, occurredAt: facts[at]?.fact.occurredAt ?? 0n } })
      renumber(facts)
    },
  ],
  tampered('UsageMetered', 'ok', 'memberId', 'bob', 'usage', /memberId is bob/),
  tampered('UsageMetered', 'ok', 'capability', 'x', 'usage', /capability is x/),
  tampered('UsageMetered', 'ok', 'tokensHeld', 1n, 'usage', /tokensHeld is 1/),
  tampered('UsageMetered', 'ok', 'inputUncachedTokens', -1n, 'usage', /below 0/),
  tampered('UsageMetered', 'ok', 'source', 'absent', 'usage', /figures although none/),
  tampered('UsageMetered', 'own-key', 'source', 'absent', 'usage', /succeeded without figures/),
  tampered(
    'UsageMetered',
    'cancelled-late',
    'source',
    'absent',
    'usage',
    /whether figures are known is false, should be true/,
  ),
  ...(['capVersion', 'held'] as const).map((field) =>
    tamperedPart(
      'a settlement',
      (facts) => find(facts, 'JobRated', 'ok').settlements[0],
      { [field]: 8n },
      'settlement',
      new RegExp(`a-requests.${field} is 8, should be 1`),
    ),
  ),
  tamperedPart(
    'a settlement',
    (facts) => find(facts, 'JobRated', 'ok').settlements[0],
    { metric: 'money' },
    'settlement',
    /a-requests.metric is money/,
  ),
  tampered('JobRated', 'ok', 'memberId', 'bob', 'rating', /memberId is bob/),
  tampered('JobRated', 'ok', 'capability', 'x', 'rating', /capability is x/),
  tampered('JobRated', 'ok', 'attempts', 1, 'rating', /attempts is 1, should be 2/),
  tampered('JobRated', 'ok', 'currency', 'EUR', 'rating', /currency is EUR/),
  tampered('JobRated', 'ok', 'provider', 'x', 'rating', /provider is x/),
  tampered('JobRated', 'ok', 'model', 'x', 'rating', /model is x/),
  tampered('JobRated', 'ok', 'keyOwner', 'tenant', 'rating', /keyOwner is tenant/),
  tampered('JobRated', 'ok', 'heldPico', 1n, 'rating', /heldPico is 1,/),
  tampered('CapRemoved', 'd-money', 'capId', 'nothing', 'cap', /removes a cap that is not in force/),
  tampered(
    'PriceBookPublished',
    'PriceBookPublished',
    'currency',
    'EUR',
    'directory',
    /currency is not the book's USD/,
  ),
  tampered(
    'PriceBookPublished',
    'PriceBookPublished',
    'effectiveFrom',
    1n,
    'directory',
    /effectiveFrom is not the book's/,
  ),
  [
    'a tenant registered twice',
    'directory',
    /registers acme again/,
    (facts) => {
      Object.assign(find(facts, 'TenantRegistered', 'solo'), { registeredTenantId: 'acme' })
    },
  ],
  [
    'a book that is not canonical',
    'directory',
    /the book is not canonical/,
    (facts) => {
      const published = find(facts, 'PriceBookPublished', 'PriceBookPublished')
      published.book = published.book.replace('{', '{ ')
      published.hash = createHash('sha256').update(published.book).digest('hex')
    },
  ],
]

testCaught([...fieldBugs])
