/**
 * A set of ids that only grows, at fifteen to seventeen bytes each: a day of them has to stay in memory and in every
 * snapshot. Kept as 96 bits of SHA-256, so that of n ids two are taken for one with a chance of n²/2⁹⁷; plain
 * data throughout, because a snapshot is the state as it lies in memory. The same ids in the same order make the same table.
 *
 * It lies in pieces and becomes larger piece by piece (linear hashing, W. Litwin, VLDB 1980): there is never much to move
 * at once, for which everybody would wait, and nothing large is left behind for which there is no use any more.
 */
import { wordsOfId } from '../../schemas/ids.ts'

export type IdTable = { size: number; pieces: IdPiece[] }

export type IdPiece = {
  size: number
  /** Three words to an id, open addressing with linear probing; a place is empty when its first word is 0. */
  words: Uint32Array
}

const wordsPerId = 3
const placesFirst = 64
/** On average. A piece has up to twice as many just before its turn to be split: half a millisecond of work then. */
const idsPerPiece = 4_096
/** Above this share of places taken a piece grows: up to there thirteen looks, side by side, tell that an id is not there. */
const fullAt = 0.8
/** The less, the less of it is empty, and the more often an id is moved: eight times before its piece is twice as large. */
const growth = 1.125

const emptyPiece = (places = 0): IdPiece => ({
  size: 0,
  words: new Uint32Array(Math.max(placesFirst, places) * wordsPerId),
})

export const emptyIdTable = (): IdTable => ({ size: 0, pieces: [emptyPiece()] })

/** What an id is looked up by; good for any number of tables. */
export type IdKey = Uint32Array

/**
 * Ids that their senders choose need a `secret`, or they could be chosen so that they all lie in one place, where looking takes
 * long. `group`: what some ids have in common; of those two words are the group's and one is the id's.
 */
export function idKey(secret: string, id: string, group = id): IdKey {
  const words = wordsOfId(secret + group)
  if (group !== id) words[2] = wordsOfId(secret + id)[2] ?? 0
  if (words[0] === 0) words[0] = 1 // 0 says that a place is empty.
  return words
}

export function hasId({ pieces }: IdTable, key: IdKey): boolean {
  const words = pieces[pieceOf(pieces.length, key, 0)]?.words
  return words !== undefined && words[placeOf(words, key, 0)] !== 0
}

/** Whether there is an id of the same group: of n groups two are taken for one with a chance of n²/2⁶⁵. */
export function hasGroup({ pieces }: IdTable, key: IdKey): boolean {
  const words = pieces[pieceOf(pieces.length, key, 0)]?.words
  return words !== undefined && words[placeOf(words, key, 0, isOfGroup)] !== 0
}

/** In place; an id that is there stays there once. */
export function addId(table: IdTable, key: IdKey): void {
  const { pieces } = table
  const piece = pieces[pieceOf(pieces.length, key, 0)]
  if (!piece || !addTo(piece, key, 0)) return
  table.size += 1
  if (table.size > pieces.length * idsPerPiece) split(pieces)
}

/** Of `count` pieces, the one for the id at `at`. Those not split since there were a power of two of them have two pieces' ids. */
function pieceOf(count: number, ids: Uint32Array, at: number): number {
  const span = spanOf(count)
  const piece = (ids[at] ?? 0) & (span - 1)
  return piece < count ? piece : piece - span / 2
}

/** The smallest power of two that is not below `count`. */
const spanOf = (count: number): number => 2 ** (32 - Math.clz32(count - 1))

/** One more piece, with half of the ids of another one, each in its turn. */
function split(pieces: IdPiece[]): void {
  const added = pieces.length
  const from = added - spanOf(added + 1) / 2
  const before = pieces[from]
  if (!before) return
  const places = Math.ceil(before.size / 2 / fullAt)
  const [kept, moved] = [emptyPiece(places), emptyPiece(places)]
  eachOf(before.words, (ids, at) => addTo(pieceOf(added + 1, ids, at) === added ? moved : kept, ids, at))
  pieces[from] = kept
  pieces.push(moved)
}

/** Whether it was not there. */
function addTo(piece: IdPiece, ids: Uint32Array, at: number): boolean {
  const { size, words } = piece
  let place = placeOf(words, ids, at)
  if (words[place] !== 0) return false
  if ((size + 1) * wordsPerId > words.length * fullAt) {
    piece.words = spread(words, Math.ceil((words.length / wordsPerId) * growth))
    place = placeOf(piece.words, ids, at)
  }
  put(piece.words, place, ids, at)
  piece.size += 1
  return true
}

function spread(before: Uint32Array, places: number): Uint32Array {
  const words = new Uint32Array(places * wordsPerId)
  eachOf(before, (ids, at) => put(words, placeOf(words, ids, at), ids, at))
  return words
}

function eachOf(ids: Uint32Array, run: (ids: Uint32Array, at: number) => void): void {
  for (let at = 0; at < ids.length; at += wordsPerId) if (ids[at] !== 0) run(ids, at)
}

/** Where it is, or where it would be. Ids stand in the order of their second word, so that a piece is spread in one pass. */
function placeOf(words: Uint32Array, ids: Uint32Array, at: number, isIt = isSame): number {
  const places = words.length / wordsPerId
  let place = Math.floor(((ids[at + 1] ?? 0) / 2 ** 32) * places) * wordsPerId
  while (words[place] !== 0 && !isIt(words, place, ids, at)) {
    place += wordsPerId
    if (place === words.length) place = 0
  }
  return place
}

const isOfGroup = (words: Uint32Array, place: number, ids: Uint32Array, at: number): boolean =>
  words[place] === ids[at] && words[place + 1] === ids[at + 1]

const isSame = (words: Uint32Array, place: number, ids: Uint32Array, at: number): boolean =>
  isOfGroup(words, place, ids, at) && words[place + 2] === ids[at + 2]

function put(words: Uint32Array, place: number, ids: Uint32Array, at: number): void {
  for (let n = 0; n < wordsPerId; n++) words[place + n] = ids[at + n] ?? 0
}
