/**
 * Periods of caps and of billing, as the tenant's own calendar has them. Pure: time comes in, and what is remembered
 * between calls cannot change an answer.
 *
 * A period begins at the first instant of its first local day. That is midnight where midnight exists, otherwise the
 * instant at which the clocks jump over it; where midnight comes twice, the first one. Periods tile time in instants:
 * a clock that is set back across a boundary does not reopen the period before it.
 */
import { Temporal } from 'temporal-polyfill'
import type { CapSetCapPeriod } from '../../schemas/events.generated.ts'
import type { EpochMicros } from '../../schemas/units.ts'

export type Period = {
  start: EpochMicros
  /** Exclusive; null when the period never ends. */
  end: EpochMicros | null
}

export type PeriodRule = {
  /** Calendar weeks begin on Monday. `unknown`, a newer writer's word, never ends: the tightest reading. */
  period: CapSetCapPeriod
  /** Local date (YYYY-MM-DD) that is the first day of a period; null for calendar periods. */
  anchorDate: string | null
}

/**
 * The period that `at` falls in: start ≤ at < end.
 *
 * An anchor only says on which day periods begin, before it as well as after: what is admitted before an anchor in
 * the future falls in the period that ends there. Anchored months begin on the anchor's day of the month, or on the
 * last day of a month that has no such day, always counted from the anchor, so a short month shifts nothing. `total`
 * runs from `countsFrom` and never ends.
 *
 * Throws RangeError for a time zone or anchor date that does not exist: ask `isTimeZone` and `isAnchorDate` first.
 */
export function periodAt(rule: PeriodRule, timeZone: string, at: EpochMicros, countsFrom: EpochMicros): Period {
  const { period, anchorDate } = rule
  if (period === 'total' || period === 'unknown') return { start: countsFrom, end: null }
  return remembered(period, anchorDate, timeZone, at)
}

/** The calendar month, YYYY-MM, that `at` falls in. Throws RangeError for a time zone that does not exist. */
export const billingPeriodOf = (timeZone: string, at: EpochMicros): string =>
  remembered('month', null, timeZone, at).firstDay.slice(0, 7)

/** Whether the text names an IANA time zone that this build knows; an offset such as +01:00 is not one. */
export function isTimeZone(text: string): boolean {
  if (!/^[A-Za-z][\w+/-]{0,63}$/.test(text)) return false
  try {
    Temporal.Instant.fromEpochMilliseconds(0).toZonedDateTimeISO(text)
    return true
  } catch {
    return false
  }
}

/** Whether the text is a date of the calendar, as YYYY-MM-DD. */
export function isAnchorDate(text: string): boolean {
  if (!/^\d{4}-\d{2}-\d{2}$/.test(text)) return false
  try {
    Temporal.PlainDate.from(text)
    return true
  } catch {
    return false
  }
}

type Repeating = 'day' | 'week' | 'month'
type Found = { start: EpochMicros; end: EpochMicros; firstDay: string }

// Every cap of every job asks, nearly always about the period it asked about before. Bounded by starting over.
const lastFound = new Map<string, Map<string, Found>>()
const zonesMax = 1_000
const rulesPerZoneMax = 1_000

function remembered(period: Repeating, anchorDate: string | null, timeZone: string, at: EpochMicros): Found {
  const rules = lastFound.get(timeZone) ?? new Map<string, Found>()
  const rule = `${period} ${anchorDate ?? ''}`
  const last = rules.get(rule)
  if (last && last.start <= at && at < last.end) return last
  const found = find(period, anchorDate, timeZone, at)
  if (!rules.has(rule) && rules.size >= rulesPerZoneMax) rules.clear()
  if (!lastFound.has(timeZone) && lastFound.size >= zonesMax) lastFound.clear()
  lastFound.set(timeZone, rules.set(rule, found))
  return found
}

// Local dates run backwards by at most a day when clocks are set back, so the first guess is off by one at most.
const guessesMax = 3

function find(period: Repeating, anchorDate: string | null, timeZone: string, at: EpochMicros): Found {
  const today = Temporal.Instant.fromEpochNanoseconds(at * 1_000n)
    .toZonedDateTimeISO(timeZone)
    .toPlainDate()
  const anchor = anchorDate === null ? calendarAnchor : Temporal.PlainDate.from(anchorDate, { overflow: 'reject' })
  const guess = countAt(period, anchor, today)
  for (let count = guess; count < guess + guessesMax; count++) {
    const firstDay = firstDayOf(period, anchor, count)
    const start = startOf(firstDay, timeZone)
    const end = startOf(firstDayOf(period, anchor, count + 1), timeZone)
    if (start <= at && at < end) return { start, end, firstDay: firstDay.toString() }
  }
  throw new Error(`No ${period} of ${timeZone} holds ${at}`)
}

// A Monday and the first of a month: periods counted from it are those of the calendar.
const calendarAnchor = Temporal.PlainDate.from('2001-01-01')

/** How many periods after the anchor's the one of `day` begins; negative before the anchor. */
function countAt(period: Repeating, anchor: Temporal.PlainDate, day: Temporal.PlainDate): number {
  if (period !== 'month') return Math.floor(anchor.until(day, { largestUnit: 'days' }).days / daysOf[period])
  const months = (day.year - anchor.year) * 12 + day.month - anchor.month
  return Temporal.PlainDate.compare(firstDayOf('month', anchor, months), day) <= 0 ? months : months - 1
}

const firstDayOf = (period: Repeating, anchor: Temporal.PlainDate, count: number): Temporal.PlainDate =>
  anchor.add(period === 'month' ? { months: count } : { days: count * daysOf[period] }, { overflow: 'constrain' })

const daysOf = { day: 1, week: 7 }

const startOf = (day: Temporal.PlainDate, timeZone: string): EpochMicros =>
  day.toZonedDateTime(timeZone).epochNanoseconds / 1_000n
