/** Which TLS is spoken: version 1.3 on every connection, in and out. */
import tls from 'node:tls'

export const tlsVersionMin = 'TLSv1.3'

/**
 * From now on every connection of this process that does not say otherwise speaks TLS 1.3 or none: calls to providers,
 * to an issuer of tokens, to object storage, to databases. Called once, before anything connects.
 */
export function requireTls13(): void {
  tls.DEFAULT_MIN_VERSION = tlsVersionMin
}

/** Whether what is sent to this host stays on this machine. */
export const isLoopback = (host: string): boolean =>
  host === 'localhost' || host === '::1' || host === '[::1]' || /^127(\.\d{1,3}){3}$/.test(host)
