import fc from 'fast-check'
import { expect, test } from 'vitest'
import { billingPeriodOf, isAnchorDate, isTimeZone, type PeriodRule, periodAt } from './periods.ts'

const micros = (iso: string): bigint => BigInt(Date.parse(iso)) * 1_000n
const iso = (at: bigint | null): string | null =>
  at === null ? null : new Date(Number(at / 1_000n)).toISOString().replace(':00.000Z', 'Z')
const rule = (period: PeriodRule['period'], anchorDate: string | null = null): PeriodRule => ({ period, anchorDate })
const hours = (start: bigint, end: bigint | null): number => Number((end ?? 0n) - start) / 3_600_000_000

type Row = [why: string, rule: PeriodRule, timeZone: string, at: string, start: string, end: string, hours: number]

// Transitions as in the IANA time zone database.
const rows: Row[] = [
  ['an ordinary day in UTC', rule('day'), 'UTC', '2026-05-05T12:00Z', '2026-05-05T00:00Z', '2026-05-06T00:00Z', 24],
  ['the first instant of a day', rule('day'), 'UTC', '2026-05-05T00:00Z', '2026-05-05T00:00Z', '2026-05-06T00:00Z', 24],
  ['a day in Lagos', rule('day'), 'Africa/Lagos', '2026-05-05T23:00Z', '2026-05-05T23:00Z', '2026-05-06T23:00Z', 24],
  [
    'a day in Kathmandu, 5:45 ahead',
    rule('day'),
    'Asia/Kathmandu',
    '2026-05-05T18:15Z',
    '2026-05-05T18:15Z',
    '2026-05-06T18:15Z',
    24,
  ],
  [
    'Berlin, clocks forward',
    rule('day'),
    'Europe/Berlin',
    '2026-03-29T12:00Z',
    '2026-03-28T23:00Z',
    '2026-03-29T22:00Z',
    23,
  ],
  [
    'Berlin, clocks back',
    rule('day'),
    'Europe/Berlin',
    '2026-10-25T12:00Z',
    '2026-10-24T22:00Z',
    '2026-10-25T23:00Z',
    25,
  ],
  [
    'New York, clocks forward',
    rule('day'),
    'America/New_York',
    '2026-03-08T12:00Z',
    '2026-03-08T05:00Z',
    '2026-03-09T04:00Z',
    23,
  ],
  [
    'Lord Howe, clocks forward by half an hour',
    rule('day'),
    'Australia/Lord_Howe',
    '2026-10-04T00:00Z',
    '2026-10-03T13:30Z',
    '2026-10-04T13:00Z',
    23.5,
  ],
  [
    'São Paulo, no midnight',
    rule('day'),
    'America/Sao_Paulo',
    '2018-11-04T03:00Z',
    '2018-11-04T03:00Z',
    '2018-11-05T02:00Z',
    23,
  ],
  [
    'São Paulo, 23:00 to 24:00 twice',
    rule('day'),
    'America/Sao_Paulo',
    '2018-02-18T02:30Z',
    '2018-02-17T02:00Z',
    '2018-02-18T03:00Z',
    25,
  ],
  [
    'Beirut, no midnight',
    rule('day'),
    'Asia/Beirut',
    '2026-03-29T04:00Z',
    '2026-03-28T22:00Z',
    '2026-03-29T21:00Z',
    23,
  ],
  [
    'Cairo, no midnight',
    rule('day'),
    'Africa/Cairo',
    '2026-04-24T04:00Z',
    '2026-04-23T22:00Z',
    '2026-04-24T21:00Z',
    23,
  ],
  [
    'Havana, no midnight',
    rule('day'),
    'America/Havana',
    '2026-03-08T06:00Z',
    '2026-03-08T05:00Z',
    '2026-03-09T04:00Z',
    23,
  ],
  [
    'Havana, midnight twice, before the second',
    rule('day'),
    'America/Havana',
    '2026-11-01T04:30Z',
    '2026-11-01T04:00Z',
    '2026-11-02T05:00Z',
    25,
  ],
  [
    'Havana, midnight twice, after the second',
    rule('day'),
    'America/Havana',
    '2026-11-01T05:30Z',
    '2026-11-01T04:00Z',
    '2026-11-02T05:00Z',
    25,
  ],
  [
    "St. John's, set back over a midnight that had passed",
    rule('day'),
    'America/St_Johns',
    '2006-10-29T02:45Z',
    '2006-10-29T02:30Z',
    '2006-10-30T03:30Z',
    25,
  ],
  [
    'Apia, the day before the one that never was',
    rule('day'),
    'Pacific/Apia',
    '2011-12-30T09:59Z',
    '2011-12-29T10:00Z',
    '2011-12-30T10:00Z',
    24,
  ],
  [
    'Apia, the day after the one that never was',
    rule('day'),
    'Pacific/Apia',
    '2011-12-30T10:00Z',
    '2011-12-30T10:00Z',
    '2011-12-31T10:00Z',
    24,
  ],
  ['a week begins on Monday', rule('week'), 'UTC', '2026-05-10T23:59Z', '2026-05-04T00:00Z', '2026-05-11T00:00Z', 168],
  ['a week on its Monday', rule('week'), 'UTC', '2026-05-11T00:00Z', '2026-05-11T00:00Z', '2026-05-18T00:00Z', 168],
  ['a week across New Year', rule('week'), 'UTC', '2027-01-01T00:00Z', '2026-12-28T00:00Z', '2027-01-04T00:00Z', 168],
  [
    'a week of Berlin with an hour less',
    rule('week'),
    'Europe/Berlin',
    '2026-03-25T00:00Z',
    '2026-03-22T23:00Z',
    '2026-03-29T22:00Z',
    167,
  ],
  [
    "a week before the calendar's own anchor",
    rule('week'),
    'UTC',
    '1999-12-31T00:00Z',
    '1999-12-27T00:00Z',
    '2000-01-03T00:00Z',
    168,
  ],
  ['February of a leap year', rule('month'), 'UTC', '2028-02-29T23:59Z', '2028-02-01T00:00Z', '2028-03-01T00:00Z', 696],
  [
    'February of 2100, which is none',
    rule('month'),
    'UTC',
    '2100-02-15T00:00Z',
    '2100-02-01T00:00Z',
    '2100-03-01T00:00Z',
    672,
  ],
  [
    'a month of Berlin with an hour more',
    rule('month'),
    'Europe/Berlin',
    '2026-10-15T00:00Z',
    '2026-09-30T22:00Z',
    '2026-10-31T23:00Z',
    745,
  ],
  [
    'December to January',
    rule('month'),
    'Africa/Lagos',
    '2026-12-31T23:00Z',
    '2026-12-31T23:00Z',
    '2027-01-31T23:00Z',
    744,
  ],
  [
    "anchored day: the calendar's",
    rule('day', '2026-01-15'),
    'UTC',
    '2026-05-05T12:00Z',
    '2026-05-05T00:00Z',
    '2026-05-06T00:00Z',
    24,
  ],
  [
    'anchored week',
    rule('week', '2026-01-01'),
    'UTC',
    '2026-01-07T23:59Z',
    '2026-01-01T00:00Z',
    '2026-01-08T00:00Z',
    168,
  ],
  [
    'anchored week, the next',
    rule('week', '2026-01-01'),
    'UTC',
    '2026-01-08T00:00Z',
    '2026-01-08T00:00Z',
    '2026-01-15T00:00Z',
    168,
  ],
  [
    'anchored week, before its anchor',
    rule('week', '2026-01-01'),
    'UTC',
    '2025-12-31T23:59Z',
    '2025-12-25T00:00Z',
    '2026-01-01T00:00Z',
    168,
  ],
  [
    'anchored on the 15th, on the day',
    rule('month', '2026-01-15'),
    'UTC',
    '2026-03-15T00:00Z',
    '2026-03-15T00:00Z',
    '2026-04-15T00:00Z',
    744,
  ],
  [
    'anchored on the 15th, the day before',
    rule('month', '2026-01-15'),
    'UTC',
    '2026-03-14T23:59Z',
    '2026-02-15T00:00Z',
    '2026-03-15T00:00Z',
    672,
  ],
  [
    'anchored on the 31st, into February',
    rule('month', '2026-01-31'),
    'UTC',
    '2026-02-27T23:59Z',
    '2026-01-31T00:00Z',
    '2026-02-28T00:00Z',
    672,
  ],
  [
    'anchored on the 31st, out of February without drifting',
    rule('month', '2026-01-31'),
    'UTC',
    '2026-02-28T00:00Z',
    '2026-02-28T00:00Z',
    '2026-03-31T00:00Z',
    744,
  ],
  [
    'anchored on the 31st, April has 30',
    rule('month', '2026-01-31'),
    'UTC',
    '2026-04-30T00:00Z',
    '2026-04-30T00:00Z',
    '2026-05-31T00:00Z',
    744,
  ],
  [
    'anchored on the 31st, leap year',
    rule('month', '2026-01-31'),
    'UTC',
    '2028-02-29T12:00Z',
    '2028-02-29T00:00Z',
    '2028-03-31T00:00Z',
    744,
  ],
  [
    'anchored on 29 February, other years',
    rule('month', '2028-02-29'),
    'UTC',
    '2029-02-28T12:00Z',
    '2029-02-28T00:00Z',
    '2029-03-29T00:00Z',
    696,
  ],
  [
    'anchored in the future',
    rule('month', '2027-06-20'),
    'UTC',
    '2026-05-05T00:00Z',
    '2026-04-20T00:00Z',
    '2026-05-20T00:00Z',
    720,
  ],
  [
    'anchored where its midnight does not exist',
    rule('month', '2026-04-24'),
    'Africa/Cairo',
    '2026-05-01T00:00Z',
    '2026-04-23T22:00Z',
    '2026-05-23T21:00Z',
    719,
  ],
]

test.for(rows)('%s', ([, asked, timeZone, at, start, end, length]) => {
  const period = periodAt(asked, timeZone, micros(at), 0n)
  expect([iso(period.start), iso(period.end), hours(period.start, period.end)]).toEqual([start, end, length])
})

test.for(['total', 'unknown'] as const)('%s runs from when the cap counts and never ends', (period) => {
  expect(periodAt(rule(period), 'Europe/Berlin', micros('2026-05-05T12:00Z'), 17n)).toEqual({ start: 17n, end: null })
})

test.for([
  ['Europe/Berlin', '2026-03-31T21:59:59.999Z', '2026-03'],
  ['Europe/Berlin', '2026-03-31T22:00Z', '2026-04'],
  ['Africa/Lagos', '2026-12-31T22:59Z', '2026-12'],
  ['Africa/Lagos', '2026-12-31T23:00Z', '2027-01'],
  ['America/New_York', '2026-11-01T03:59Z', '2026-10'],
  ['Pacific/Kiritimati', '2026-01-31T10:00Z', '2026-02'],
])('in %s, %s belongs to %s', ([timeZone = '', at = '', month]) => {
  expect(billingPeriodOf(timeZone, micros(at))).toBe(month)
})

const timeZones = [
  'UTC',
  'Africa/Lagos',
  'Africa/Cairo',
  'Africa/Casablanca',
  'America/Sao_Paulo',
  'America/Havana',
  'America/St_Johns',
  'America/New_York',
  'Asia/Beirut',
  'Asia/Tehran',
  'Asia/Kathmandu',
  'Australia/Lord_Howe',
  'Europe/Berlin',
  'Pacific/Apia',
  'Pacific/Chatham',
  'Pacific/Kwajalein',
]
const instants = fc.bigInt(micros('1985-01-01T00:00Z'), micros('2045-01-01T00:00Z'))
const repeating = fc.constantFrom<PeriodRule['period'][]>('day', 'week', 'month')
const days = fc
  .date({ min: new Date('1990-01-01'), max: new Date('2040-12-31'), noInvalidDate: true })
  .map((date) => date.toISOString().slice(0, 10))
const rules = fc.record({ period: repeating, anchorDate: fc.option(days) })

test('periods tile time: each holds its moment, and the next begins where it ends', () => {
  fc.assert(
    fc.property(rules, fc.constantFrom(...timeZones), instants, (asked, timeZone, at) => {
      const { start, end } = periodAt(asked, timeZone, at, 0n)
      if (end === null) throw new Error('a repeating period ends')
      expect(start).toBeLessThanOrEqual(at)
      expect(end).toBeGreaterThan(at)
      expect(periodAt(asked, timeZone, start, 0n)).toEqual(periodAt(asked, timeZone, end - 1n, 0n))
      expect(periodAt(asked, timeZone, end, 0n).start).toBe(end)
      expect(periodAt(asked, timeZone, start - 1n, 0n).end).toBe(start)
    }),
    { numRuns: 400 },
  )
})

test('what was asked before does not change an answer', () => {
  fc.assert(
    fc.property(
      rules,
      rules,
      fc.constantFrom(...timeZones),
      instants,
      instants,
      (asked, other, timeZone, at, elsewhere) => {
        const fresh = periodAt(asked, timeZone, at, 0n)
        periodAt(asked, timeZone, elsewhere, 0n)
        periodAt(other, timeZone, at, 0n)
        expect(periodAt(asked, timeZone, at, 0n)).toEqual(fresh)
      },
    ),
    { numRuns: 200 },
  )
})

test('the billing period is the month that holds the moment', () => {
  fc.assert(
    fc.property(fc.constantFrom(...timeZones), instants, (timeZone, at) => {
      const { start, end } = periodAt(rule('month'), timeZone, at, 0n)
      const month = billingPeriodOf(timeZone, at)
      expect(month).toMatch(/^\d{4}-\d{2}$/)
      expect(billingPeriodOf(timeZone, start)).toBe(month)
      expect(billingPeriodOf(timeZone, end ?? 0n) > month).toBe(true)
    }),
    { numRuns: 200 },
  )
})

test('what names no zone or date is refused before it is used', () => {
  expect(['Europe/Berlin', 'UTC', 'America/Argentina/Ushuaia', 'Etc/GMT+1'].map(isTimeZone)).toEqual([
    true,
    true,
    true,
    true,
  ])
  expect(['', 'Nowhere/City', '+01:00', 'Europe/Berlin ', 'a'.repeat(100)].map(isTimeZone)).toEqual([
    false,
    false,
    false,
    false,
    false,
  ])
  expect(['2026-02-28', '2028-02-29'].map(isAnchorDate)).toEqual([true, true])
  expect(['2026-02-29', '2026-13-01', '2026-1-1', '2026-01-01T00:00', '+002026-01-01'].map(isAnchorDate)).toEqual(
    Array(5).fill(false),
  )
  expect(() => periodAt(rule('day'), 'Nowhere/City', 0n, 0n)).toThrow(RangeError)
  expect(() => periodAt(rule('month', '2026-02-30'), 'UTC', 0n, 0n)).toThrow(RangeError)
})
