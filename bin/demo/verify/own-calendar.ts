/**
 * The verifier's own calendar. It never computes a period: it takes the one that was recorded and asks the platform's
 * own time zone data whether it begins and ends where such a period must.
 */

export type PeriodRule = { period: 'day' | 'week' | 'month'; anchorDate: string | null }

const dayMs = 86_400_000
const monday = Date.UTC(1970, 0, 5) / dayMs

const formats = new Map<string, Intl.DateTimeFormat>()

/** Local date as days since 1970-01-01. */
function localDay(timeZone: string, at: bigint): number {
  const format =
    formats.get(timeZone) ??
    new Intl.DateTimeFormat('en-u-ca-iso8601-nu-latn', { timeZone, year: 'numeric', month: 'numeric', day: 'numeric' })
  formats.set(timeZone, format)
  // Division of a negative bigint rounds towards zero, which would be the next millisecond.
  const ms = at >= 0n ? at / 1_000n : (at - 999n) / 1_000n
  const parts = new Map(format.formatToParts(Number(ms)).map(({ type, value }) => [type, Number(value)]))
  return Date.UTC(parts.get('year') ?? 0, (parts.get('month') ?? 0) - 1, parts.get('day') ?? 0) / dayMs
}

const dateOf = (day: number): Date => new Date(day * dayMs)

/** YYYY-MM of the tenant's calendar. */
export const localMonth = (timeZone: string, at: bigint): string =>
  dateOf(localDay(timeZone, at)).toISOString().slice(0, 7)

/** What is wrong with a recorded period; undefined when it is one of the rule's. */
export function periodFault(rule: PeriodRule, timeZone: string, start: bigint, end: bigint): string | undefined {
  const firstDay = localDay(timeZone, start)
  const nextDay = localDay(timeZone, end)
  if (localDay(timeZone, start - 1n) >= firstDay) return 'does not start where a local day starts'
  if (localDay(timeZone, end - 1n) >= nextDay) return 'does not end where a local day starts'
  const anchor = rule.anchorDate === null ? null : Date.parse(rule.anchorDate) / dayMs
  if (rule.period === 'day') return nextDay === firstDay + 1 ? undefined : 'is not one day long'
  if (rule.period === 'week') {
    if ((firstDay - (anchor ?? monday)) % 7 !== 0) return 'does not start on the first day of a week'
    return nextDay === firstDay + 7 ? undefined : 'is not seven days long'
  }
  const dayOfMonth = anchor === null ? 1 : dateOf(anchor).getUTCDate()
  if (firstDay !== dayInMonth(firstDay, 0, dayOfMonth)) return `does not start on day ${dayOfMonth} of a month`
  return nextDay === dayInMonth(firstDay, 1, dayOfMonth) ? undefined : 'is not one month long'
}

/** The wanted day, or the last there is, of the month so many after the one of `day`. */
function dayInMonth(day: number, monthsAfter: number, wanted: number): number {
  const date = dateOf(day)
  const [year, month] = [date.getUTCFullYear(), date.getUTCMonth() + monthsAfter]
  const last = new Date(Date.UTC(year, month + 1, 0)).getUTCDate()
  return Date.UTC(year, month, Math.min(wanted, last)) / dayMs
}
