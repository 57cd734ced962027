import { expect, test } from 'vitest'
import { systemRandom } from './clock.ts'

test('random bytes are as many as were asked for, in memory of their own, and never the same twice', () => {
  const seen = new Set<string>()
  for (let n = 0; n < 2_000; n++) {
    const bytes = systemRandom.bytes(16)
    expect(bytes.byteLength).toBe(16)
    seen.add(Buffer.from(bytes).toString('hex'))
  }
  expect(seen.size).toBe(2_000)
  const [one, other] = [systemRandom.bytes(12), systemRandom.bytes(12)]
  const before = Buffer.from(other)
  one.fill(0)
  expect(Buffer.from(other)).toEqual(before)
})

test.each([0, 1, 4_095, 4_096, 4_097, 100_000])('%i bytes of chance, all of them drawn', (size) => {
  const bytes = systemRandom.bytes(size)
  expect(bytes.byteLength).toBe(size)
  if (size > 1_000) expect(new Set(bytes).size).toBeGreaterThan(240) // A part that was not drawn would be zeros.
  if (size > 1_000)
    expect(
      Buffer.from(bytes)
        .subarray(-64)
        .every((byte) => byte === 0),
    ).toBe(false)
})

test('fractions stand in [0, 1) and are spread over it', () => {
  const tenths = new Set<number>()
  for (let n = 0; n < 1_000; n++) {
    const fraction = systemRandom.fraction()
    expect(fraction >= 0 && fraction < 1).toBe(true)
    tenths.add(Math.floor(fraction * 10))
  }
  expect(tenths.size).toBe(10)
})
