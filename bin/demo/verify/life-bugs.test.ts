import type { Fact } from '../../../schemas/events.generated.ts'
import { renumber } from '../testing/sample-events.ts'
import { drop, find, lastTime, type Planted, testCaught } from '../testing/spoil.ts'

const lifeBugs: Planted[] = [
  ['a lost event', 'order', /seq \d+ follows \d+/, (facts) => drop(facts, 'AttemptStarted', 'other')],
  ['the last event of a partition lost', 'rating', /never rated/, (facts) => drop(facts, 'JobRated', 'never-started')],
  [
    'an event that comes twice',
    'order',
    /comes twice/,
    (facts) => {
      const fact = find(facts, 'CapSet', 'c-money')
      facts.push({
        partition: 1,
        fact: { ...fact, capId: 'again', occurredAt: lastTime(facts), countsFrom: lastTime(facts) },
      })
      renumber(facts)
    },
  ],
  [
    'time that goes back',
    'order',
    /occurredAt goes back/,
    (facts) => {
      find(facts, 'JobSucceeded', 'ok').occurredAt -= 3_600_000_000n
    },
  ],
  [
    'a missing end',
    'end',
    /JobRated.*not ended|never ended/,
    (facts) => {
      for (const type of ['JobSucceeded', 'UsageMetered', 'JobRated'] as const) drop(facts, type, 'other')
      renumber(facts)
    },
  ],
  [
    'a second end',
    'end',
    /JobFailed after the job's end/,
    (facts) => {
      const end = find(facts, 'JobSucceeded', 'ok')
      const { tenantId, jobId, occurredAt } = end
      const header = { seq: 0n, actor: '', correlationId: '', causedBy: '', intakeOffset: null, traceparent: null }
      const second: Fact = {
        ...header,
        type: 'JobFailed',
        tenantId,
        jobId,
        occurredAt,
        eventId: 'second',
        code: '',
        attempts: 2,
      }
      facts.splice(facts.findIndex(({ fact }) => fact === end) + 1, 0, { partition: 1, fact: second })
      renumber(facts)
    },
  ],
  [
    'an end that miscounts its attempts',
    'end',
    /attempts is 1, should be 2/,
    (facts) => {
      find(facts, 'JobFailed', 'failed').attempts = 1
    },
  ],
  [
    'an outcome without a start',
    'attempt',
    /JobSucceeded without an attempt under way/,
    (facts) => {
      drop(facts, 'AttemptStarted', 'other')
      renumber(facts)
    },
  ],
  [
    'more attempts than allowed',
    'attempt',
    /more than 1 attempts/,
    (facts) => {
      find(facts, 'JobAdmitted', 'ok').attemptsMax = 1
    },
  ],
  [
    'an attempt with the wrong number',
    'attempt',
    /attemptNo is 5, should be 1/,
    (facts) => {
      find(facts, 'AttemptStarted', 'other').attemptNo = 5
    },
  ],
  [
    'an attempt off the route',
    'attempt',
    /is no step of the route/,
    (facts) => {
      find(facts, 'AttemptStarted', 'other').keyOwner = 'ancestor'
    },
  ],
  [
    'an attempt after the last',
    'attempt',
    /was said to be the last/,
    (facts) => {
      find(facts, 'AttemptFailed', 'ok').retryAt = null
    },
  ],
  [
    'a job that was never submitted',
    'end',
    /of a job that was never submitted/,
    (facts) => {
      find(facts, 'JobSucceeded', 'other').jobId = 'nobody'
    },
  ],
  [
    "another tenant's event",
    'end',
    /of another tenant's job/,
    (facts) => {
      find(facts, 'JobSucceeded', 'other').tenantId = 'acme'
    },
  ],
]

testCaught([...lifeBugs])
