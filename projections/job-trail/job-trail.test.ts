import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import type { Fact } from '../../schemas/events.generated.ts'
import { admitted, capSet, metered, rated, Stamp, started, submitted, succeeded } from '../testing/facts.ts'
import { openView, tableRows, type View } from '../testing/view.ts'
import { jobTrail } from './projection.ts'
import { factsOfJob } from './queries.ts'

let view: View
let stamp: Stamp
beforeAll(async () => {
  view = await openView(jobTrail)
})
afterAll(() => view.close())
beforeEach(async () => {
  await view.clear()
  stamp = new Stamp()
})

const factsOf = (jobId: string, afterSeq?: bigint) =>
  view.asTenant('harbor', (tx) => factsOfJob(tx, 'harbor', jobId, afterSeq))

/** As an owner decides it: two causes and a start. */
const lifeOf = (jobId: string): Fact[] => [
  stamp.fact('harbor', submitted(jobId), { causedBy: `req-${jobId}`, intakeOffset: 7n }),
  stamp.fact('harbor', admitted(jobId), { causedBy: `req-${jobId}`, intakeOffset: 7n }),
  stamp.fact('harbor', started(jobId)),
  stamp.fact('harbor', succeeded(jobId), { causedBy: `att-${jobId}` }),
  stamp.fact('harbor', metered(jobId), { causedBy: `att-${jobId}` }),
  stamp.fact('harbor', rated(jobId), { causedBy: `att-${jobId}` }),
]

test('a fact is shown whole, integers of eight bytes as text', async () => {
  const header = { causedBy: 'req', intakeOffset: 7n, traceparent: '00-ab-cd-01' }
  const fact = stamp.fact('harbor', submitted('j', { memberId: 'Zoë\n\0"' }), header)
  await view.take(fact)
  expect(await factsOf('j')).toEqual([
    {
      tenantId: 'harbor',
      seq: 1n,
      eventId: 'evt_1',
      type: 'JobSubmitted',
      stream: 'jobs',
      occurredAt: fact.occurredAt,
      actor: 'token:t1',
      correlationId: 'corr_1',
      causedBy: 'req',
      intakeOffset: 7n,
      traceparent: '00-ab-cd-01',
      jobId: 'j',
      body: {
        jobId: 'j',
        memberId: 'Zoë\n\0"',
        capability: 'classify.category',
        resourceId: 'mails',
        model: null,
        payloadRef: 'in_j',
        payloadBytes: '1200',
        payloadMac: 'aa',
        priority: 3,
        inputTokensMax: '1216',
        outputTokensMax: '0',
        maxCharge: null,
        deadlineMs: '60000',
      },
    },
  ])
})

test('the facts of a job come in their order, from a seq on, and of that job of that tenant alone', async () => {
  const [one, other] = [lifeOf('j'), lifeOf('k')]
  await view.take(...one, ...other, stamp.fact('other', submitted('j')), stamp.fact('harbor', capSet('day')))
  const facts = await factsOf('j')
  expect(facts.map(({ seq, type }) => [seq, type])).toEqual(one.map(({ seq, type }) => [seq, type]))
  expect(facts[5]?.body).toMatchObject({ chargedPico: '230', lines: [{ amountPico: '30' }, { amountPico: '200' }] })
  expect((await factsOf('j', 4n)).map(({ seq }) => seq)).toEqual([5n, 6n])
  expect(await factsOf('j', 6n)).toEqual([])
  expect(await factsOf('nobody')).toEqual([])
  expect(await view.asTenant('other', (tx) => factsOfJob(tx, 'harbor', 'j'))).toEqual([])
})

test('what one cause led to is one row, however batches cut it, and coming again adds nothing', async () => {
  const facts = lifeOf('j')
  await view.take(...facts)
  const whole = await tableRows(view.database, jobTrail)
  expect(whole.map(({ caused_by }) => caused_by)).toEqual(['att-j', 'req-j', 'cause_3'])
  for (let cut = 1; cut < facts.length; cut++) {
    await view.clear()
    await view.take(...facts.slice(0, cut))
    await view.take(...facts.slice(cut))
    expect(await tableRows(view.database, jobTrail), `cut at ${cut}`).toEqual(whole)
    await view.take(...facts.slice(cut - 1))
    expect(await tableRows(view.database, jobTrail), `again from ${cut}`).toEqual(whole)
  }
})

test('a job of more facts than are shown at once shows its first', async () => {
  await view.take(...Array.from({ length: 1_001 }, (_, n) => stamp.fact('harbor', started('j', n + 1))))
  const facts = await factsOf('j')
  expect([facts.length, facts.at(-1)?.seq]).toEqual([1_000, 1_000n])
})
