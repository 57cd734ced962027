import { expect, test } from 'vitest'
import { startOfFacts } from '../platform/log/log.ts'
import { packFacts, unpackFacts } from './facts-packed.ts'
import { history, recordOf } from './testing/history.ts'

test('facts come out of the message as the log gave them, and the cursor with them', () => {
  const [past = []] = history({ seed: 41, jobs: 30 }).byPartition
  const all = past.map((fact, index) => ({ ...recordOf(fact), offset: BigInt(index * 3) }))
  for (const [from, to] of [
    [0, all.length],
    [7, 8],
    [5, 5],
  ] as const) {
    const facts = all.slice(from, to)
    const cursor = { seq: BigInt(to), offsets: { ...startOfFacts.offsets, jobs: 9n } }
    const crossed = structuredClone(packFacts({ facts, cursor }))
    const read = unpackFacts(crossed, BigInt(from))
    expect(read.cursor).toEqual(cursor)
    expect(read.facts.map((fact) => ({ ...fact, value: Buffer.from(fact.value) }))).toEqual(facts)
  }
})

test('a message that lacks a part of a fact is refused', () => {
  const [past = []] = history({ seed: 42, jobs: 5 }).byPartition
  const facts = past.slice(0, 3).map((fact) => ({ ...recordOf(fact), offset: 0n }))
  const packed = packFacts({ facts, cursor: startOfFacts })
  expect(() => unpackFacts({ ...packed, keys: packed.keys.slice(1) }, 0n)).toThrow('in part')
})
