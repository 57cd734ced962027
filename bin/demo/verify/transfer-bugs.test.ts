/** Whatever is wrong with what ancestors were told is found, and a right history is not complained of. */
import { expect, test } from 'vitest'
import type { Fact } from '../../../schemas/events.generated.ts'
import { type PlacedFact, renumber, SampleLog } from '../testing/sample-events.ts'
import { verify } from '../testing/sample-history.ts'

const route = [
  { provider: 'local', model: 'linear-1', keyOwner: 'platform' as const, keyId: null, pool: 'local' as const },
]
const mail = { capability: 'classify.category', tokens: [40n, 0n] as [bigint, bigint] }
const usage = {
  source: 'counted' as const,
  inputUncachedTokens: 31n,
  inputCacheReadTokens: 0n,
  inputCacheWriteTokens: 0n,
  outputTokens: 0n,
  reasoningTokens: 0n,
}

/** A tenant of partition 1 tells the platform, in partition 0, twice: of two jobs, and of one. */
function toldHistory(): PlacedFact[] {
  const log = new SampleLog()
  log.tenant('acme', 1, 'Africa/Lagos')
  const rate = (jobId: string) =>
    log.finish(log.submit('acme', jobId, mail, route), jobId === 'c' ? 'failed' : 'succeeded', [
      { usage, isFailed: jobId === 'c' },
    ])
  rate('a')
  rate('b')
  log.tell('acme')
  rate('c')
  log.tell('acme')
  return log.facts
}

const find = <Type extends Fact['type']>(facts: PlacedFact[], type: Type, index: number) => {
  const ofType = facts.map(({ fact }) => fact).filter((fact) => fact.type === type)
  const found = ofType[index]
  if (!found) throw new Error(`The sample has no ${type} ${index}`)
  return found as Extract<Fact, { type: Type }>
}
const without = (facts: PlacedFact[], type: Fact['type'], index: number) => {
  const fact = find(facts, type, index)
  facts.splice(
    facts.findIndex((placed) => placed.fact === fact),
    1,
  )
  renumber(facts)
}
const lineOf = (facts: PlacedFact[], type: 'TransferSent' | 'TransferTaken', index: number) => {
  const [line] = find(facts, type, index).rollup
  if (!line) throw new Error(`${type} ${index} of the sample is empty`)
  return line
}

test('a right history holds, at rest and on the way', async () => {
  expect((await verify(toldHistory(), { atRest: true })).problems).toEqual([])
  const early = toldHistory()
  without(early, 'TransferTaken', 1)
  expect((await verify(early)).problems).toEqual([])
  // The part of the sender was read before the receiver's.
  const halfRead = toldHistory()
  for (const type of ['TransferForwarded', 'TransferSent'] as const) without(halfRead, type, 1)
  expect((await verify(halfRead)).problems).toEqual([])
})

const bugs: [bug: string, says: RegExp, plant: (facts: PlacedFact[]) => void][] = [
  [
    'a job told twice',
    /TransferSent says 3 jobs of .* when 2 were rated/,
    (facts) => {
      for (const type of ['TransferSent', 'TransferTaken'] as const) lineOf(facts, type, 0).jobs += 1n
    },
  ],
  [
    'a charge that is not told',
    /platform was told by acme of \d+ chargedPico of .*, not \d+/,
    (facts) => {
      for (const type of ['TransferSent', 'TransferTaken'] as const) lineOf(facts, type, 0).chargedPico -= 1n
    },
  ],
  [
    'another day',
    /says 2 jobs of 2026-01-01 .* when 0 were rated/,
    (facts) => {
      lineOf(facts, 'TransferSent', 0).day = '2026-01-01'
    },
  ],
  [
    'something else taken than was sent',
    /platform took from acme as 1 what was not sent so/,
    (facts) => {
      lineOf(facts, 'TransferTaken', 0).outputTokens += 1n
    },
  ],
  ['a transfer that is not taken', /platform was told by acme of/, (facts) => without(facts, 'TransferTaken', 1)],
  ['a transfer taken that was not sent', /took from acme as 2/, (facts) => without(facts, 'TransferSent', 1)],
  [
    'a transfer taken twice',
    /TransferTaken takes 1 from acme after 2/,
    (facts) => {
      facts.push({ partition: 0, fact: { ...find(facts, 'TransferTaken', 0), eventId: 'again' } })
      renumber(facts)
    },
  ],
  [
    'a number that is skipped',
    /TransferSent has number 3 after 1/,
    (facts) => {
      find(facts, 'TransferSent', 1).number = 3n
    },
  ],
  [
    'a transfer that nobody noted as forwarded',
    /acme has sent 2 to platform and forwarded 1/,
    (facts) => without(facts, 'TransferForwarded', 1),
  ],
  [
    'two on their way at once',
    /TransferSent is sent while another is on its way/,
    (facts) => without(facts, 'TransferForwarded', 0),
  ],
  [
    'a transfer forwarded that was not sent',
    /TransferForwarded forwards 7 to platform, which was not sent/,
    (facts) => {
      find(facts, 'TransferForwarded', 0).transfers = [{ toTenantId: 'platform', number: 7n }]
    },
  ],
  [
    'a transfer to somebody who is not above',
    /TransferSent goes to solo, which is not above it/,
    (facts) => {
      find(facts, 'TransferSent', 0).toTenantId = 'solo'
    },
  ],
]

test.for(bugs)('%s is caught', async ([, says, plant]) => {
  const facts = toldHistory()
  plant(facts)
  const { problems } = await verify(facts, { atRest: true })
  expect(
    problems
      .filter(({ check }) => check === 'transfer')
      .map((one) => one.says)
      .join('\n'),
  ).toMatch(says)
})
