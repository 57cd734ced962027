/** What a linear model sees of a text: its words and pairs of neighbouring words, hashed into a fixed number of places. */

/** Words read of one text, from its beginning: more tell a linear model little, and a long text must not stall the others. */
export const wordsMax = 3_000
/** Characters looked at for words. */
export const charactersMax = 100_000

/** A sparse vector of length 1. */
export type Features = { places: Uint32Array; values: Float32Array; words: number }

const wordPattern = /[\p{L}\p{N}$!%'_-]{1,40}/gu

/** `dimensions` is a power of two. The same text gives the same features everywhere: no randomness, no locale. */
export function featuresOf(text: string, dimensions: number): Features {
  const mask = dimensions - 1
  const counts = new Map<number, number>()
  let words = 0
  let before = 0
  for (const [word] of text.slice(0, charactersMax).toLowerCase().matchAll(wordPattern)) {
    if (words >= wordsMax) break
    words += 1
    const hash = fnv1a(word)
    const pair = Math.imul(before, 0x9e3779b1) ^ hash
    add(counts, hash & mask)
    add(counts, (Math.imul(pair ^ (pair >>> 15), 0x85ebca6b) >>> 0) & mask)
    before = hash
  }
  return { ...normalized(counts), words }
}

function add(counts: Map<number, number>, place: number): void {
  counts.set(place, (counts.get(place) ?? 0) + 1)
}

/** 1 + ln(count) per place, scaled so that long and short texts weigh the same. */
function normalized(counts: ReadonlyMap<number, number>): { places: Uint32Array; values: Float32Array } {
  const places = Uint32Array.from(counts.keys())
  const values = Float32Array.from(counts.values(), (count) => 1 + Math.log(count))
  const length = Math.sqrt(values.reduce((sum, value) => sum + value * value, 0)) || 1
  return { places, values: values.map((value) => value / length) }
}

/** FNV-1a over UTF-16 units (Fowler, Noll, Vo; public domain), with the high bits folded into the low ones. */
function fnv1a(text: string): number {
  let hash = 0x811c9dc5
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193)
  return (hash ^ (hash >>> 13)) >>> 0
}
