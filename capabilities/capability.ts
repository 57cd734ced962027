/** What a job can ask for, and what a provider must keep to serve it. */
import type { z } from 'zod'

/** Disjoint token buckets; reasoning is a part of output. All at least 0. */
export type TokenBuckets = {
  inputUncachedTokens: bigint
  inputCacheReadTokens: bigint
  inputCacheWriteTokens: bigint
  outputTokens: bigint
  reasoningTokens: bigint
}
export const noTokens: TokenBuckets = {
  inputUncachedTokens: 0n,
  inputCacheReadTokens: 0n,
  inputCacheWriteTokens: 0n,
  outputTokens: 0n,
  reasoningTokens: 0n,
}

/** Most a job can consume, known before it runs. */
export type Bounds = { inputTokensMax: bigint; outputTokensMax: bigint }

export type JobInput = { input: unknown; params: unknown }

export type Capability = {
  /** For example `classify.category`. */
  name: string
  /** What it does, in one sentence, for the documentation. */
  means: string
  inputSchema: z.ZodType
  paramsSchema: z.ZodType
  resultSchema: z.ZodType
  /** The tenant's resource the job works with, taken from validated params; undefined when it needs none. */
  resourceOf(params: unknown): string | undefined
  /** Upper bound of tokens for validated input; no provider of this capability may count more for input. */
  bounds(job: JobInput): Bounds
  /** Whether a call whose outcome nobody knows may be made again. */
  canRepeat: boolean
}

export type RouteChoice = { provider: string; model: string; pool: 'local' | 'remote' }

/** What the adapter of a provider is asked; everything it needs and nothing else. */
export type Call = {
  tenantId: string
  jobId: string
  /** Sent as idempotency key where the provider takes one. */
  attemptId: string
  capability: string
  model: string
  input: unknown
  params: unknown
  outputTokensMax: bigint
  /** The resource's content and version; undefined when the capability needs none. */
  resource?: { hash: string; content: Uint8Array }
}

export type CallFailureCode =
  | 'PROVIDER_TIMEOUT'
  | 'PROVIDER_UNAVAILABLE'
  | 'PROVIDER_RATE_LIMITED'
  | 'PROVIDER_REJECTED'
  | 'PROVIDER_MALFORMED'
  | 'INPUT_UNREADABLE'
  | 'CANCELLED'

export type UsageReport = TokenBuckets & {
  /** `provider`: it reported them; `counted`: counted here; `estimated`: the bound, as nothing better is known. */
  source: 'provider' | 'counted' | 'estimated'
  /** The provider's own report, figures only, as JSON. */
  raw?: string
}

export type CallOutcome =
  | { ok: true; result: unknown; usage: UsageReport }
  | { ok: false; code: CallFailureCode; usage?: UsageReport; retryAfterMs?: number }

export type Provider = {
  name: string
  pool: 'local' | 'remote'
  /** Model that serves the capability, or the wanted one if it has it; undefined when it cannot. */
  modelFor(capability: string, wanted: string | undefined): string | undefined
  /** One call, no retries. Ends early with CANCELLED when `signal` aborts. Throws only for a bug. */
  call(call: Call, signal: AbortSignal): Promise<CallOutcome>
  close(): Promise<void>
}
