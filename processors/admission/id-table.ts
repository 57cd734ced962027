/**
 * A set of ids that only grows, at sixteen bytes each and some room: a day of them has to stay in memory and in every
 * snapshot. Kept as the first 128 bits of SHA-256, so that two ids are taken for one with a chance of n²/2¹²⁸; plain data
 * throughout, because a snapshot is the state as it lies in memory. The same ids in the same order make the same table.
 */
import { wordsOfId } from '../../schemas/ids.ts'

export type IdTable = {
  size: number
  /** Four words to an id, open addressing with linear probing; a place is empty when its first word is 0. */
  words: Uint32Array
}

const wordsPerId = 4
const placesFirst = 64
/** Above this share of places taken the table grows: up to there six looks on average tell that an id is not there. */
const fullAt = 0.7
/** Twice would leave half of it empty just after, and there is one such table in every partition. An id is moved four times instead of once. */
const growth = 1.25
/** The share in a table that grows no more: thirteen looks, in places side by side. */
const packedTo = 0.8

export const emptyIdTable = (): IdTable => ({ size: 0, words: new Uint32Array(placesFirst * wordsPerId) })

/** What an id is looked up by; good for any number of tables. */
export type IdKey = Uint32Array

export function idKey(id: string): IdKey {
  const words = wordsOfId(id)
  if (words[0] === 0) words[0] = 1 // 0 says that a place is empty.
  return words
}

export const hasId = ({ words }: IdTable, key: IdKey): boolean => words[placeOf(words, key)] !== 0

/** In place; an id that is there stays there once. */
export function addId(table: IdTable, key: IdKey): void {
  if ((table.size + 1) * wordsPerId > table.words.length * fullAt) grow(table)
  const place = placeOf(table.words, key)
  if (table.words[place] !== 0) return
  table.words.set(key, place)
  table.size += 1
}

/** The same ids with less room between them, for a set that is not added to any more, though it may be. */
export const packedIdTable = ({ size, words }: IdTable): IdTable => ({
  size,
  words: spread(words, Math.max(placesFirst, Math.ceil(size / packedTo))),
})

function grow(table: IdTable): void {
  table.words = spread(table.words, Math.ceil((table.words.length / wordsPerId) * growth))
}

function spread(before: Uint32Array, places: number): Uint32Array {
  const words = new Uint32Array(places * wordsPerId)
  for (let at = 0; at < before.length; at += wordsPerId) {
    if (before[at] === 0) continue
    const key = before.subarray(at, at + wordsPerId)
    words.set(key, placeOf(words, key))
  }
  return words
}

/** Where it is, or where it would be. Ids stand in the order of their second word, so that a table is spread in one pass. */
function placeOf(words: Uint32Array, key: IdKey): number {
  const places = words.length / wordsPerId
  let place = Math.floor(((key[1] ?? 0) / 2 ** 32) * places) * wordsPerId
  while (words[place] !== 0 && !isAt(words, place, key)) {
    place += wordsPerId
    if (place === words.length) place = 0
  }
  return place
}

const isAt = (words: Uint32Array, place: number, key: IdKey): boolean =>
  words[place] === key[0] && words[place + 1] === key[1] && words[place + 2] === key[2] && words[place + 3] === key[3]
