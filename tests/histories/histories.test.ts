/** Logs that earlier builds wrote are read, folded, shown, rated again and found sound by this one, to the last unit. */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { Event } from '../../bin/demo/verify/events.ts'
import { Findings } from '../../bin/demo/verify/findings.ts'
import { OwnDirectory } from '../../bin/demo/verify/own-directory.ts'
import { PartitionCheck } from '../../bin/demo/verify/partition.ts'
import { parsePriceBook } from '../../pricing/index.ts'
import { emptyPartitionState, evolve, fromSnapshot, toSnapshot } from '../../processors/partition-state.ts'
import { replay } from '../../processors/rating/replay.ts'
import { type Fact, streamOf } from '../../schemas/events.generated.ts'
import { factsOf, lackingIn, outcomeOf, readHistory, stateOf } from './history.ts'

const recorded = join(import.meta.dirname, 'recorded')
const names = readdirSync(recorded).filter((name) => name.endsWith('.json.gz'))

test('there is a history', () => expect(names).not.toEqual([]))

describe.each(names)('the history %s', (name) => {
  const history = readHistory(join(recorded, name))
  const partitions = factsOf(history)

  test('has every kind of thing that happens in a run', () => {
    expect(lackingIn(partitions.flat())).toEqual([])
    expect(partitions.flat().length).toBeGreaterThan(500)
  })

  test('comes to what it came to when it was written', () => expect(outcomeOf(partitions)).toEqual(history.outcome))

  test('is sound to the verifier', () => {
    const findings = new Findings()
    const directory = new OwnDirectory()
    const says: string[] = []
    for (const fact of partitions.flat())
      if (streamOf[fact.type] === 'directory') says.push(...directory.take(fact as Event, new Set()))
    for (const [partition, facts] of partitions.entries()) {
      const check = new PartitionCheck(partition, directory, findings)
      for (const fact of facts) check.take(fact as Event)
      check.finish(false)
    }
    expect([says, findings.problems]).toEqual([[], []])
  })

  test('can be snapshotted and restored anywhere on the way', () => {
    for (const facts of partitions) {
      let state = emptyPartitionState()
      for (const [index, fact] of facts.entries()) {
        evolve(state, fact)
        if (index % 97 !== 0) continue
        const restored = fromSnapshot(toSnapshot(state))
        if (!restored) throw new Error(`The snapshot at ${fact.seq} is not one.`)
        state = restored
      }
      expect(state).toEqual(stateOf(facts))
    }
  })

  test('is rated again without a difference', async () => {
    const books = new Map(
      partitions.flat().flatMap((fact) => {
        const parsed = fact.type === 'PriceBookPublished' ? parsePriceBook(fact.book) : undefined
        return parsed?.ok ? [[parsed.book.hash, parsed.book] as const] : []
      }),
    )
    let jobs = 0
    for (const facts of partitions) {
      const admitted = facts.filter((fact) => fact.type === 'JobAdmitted') as Extract<Fact, { type: 'JobAdmitted' }>[]
      for (const key of new Set(admitted.map(({ tenantId, billingPeriod }) => `${tenantId} ${billingPeriod}`))) {
        const [tenantId = '', period = ''] = key.split(' ')
        const report = await replay([facts], { tenantId, period, bookByHash: (hash) => books.get(hash) })
        expect([key, report.deltas]).toEqual([key, []])
        jobs += report.endedJobs
      }
    }
    expect(jobs).toBeGreaterThan(50)
  })
})
