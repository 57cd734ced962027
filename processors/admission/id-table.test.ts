/** The set of ids against JavaScript's own. */
import { deserialize, serialize } from 'node:v8'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { jobIdFrom } from '../../schemas/ids.ts'
import { addId, emptyIdTable, hasId, type IdTable, idKey, packedIdTable } from './id-table.ts'

const tableOf = (ids: Iterable<string>): IdTable => {
  const table = emptyIdTable()
  for (const id of ids) addId(table, idKey(id))
  return table
}

test('holds what was added, once, and nothing else, whatever the ids are', () => {
  fc.assert(
    fc.property(fc.array(fc.string()), fc.array(fc.string()), (added, others) => {
      const table = tableOf(added)
      const set = new Set(added)
      expect(table.size).toBe(set.size)
      for (const id of [...added, ...others]) expect(hasId(table, idKey(id))).toBe(set.has(id))
    }),
  )
})

test('given fifty thousand ids, every one is found after all the growing, and none of as many others', () => {
  const ids = Array.from({ length: 50_000 }, (_, n) => jobIdFrom('harbor', `key-${n}`))
  const table = tableOf(ids)
  expect(table.size).toBe(ids.length)
  expect(ids.every((id) => hasId(table, idKey(id)))).toBe(true)
  expect(ids.some((id) => hasId(table, idKey(`${id}x`)))).toBe(false)
  expect(table.words.byteLength / ids.length).toBeLessThan(1.26 * (16 / 0.7))
})

test('packed, a table holds the same ids in less room, and takes in more of them all the same', () => {
  const ids = Array.from({ length: 50_000 }, (_, n) => jobIdFrom('harbor', `key-${n}`))
  const packed = packedIdTable(tableOf(ids))
  expect(packed.size).toBe(ids.length)
  expect(packed.words.byteLength / ids.length).toBeCloseTo(16 / 0.8, 2)
  for (let n = 0; n < 1_000; n++) addId(packed, idKey(`later ${n}`))
  expect(ids.every((id) => hasId(packed, idKey(id)))).toBe(true)
  expect([hasId(packed, idKey('later 7')), hasId(packed, idKey('never'))]).toEqual([true, false])
  expect(packed.size).toBe(ids.length + 1_000)
})

test('the same ids in the same order make the same table, and a snapshot gives it back', () => {
  const ids = Array.from({ length: 1_000 }, (_, n) => `request ${n}`)
  const table = tableOf(ids)
  expect(tableOf(ids)).toEqual(table)
  expect(deserialize(serialize(table))).toEqual(table)
})

test('a word that is 0 does not read as an empty place', () => {
  const [table, twin] = [emptyIdTable(), emptyIdTable()]
  const key = Uint32Array.of(7, 0, 0, 0)
  addId(table, key)
  addId(table, key)
  addId(twin, Uint32Array.of(7, 0, 0, 1))
  expect([table.size, hasId(table, key), hasId(twin, key)]).toEqual([1, true, false])
})
