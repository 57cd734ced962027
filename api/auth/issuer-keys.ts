/** The public keys of an OIDC issuer: fetched when first needed, kept, renewed, and found again after a rotation. */
import { createRemoteJWKSet, customFetch, type FetchImplementation, type JWTVerifyGetKey } from 'jose'
import type { Clock } from '../../platform/clock.ts'
import { isSafeUrl } from '../../platform/safe-url.ts'

export type IssuerKeysOptions = {
  /** As in the claim `iss`. */
  issuer: string
  /** Where the keys are; undefined asks the issuer's discovery document, at every fetch. */
  jwksUrl: string | undefined
  /** No fetch begins sooner than this after the one before, in milliseconds; default 30 s. */
  cooldownMs?: number
}

/** The issuer's keys could not be read, so nobody can say whether the token is good. */
export class KeysUnavailableError extends Error {
  readonly retryAfterMs: number
  constructor(retryAfterMs: number, options?: ErrorOptions) {
    super('The keys of the issuer cannot be read.', options)
    this.name = 'KeysUnavailableError'
    this.retryAfterMs = retryAfterMs
  }
}

export const cooldownMsDefault = 30_000
/** Older than this, keys are fetched anew beside the request that finds them so. */
export const keysFreshMs = 10 * 60_000
/** Keys that could not be renewed for so long are no longer trusted: one of them may have been withdrawn. */
export const keysTrustedMs = 24 * 3_600_000
const fetchMsMax = 5_000
const documentBytesMax = 512 * 1_024

/**
 * Finds the key of a token. A key that is not known is looked for at the issuer, at most once per cooldown, whoever asks
 * and however often. While the issuer cannot be reached, known keys go on working until they are no longer trusted;
 * unknown ones throw KeysUnavailableError after 5 s at most. `onFault` hears of every fetch that failed.
 */
export function issuerKeys(
  { issuer, jwksUrl, cooldownMs = cooldownMsDefault }: IssuerKeysOptions,
  { clock, onFault }: { clock: Clock; onFault(error: unknown): void },
): JWTVerifyGetKey {
  let quietUntilMs = 0
  let fetchedMs: number | undefined

  const load: FetchImplementation = async (_, { signal, headers }) => {
    const leftMs = quietUntilMs - clock.nowMs()
    if (leftMs > 0) throw new KeysUnavailableError(leftMs)
    try {
      const keys = await fetchKeys(jwksUrl ?? (await discovered(issuer, signal)), { signal, headers })
      fetchedMs = clock.nowMs()
      return Response.json(keys)
    } catch (error) {
      quietUntilMs = clock.nowMs() + cooldownMs
      onFault(error)
      throw new KeysUnavailableError(cooldownMs, { cause: error })
    }
  }
  const keys = createRemoteJWKSet(new URL(jwksUrl ?? issuer), {
    timeoutDuration: fetchMsMax,
    cooldownDuration: cooldownMs,
    cacheMaxAge: Number.POSITIVE_INFINITY, // How old they may get is decided below, so that an unreachable issuer costs no wait.
    [customFetch]: load,
  })

  return async (header, token) => {
    const ageMs = fetchedMs === undefined ? 0 : clock.nowMs() - fetchedMs
    if (ageMs >= keysTrustedMs) await keys.reload()
    else if (ageMs >= keysFreshMs && !keys.reloading) keys.reload().catch(() => undefined) // onFault has heard of it.
    return keys(header, token)
  }
}

async function discovered(issuer: string, signal: AbortSignal): Promise<string> {
  const address = `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`
  const document = await fetchJson(address, { signal })
  if (document['issuer'] !== issuer) throw new Error(`${address} speaks for another issuer.`)
  const { jwks_uri: found } = document
  if (typeof found !== 'string' || !isSafeUrl(found)) throw new Error(`${address} names no https jwks_uri.`)
  return found
}

async function fetchKeys(address: string, init: RequestInit): Promise<object> {
  const document = await fetchJson(address, init)
  if (!Array.isArray(document['keys'])) throw new Error(`${address} holds no key set.`)
  return document
}

/** Follows no redirect: it could lead to plain text, or to somebody else. */
async function fetchJson(address: string, init: RequestInit): Promise<Record<string, unknown>> {
  const response = await fetch(address, { ...init, redirect: 'manual' })
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of response.body ?? []) {
    bytes += chunk.byteLength
    if (bytes > documentBytesMax) throw new Error(`${address} sent more than ${documentBytesMax} bytes.`)
    chunks.push(chunk)
  }
  if (response.status !== 200) throw new Error(`${address} answered ${response.status}.`)
  const document: unknown = JSON.parse(Buffer.concat(chunks).toString('utf8'))
  if (typeof document !== 'object' || document === null) throw new Error(`${address} sent no JSON object.`)
  return document as Record<string, unknown>
}
