/**
 * Which requests and jobs were answered already: when one of these ids comes again, its first answer stands. Ids are kept
 * in slots of a few hours, newest first; the oldest slot goes when even its last id has been kept for long enough.
 */
import type { EpochMicros } from '../../schemas/units.ts'
import { addId, emptyIdTable, hasGroup, hasId, type IdTable, idKey } from './id-table.ts'

export type Answered = {
  /** Chosen anew whenever a state begins empty: who chooses ids cannot know where they lie in the tables. */
  readonly secret: string
  slots: AnsweredSlot[]
}
/** `since`: when the first of these ids came. Only the first slot still grows. */
export type AnsweredSlot = { since: EpochMicros; ids: IdTable }

const hourMicros = 3_600_000_000n
/** An id is remembered at least this long after it was first seen; then it goes within a slot, as soon as others come. */
export const answeredKeptMicros: EpochMicros = 24n * hourMicros
/** The shorter, the less is kept for longer than it has to be; and every slot is looked into for every request. */
export const answeredSlotMicros: EpochMicros = 4n * hourMicros

export const emptyAnswered = (secret: string): Answered => ({ secret, slots: [] })

export const isAnswered = (answered: Answered, id: string): boolean => whatIsAnswered(answered, id, id) === 'it'

/** Whether it was answered, or another id of its group. */
export function whatIsAnswered({ secret, slots }: Answered, id: string, group: string): 'it' | 'another' | undefined {
  const key = idKey(secret, id, group)
  const holding = slots.filter(({ ids }) => hasGroup(ids, key))
  if (holding.length === 0) return undefined
  return holding.some(({ ids }) => hasId(ids, key)) ? 'it' : 'another'
}

/** In place; `at` never goes back. */
export function rememberAnswered({ secret, slots }: Answered, id: string, at: EpochMicros, group = id): void {
  let newest = slots[0]
  if (!newest || at - newest.since >= answeredSlotMicros) {
    newest = { since: at, ids: emptyIdTable() }
    slots.unshift(newest)
    // One slot goes for one that comes, when even its last id has been kept for long enough: a clock that is a day ahead
    // for a moment takes no more than that one.
    const oldest = slots.at(-1)
    if (slots.length > 2 && oldest && at - oldest.since >= answeredKeptMicros + answeredSlotMicros) slots.pop()
  }
  addId(newest.ids, idKey(secret, id, group))
}
