import fc from 'fast-check'
import { expect, test } from 'vitest'
import { decimalFromPico, isoFromMicros, microsFromMs, msFromMicros, picoFromDecimal } from './units.ts'

test.for<[text: string, pico: bigint]>([
  ['0', 0n],
  ['1', 1_000_000_000_000n],
  ['12.50', 12_500_000_000_000n],
  ['0.000000000001', 1n],
  ['0.0002', 200_000_000n],
  ['999999999999999.999999999999', 10n ** 27n - 1n],
])('%s is %s pico-units', ([text, pico]) => {
  expect(picoFromDecimal(text)).toBe(pico)
})

test.for([
  '',
  ' ',
  '-1',
  '+1',
  '01',
  '1.',
  '.5',
  '1,5',
  '1e3',
  '0x1',
  '1_000',
  '1.0000000000001',
  '1000000000000000',
  'NaN',
  ' 1',
  '1\n',
  '١',
])('%j is not an amount', (text) => {
  expect(picoFromDecimal(text)).toBeUndefined()
})

test.for<[pico: bigint, text: string]>([
  [0n, '0'],
  [1n, '0.000000000001'],
  [-1n, '-0.000000000001'],
  [1_500_000_000_000n, '1.5'],
  [-1_000_000_000_000n, '-1'],
  [10n ** 38n - 1n, '99999999999999999999999999.999999999999'],
])('%s pico-units are written %s', ([pico, text]) => {
  expect(decimalFromPico(pico)).toBe(text)
})

test('an amount that is written and read again is the same', () => {
  fc.assert(
    fc.property(fc.bigInt(0n, 10n ** 27n - 1n), (pico) => {
      expect(picoFromDecimal(decimalFromPico(pico))).toBe(pico)
    }),
  )
})

test('the written form has no superfluous zeros', () => {
  fc.assert(
    fc.property(fc.bigInt(-(10n ** 30n), 10n ** 30n), (pico) => {
      expect(decimalFromPico(pico)).toMatch(/^(0|-?(0|[1-9]\d*)(\.\d{0,11}[1-9])?)$/)
    }),
  )
})

test('milliseconds survive microseconds, and microseconds round down', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 8.64e15 }), (ms) => {
      expect(msFromMicros(microsFromMs(ms))).toBe(ms)
    }),
  )
  expect(msFromMicros(1_999n)).toBe(1)
  expect(isoFromMicros(1_767_225_600_123_999n)).toBe('2026-01-01T00:00:00.123Z')
})
