/** The set of ids against JavaScript's own. */
import { deserialize, serialize } from 'node:v8'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { jobIdFrom } from '../../schemas/ids.ts'
import { addId, emptyIdTable, hasGroup, hasId, type IdTable, idKey } from './id-table.ts'

const tableOf = (ids: Iterable<string>): IdTable => {
  const table = emptyIdTable()
  for (const id of ids) addId(table, idKey('', id))
  return table
}

test('holds what was added, once, and nothing else, whatever the ids are', () => {
  fc.assert(
    fc.property(fc.array(fc.string()), fc.array(fc.string()), (added, others) => {
      const table = tableOf(added)
      const set = new Set(added)
      expect(table.size).toBe(set.size)
      for (const id of [...added, ...others]) expect(hasId(table, idKey('', id))).toBe(set.has(id))
    }),
  )
})

test('ids of one group are told apart, and one that is not there is known by its group, after all the growing', () => {
  const table = emptyIdTable()
  const key = (id: string, group: number) => idKey('secret', id, `group ${group}`)
  for (let n = 0; n < 20_000; n++) {
    addId(table, key(`first ${n}`, n))
    if (n % 10 === 0) addId(table, key(`second ${n}`, n))
  }
  expect(table.size).toBe(22_000)
  for (let n = 0; n < 20_000; n++) {
    const found = [`first ${n}`, `second ${n}`, `third ${n}`].map((id) => hasId(table, key(id, n)))
    expect([n, ...found]).toEqual([n, true, n % 10 === 0, false])
    expect(hasGroup(table, key('any', n))).toBe(true)
    expect(hasGroup(table, key('any', n + 20_000))).toBe(false)
  }
})

test('given a hundred thousand ids, every one is found after all the growing, and none of as many others', () => {
  const ids = Array.from({ length: 100_000 }, (_, n) => jobIdFrom('harbor', `key-${n}`, n))
  const table = tableOf(ids)
  expect(table.size).toBe(ids.length)
  expect(table.pieces.reduce((sum, { size }) => sum + size, 0)).toBe(ids.length)
  expect(ids.every((id) => hasId(table, idKey('', id)))).toBe(true)
  expect(ids.some((id) => hasId(table, idKey('', `${id}x`)))).toBe(false)
})

test('however many there are, an id takes fifteen to eighteen bytes, and adding one moves few others', () => {
  const table = emptyIdTable()
  const wordsOf = (): Uint32Array[] => table.pieces.map(({ words }) => words)
  let before = wordsOf()
  for (let n = 1; n <= 60_000; n++) {
    addId(table, idKey('', `request ${n}`))
    if (n % 500 !== 0) continue
    const bytes = table.pieces.reduce((sum, { words }) => sum + words.byteLength, 0)
    if (n >= 10_000) expect(bytes / n).toSatisfy((each: number) => each >= 15 && each < 18)
    const now = wordsOf()
    // Room that was made since the last look, by 500 ids: of each no more than a piece's that has yet to be split.
    for (const words of now.filter((one) => !before.includes(one)))
      expect(words.byteLength).toBeLessThan(2.2 * 4_096 * 17)
    before = now
  }
  expect(table.pieces).toHaveLength(Math.ceil(60_000 / 4_096))
})

test('the pieces hold what they would hold if the table had begun with as many', () => {
  const table = tableOf(Array.from({ length: 30_000 }, (_, n) => `request ${n}`))
  const counts = table.pieces.map(({ size }) => size)
  // Eight pieces: each has an eighth, and none has been passed over.
  expect(counts).toHaveLength(8)
  for (const count of counts) expect(Math.abs(count - 30_000 / 8)).toBeLessThan(300)
})

test('the same ids in the same order make the same table, and a snapshot gives it back', () => {
  const ids = Array.from({ length: 10_000 }, (_, n) => `request ${n}`)
  const table = tableOf(ids)
  expect(tableOf(ids)).toEqual(table)
  expect(deserialize(serialize(table))).toEqual(table)
})

test('a word that is 0 does not read as an empty place', () => {
  const [table, twin] = [emptyIdTable(), emptyIdTable()]
  const key = Uint32Array.of(7, 0, 0)
  addId(table, key)
  addId(table, key)
  addId(twin, Uint32Array.of(7, 0, 1))
  expect([table.size, hasId(table, key), hasId(twin, key)]).toEqual([1, true, false])
})

test('given ids that somebody chose to lie in half of the pieces, an empty piece can be split and added to', () => {
  const table = emptyIdTable()
  const keyOf = (n: number, first: number) => Uint32Array.of(first, Math.imul(n, 0x9e3779b1) >>> 0, n)
  for (let n = 0; n < 20_000; n++) addId(table, keyOf(n, 2 * n + 2))
  expect(table.pieces.filter(({ size }) => size === 0).length).toBeGreaterThan(1)
  for (let n = 0; n < 200; n++) expect(hasId(table, keyOf(n, 2 * n + 1))).toBe(false)
  for (let n = 0; n < 200; n++) addId(table, keyOf(n, 2 * n + 1))
  expect([table.size, hasId(table, keyOf(199, 399)), hasId(table, keyOf(0, 2))]).toEqual([20_200, true, true])
})

test('where an id lies depends on the secret', () => {
  expect(idKey('a', 'request 1')).not.toEqual(idKey('b', 'request 1'))
})
