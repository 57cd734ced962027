/**
 * Which requests and jobs were answered already: when one of these ids comes again, its first answer stands. Ids are kept
 * in slots of a few hours, newest first; the oldest slot goes when even its last id has been kept for long enough.
 */
import type { EpochMicros } from '../../schemas/units.ts'
import { addId, emptyIdTable, hasId, type IdTable, idKey } from './id-table.ts'

/** `since`: when the first of these ids came. Only the first slot still grows. */
export type Answered = { since: EpochMicros; ids: IdTable }[]

const hourMicros = 3_600_000_000n
/** An id is remembered at least this long after it was first seen; then it goes within a slot, as soon as others come. */
export const answeredKeptMicros: EpochMicros = 24n * hourMicros
/** The shorter, the less is kept for longer than it has to be; and every slot is looked into for every request. */
export const answeredSlotMicros: EpochMicros = 4n * hourMicros

export function isAnswered(answered: Answered, id: string): boolean {
  const key = idKey(id)
  return answered.some(({ ids }) => hasId(ids, key))
}

/** In place; `at` never goes back. */
export function rememberAnswered(answered: Answered, id: string, at: EpochMicros): void {
  let newest = answered[0]
  if (!newest || at - newest.since >= answeredSlotMicros) {
    newest = { since: at, ids: emptyIdTable() }
    answered.unshift(newest)
  }
  addId(newest.ids, idKey(id))
  // By then even the last id of the slot has been kept for long enough. Not the last but one: a clock that is ahead for a
  // moment must not take what came a second ago.
  while (answered.length > 2 && at - (answered.at(-1)?.since ?? at) >= answeredKeptMicros + answeredSlotMicros)
    answered.pop()
}
