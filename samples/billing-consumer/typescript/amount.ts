/** Amounts between pico-units, as facts have them, and decimals in main units, as the API has them. Exact both ways. */
import { FeedError } from './feed.ts'

const picoDigits = 12

export function decimalFromPico(pico: bigint): string {
  const digits = String(pico < 0n ? -pico : pico).padStart(picoDigits + 1, '0')
  const fraction = digits.slice(-picoDigits).replace(/0+$/, '')
  return `${pico < 0n ? '-' : ''}${digits.slice(0, -picoDigits)}${fraction === '' ? '' : `.${fraction}`}`
}

export function picoFromDecimal(text: unknown): bigint {
  const [, sign = '', whole = '', fraction = ''] = /^(-?)(\d+)(?:\.(\d{1,12}))?$/.exec(String(text)) ?? []
  if (whole === '') throw new FeedError(`${JSON.stringify(text)} is not an amount`)
  return BigInt(`${sign}${whole}${fraction.padEnd(picoDigits, '0')}`)
}
