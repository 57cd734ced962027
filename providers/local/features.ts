/**
 * What a linear model sees of a text: which words it holds, which pairs of neighbouring words, and which words stand in a
 * line that begins with `name:`, as in the head of a mail or in a form; each hashed into one of a fixed number of places.
 */
import { wordKinds } from './word-kinds.ts'

/** Words read of one text, from its beginning: more tell a linear model little, and a long text must not stall others. */
export const wordsMax = 1_000
/** UTF-16 units of one text that are looked at for words. */
export const unitsMax = 100_000
/** Units of one word that are told apart; the rest of a longer one is passed over. */
const wordUnitsMax = 40
/** With fewer places than this, as with hundreds of labels, pairs would only blur the words they share places with. */
const dimensionsForPairs = 2 ** 17
/** A word, its pair, and its line's name. */
const placesPerWord = 3

export type Features = {
  /** Where the text has something; no place twice. */
  places: Uint32Array
  /** The value at each of them: so that the vector's length is 1 and long texts weigh no more than short ones. */
  value: number
  /** Words read. */
  words: number
}

/** `dimensions` is a power of two. The same text gives the same features everywhere: no randomness, no locale. */
export function featuresOf(text: string, dimensions: number): Features {
  const read = text.slice(0, unitsMax).normalize()
  const places = placeSet(Math.min(wordsMax, read.length) * placesPerWord, dimensions)
  const cursor = { at: 0, hash: 0 }
  let [words, before, lineName] = [0, 0, 0]
  let isLineStart = true
  while (words < wordsMax && cursor.at < read.length) {
    const from = cursor.at
    if (!readWord(read, cursor)) {
      if (read.charCodeAt(from) === lineFeed) [lineName, isLineStart] = [0, true]
      else isLineStart = false
      continue
    }
    if (isLineStart && read.charCodeAt(cursor.at) === colon) lineName = cursor.hash
    isLineStart = false
    words += 1
    places.add(cursor.hash)
    if (dimensions >= dimensionsForPairs) places.add(mixed(Math.imul(before, 0x9e3779b1) ^ cursor.hash))
    if (lineName !== 0) places.add(mixed(Math.imul(lineName, 0x27d4eb2f) ^ cursor.hash))
    before = cursor.hash
  }
  return { places: places.all(), value: 1 / Math.sqrt(places.count() || 1), words }
}

const lineFeed = 10
const colon = 58

/** Moves the cursor past one word and sets its hash, or past one unit that belongs to none and answers false. */
function readWord(text: string, cursor: { at: number; hash: number }): boolean {
  const { folded, isAlone } = wordKinds()
  const start = cursor.at
  const unit = text.charCodeAt(start)
  if (unit >= 0xd800 && unit <= 0xdbff) return readAstral(text, cursor)
  const letter = folded[unit] ?? 0
  cursor.at += 1
  if (letter === 0) return false
  let hash = hashStep(hashStart, letter)
  if (isAlone[unit] !== 1) {
    for (; cursor.at < text.length; cursor.at++) {
      const next = text.charCodeAt(cursor.at)
      const nextLetter = folded[next] ?? 0
      if (nextLetter === 0 || isAlone[next] === 1) break
      if (cursor.at - start < wordUnitsMax) hash = hashStep(hash, nextLetter)
    }
  }
  cursor.hash = hashEnd(hash)
  return true
}

const astralWord = /[\p{L}\p{N}\p{Extended_Pictographic}]/u

/** Characters beyond the basic plane: rare ideographs and emoji, each a word of its own. */
function readAstral(text: string, cursor: { at: number; hash: number }): boolean {
  const point = text.codePointAt(cursor.at) ?? 0
  cursor.at += point > 0xffff ? 2 : 1
  if (point <= 0xffff || !astralWord.test(String.fromCodePoint(point))) return false
  cursor.hash = hashEnd(hashStep(hashStep(hashStart, point & 0xffff), point >>> 16))
  return true
}

/** FNV-1a over UTF-16 units (Fowler, Noll, Vo; public domain), with the high bits folded into the low ones. */
const hashStart = 0x811c9dc5
const hashStep = (hash: number, unit: number): number => Math.imul(hash ^ unit, 0x01000193)
const hashEnd = (hash: number): number => (hash ^ (hash >>> 13)) >>> 0
const mixed = (hash: number): number => Math.imul(hash ^ (hash >>> 15), 0x85ebca6b) >>> 0

/** A set of places in the order they came, by open addressing: a Map would be half of the time a text takes. */
function placeSet(countMax: number, dimensions: number) {
  const slots = new Uint32Array(2 ** Math.ceil(Math.log2(Math.max(1, countMax) * 2))) // Place + 1; 0 is free.
  const places = new Uint32Array(countMax)
  let count = 0
  return {
    add(hash: number): void {
      const place = hash & (dimensions - 1)
      let slot = mixed(place) & (slots.length - 1)
      while (slots[slot] !== 0) {
        if (slots[slot] === place + 1) return
        slot = (slot + 1) & (slots.length - 1)
      }
      slots[slot] = place + 1
      places[count++] = place
    },
    count: () => count,
    all: () => places.slice(0, count),
  }
}
