import { renumber } from '../testing/sample-events.ts'
import { changed, drop, find, type Planted, rename, testCaught } from '../testing/spoil.ts'

const capBugs: Planted[] = [
  [
    'a cap overshot by one unit',
    'admission',
    /cap b-tokens is passed by 1: /,
    (facts) => {
      const { caps, tokensHeld } = find(facts, 'JobAdmitted', 'across-midnight')
      const tightest = caps.find(({ capId }) => capId === 'b-tokens')
      const limit = (tightest?.settledBefore ?? 0n) + (tightest?.heldBefore ?? 0n) + tokensHeld - 1n
      find(facts, 'CapSet', 'b-tokens').limit = limit
      for (const { fact } of facts) {
        if (fact.type === 'JobAdmitted') for (const hold of fact.caps) if (hold.capId === 'b-tokens') hold.limit = limit
      }
    },
  ],
  [
    'a cap that was forgotten',
    'admission',
    /caps is a-requests, b-tokens, d-money, e-member, should be/,
    (facts) => {
      const job = find(facts, 'JobAdmitted', 'ok')
      job.caps = job.caps.filter(({ capId }) => capId !== 'c-money')
    },
  ],
  [
    'a settled amount that forgot a job',
    'admission',
    /a-requests.settledBefore is 0, should be 1/,
    (facts) =>
      changed(find(facts, 'JobAdmitted', 'failed').caps[0], (hold) => {
        hold.settledBefore -= 1n
      }),
  ],
  [
    'a hold that forgot a job',
    'admission',
    /heldBefore is 0, should be 1/,
    (facts) =>
      changed(find(facts, 'JobAdmitted', 'cancelled-early').caps[0], (hold) => {
        hold.heldBefore -= 1n
      }),
  ],
  [
    'an outdated limit',
    'admission',
    /d-money.limit is 3000000000000, should be 1000000000000/,
    (facts) =>
      changed(find(facts, 'JobAdmitted', 'cancelled-late').caps[3], (hold) => {
        hold.limit = 3_000_000_000_000n
      }),
  ],
  [
    'a day that begins at midnight in London',
    'admission',
    /period of cap a-requests does not start where a local day/,
    (facts) =>
      changed(find(facts, 'JobAdmitted', 'ok').caps[0], (hold) => {
        hold.periodStart += 3_600_000_000n
      }),
  ],
  [
    'a day of 24 hours where the clocks jump',
    'admission',
    /period of cap a-requests does not end where a local day/,
    (facts) =>
      changed(find(facts, 'JobAdmitted', 'own-key').caps[0], (hold) => {
        hold.periodEnd = hold.periodStart + 86_400_000_000n
      }),
  ],
  [
    'an anchored month that began on the wrong day',
    'admission',
    /period of cap b-tokens does not start on day 31/,
    (facts) =>
      changed(find(facts, 'JobAdmitted', 'ok').caps[1], (hold) => {
        hold.periodStart += 86_400_000_000n
      }),
  ],
  [
    'a hold below the dearest step',
    'admission',
    /heldPico is 1250000000, should be 12250000500/,
    (facts) => {
      find(facts, 'JobAdmitted', 'ok').heldPico = 1_250_000_000n
    },
  ],
  [
    'a token hold without the output',
    'admission',
    /tokensHeld is 1000, should be 1500/,
    (facts) => {
      find(facts, 'JobAdmitted', 'ok').tokensHeld = 1_000n
    },
  ],
  [
    'an admission in the wrong month',
    'admission',
    /billingPeriod is 2026-02/,
    (facts) => {
      find(facts, 'JobAdmitted', 'ok').billingPeriod = '2026-02'
    },
  ],
  [
    'a second job of an idempotency key, admitted too',
    'admission',
    /job_000000001abcdefghjkmnpqrstv has the same idempotency key/,
    (facts) => {
      rename(facts, 'ok', 'job_000000001abcdefghjkmnpqrstv')
      rename(facts, 'failed', 'job_000000002abcdefghjkmnpqrstv')
    },
  ],
  [
    'a refusal for a key that no other job has',
    'refusal',
    /no job before it has the same idempotency key/,
    (facts) => {
      find(facts, 'JobRefused', 'refused-charge').reason = 'key_taken'
    },
  ],
  [
    'a job admitted twice',
    'admission',
    /was answered before/,
    (facts) => {
      const admitted = find(facts, 'JobAdmitted', 'ok')
      const at = facts.findIndex(({ fact }) => fact === admitted)
      facts.splice(at, 0, { partition: 1, fact: { ...admitted, eventId: 'again' } })
      renumber(facts)
    },
  ],
  [
    'a job never answered',
    'admission',
    /neither admitted nor refused/,
    (facts) => {
      drop(facts, 'JobRefused', 'refused-member')
      renumber(facts)
    },
  ],
  [
    'a settlement to another cap',
    'settlement',
    /caps is a-requests, c-money, c-money, e-member, should be/,
    (facts) => {
      const [, first] = find(facts, 'JobRated', 'ok').settlements.filter(({ metric }) => metric === 'money')
      changed(first, (settlement) => {
        settlement.capId = 'c-money'
      })
    },
  ],
  [
    'a settlement in the next period',
    'settlement',
    /a-requests.periodStart is/,
    (facts) =>
      changed(find(facts, 'JobRated', 'across-midnight').settlements[0], (settlement) => {
        settlement.periodStart += 86_400_000_000n
      }),
  ],
  [
    'tokens settled at what was held',
    'settlement',
    /b-tokens.settled is 1500, should be 634/,
    (facts) =>
      changed(find(facts, 'UsageMetered', 'ok').settlements[0], (settlement) => {
        settlement.settled = settlement.held
      }),
  ],
  [
    'a request given back although an attempt started',
    'settlement',
    /a-requests.settled is 0, should be 1/,
    (facts) =>
      changed(find(facts, 'JobRated', 'failed').settlements[0], (settlement) => {
        settlement.settled = 0n
      }),
  ],
  [
    'a request kept although no attempt started',
    'settlement',
    /a-requests.settled is 1, should be 0/,
    (facts) =>
      changed(find(facts, 'JobRated', 'cancelled-early').settlements[0], (settlement) => {
        settlement.settled = 1n
      }),
  ],
  [
    'a hold that is never given up',
    'hold',
    /cap b-tokens still holds 1500/,
    (facts) => {
      find(facts, 'UsageMetered', 'ok').settlements = []
    },
  ],
  [
    'a refusal of what would have fitted',
    'refusal',
    /1 fits under cap e-member, where 1 is free/,
    (facts) => {
      find(facts, 'CapSet', 'e-member').limit = 2n
    },
  ],
  [
    'a refusal that tells the wrong free amount',
    'refusal',
    /free is 20, should be 10/,
    (facts) =>
      changed(find(facts, 'JobRefused', 'refused-tokens').cap ?? undefined, (cap) => {
        cap.free = 20n
      }),
  ],
  [
    'a refusal at a charge the caller accepts',
    'refusal',
    /the caller accepts what it could cost/,
    (facts) => {
      find(facts, 'JobSubmitted', 'refused-charge').maxCharge = 10n ** 15n
    },
  ],
  [
    'a cap version that comes twice',
    'cap',
    /has version 2 instead of 3/,
    (facts) => {
      find(facts, 'CapRemoved', 'd-money').version = 2n
    },
  ],
  [
    'a cap that counts from before it was set',
    'cap',
    /counts from/,
    (facts) => {
      find(facts, 'CapSet', 'c-money').countsFrom -= 1n
    },
  ],
]

const directoryBugs: Planted[] = [
  [
    'a book that is not what its hash says',
    'directory',
    /the hash is not that of the book/,
    (facts) => {
      const [first] = facts
      if (first?.fact.type === 'PriceBookPublished') first.fact.book = first.fact.book.replace('"3"', '"4"')
    },
  ],
  [
    "a currency that is not the tenant's",
    'admission',
    /currency is EUR, should be USD/,
    (facts) => {
      find(facts, 'JobAdmitted', 'ok').currency = 'EUR'
    },
  ],
  [
    "a time zone that is not the tenant's",
    'admission',
    /timeZone is UTC, should be Europe.Berlin/,
    (facts) => {
      find(facts, 'JobAdmitted', 'ok').timeZone = 'UTC'
    },
  ],
  [
    'a price book of before it was known',
    'admission',
    /priceBookHash is \w+, should be undefined/,
    (facts) => {
      find(facts, 'JobAdmitted', 'ok').directoryVersion = 0n
    },
  ],
]

testCaught([...capBugs, ...directoryBugs])
