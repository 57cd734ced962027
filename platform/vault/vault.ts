/**
 * The payload vault: inputs, results and label sets, which never enter the log because they must be deletable.
 * AES-256-GCM under a key chain master → tenant → tenant's UTC day; destroying a day key destroys its content.
 */
import { isFailure } from '../errors.ts'
import type { Tx } from '../postgres/database.ts'

/** `day`: erased with its day key. `kept`: long-lived content such as label sets, deleted explicitly. */
export type PayloadClass = 'day' | 'kept'
export type Payload = { tenantId: string; ref: string; class: PayloadClass; content: Uint8Array }
export type PayloadReceipt = {
  ref: string
  bytes: number
  /** HMAC-SHA-256 of ref and content in hex, under a key derived from the one that seals them. */
  mac: string
}
export type SealedPayload = { receipt: PayloadReceipt; row: Record<string, unknown> }

export type PayloadVault = {
  /**
   * Encrypts; makes the day key when there is none. Order of the answer is that of the argument. Throws VAULT_DAMAGED when
   * the keys of a tenant do not match their seal, and VAULT_KEY_GONE when it is erased time and again meanwhile.
   */
  seal(payloads: readonly Payload[]): Promise<SealedPayload[]>
  /**
   * Stores what was sealed, inside the caller's transaction. A ref that is already there is left as it is. Throws
   * VAULT_KEY_GONE when a key was destroyed meanwhile: seal again.
   */
  store(tx: Tx, sealed: readonly SealedPayload[]): Promise<void>
  /** seal and store in a transaction of its own. Safe to repeat. */
  put(payloads: readonly Payload[]): Promise<PayloadReceipt[]>
  /** Content by ref; what is no longer kept is missing from the map. Throws VAULT_DAMAGED when a seal does not match. */
  get(tenantId: string, refs: readonly string[]): Promise<Map<string, Uint8Array>>
  /** As `get`, over several tenants at once; the map is keyed by ref. For the owner, which runs jobs of many tenants. */
  getMany(wanted: readonly { tenantId: string; ref: string }[]): Promise<Map<string, Uint8Array>>
  /** Whether `getMany` would find it: for whoever has the content already, which may be large. */
  has(tenantId: string, ref: string): Promise<boolean>
}

/**
 * Whether `error` is damage of this content or of the keys of its tenant. The vault throws for the first damage that it
 * meets, so whoever asks for many at once lets go of that one and asks for the others again (`isFaultOf` of a batcher).
 */
export const isDamageOf = (error: unknown, { tenantId, ref }: { tenantId: string; ref: string }): boolean =>
  isFailure(error, 'VAULT_DAMAGED') &&
  error.facts['tenantId'] === tenantId &&
  (error.facts['ref'] === undefined || error.facts['ref'] === ref)
