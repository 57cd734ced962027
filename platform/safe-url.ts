/** Which addresses may be called: what travels there must not be readable on the way. */
import { isLoopback } from './tls.ts'

/** https anywhere; http on loopback only. Without user and password: addresses stand in logs, and fetch takes none that has them. */
export const isSafeUrl = (text: string): boolean => urlComplaint(text) === undefined

/** What is wrong with the address, as a sentence that quotes no password; undefined when nothing is. */
export function urlComplaint(text: string): string | undefined {
  if (holdsLogin(text)) return 'an address without user and password was expected'
  if (URL.canParse(text)) {
    const { protocol, hostname } = new URL(text)
    if (protocol === 'https:' || (protocol === 'http:' && isLoopback(hostname))) return undefined
  }
  return `an https URL, or an http one on loopback, was expected, not ${JSON.stringify(text.replace(/^.*@/s, '…@'))}`
}

export function holdsLogin(text: string): boolean {
  if (!URL.canParse(text)) return false
  const { username, password } = new URL(text)
  return username !== '' || password !== ''
}
