/** Units of every number in the system, and the few conversions between them. Integers only. */

/** Money in 10⁻¹² of the currency's main unit: token prices go below 10⁻⁶, so nothing coarser is exact. */
export type Pico = bigint
/** Microseconds since the Unix epoch, UTC. */
export type EpochMicros = bigint
/** Milliseconds since the Unix epoch, UTC. */
export type EpochMs = number

export const picoPerUnit = 1_000_000_000_000n

export const microsFromMs = (ms: EpochMs): EpochMicros => BigInt(ms) * 1_000n
/** Rounds down to the millisecond. */
export const msFromMicros = (micros: EpochMicros): EpochMs => Number(micros / 1_000n)
export const isoFromMicros = (micros: EpochMicros): string => new Date(msFromMicros(micros)).toISOString()

const decimalPattern = /^(0|[1-9]\d{0,14})(?:\.(\d{1,12}))?$/

/**
 * Reads a non-negative decimal amount in main units, such as "12.50", exactly.
 * Bounds: at most 15 digits before and 12 after the point. Returns undefined for anything else.
 */
export function picoFromDecimal(text: string): Pico | undefined {
  const match = decimalPattern.exec(text)
  if (!match) return undefined
  return BigInt(match[1] ?? '0') * picoPerUnit + BigInt((match[2] ?? '').padEnd(12, '0'))
}

/** Writes an amount in main units with no trailing zeros: 1_500_000_000_000n is "1.5". Exact, also for negatives. */
export function decimalFromPico(pico: Pico): string {
  const sign = pico < 0n ? '-' : ''
  const size = pico < 0n ? -pico : pico
  const fraction = (size % picoPerUnit).toString().padStart(12, '0').replace(/0+$/, '')
  return `${sign}${size / picoPerUnit}${fraction === '' ? '' : `.${fraction}`}`
}
