/** Which addresses may be called: what travels there must not be readable on the way. */
import { isLoopback } from './tls.ts'

/** https anywhere; http on loopback only. */
export function isSafeUrl(text: string): boolean {
  if (!URL.canParse(text)) return false
  const { protocol, hostname } = new URL(text)
  return protocol === 'https:' || (protocol === 'http:' && isLoopback(hostname))
}
