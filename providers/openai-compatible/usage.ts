/** What a provider says it used, in PF-3's disjoint buckets. */
import { z } from 'zod'
import { noTokens, type UsageReport } from '../../capabilities/index.ts'

const count = z.int().min(0)
const reportSchema = z
  .object({
    prompt_tokens: count,
    completion_tokens: count,
    prompt_tokens_details: z.object({ cached_tokens: count.nullish() }).nullish(),
    completion_tokens_details: z.object({ reasoning_tokens: count.nullish() }).nullish(),
  })
  .transform((report) => ({
    prompt: report.prompt_tokens,
    completion: report.completion_tokens,
    cached: report.prompt_tokens_details?.cached_tokens ?? 0,
    reasoning: report.completion_tokens_details?.reasoning_tokens ?? 0,
  }))
  .refine(({ prompt, completion, cached, reasoning }) => cached <= prompt && reasoning <= completion)

export type UsageBound = { inputTokensMax: bigint; outputTokensMax: bigint }

/**
 * OpenAI's prompt_tokens include the cached ones, and its completion_tokens the reasoning ones; ours are disjoint but for
 * reasoning, which is a part of output. Figures above the bound are reported as they are. A report that is absent, or that
 * cannot be true, is not a report of 0: the bound takes its place, marked as estimated.
 */
export function usageOf(report: unknown, bound: UsageBound): UsageReport {
  const raw = rawOf(report)
  const parsed = reportSchema.safeParse(report)
  if (!parsed.success) {
    const { inputTokensMax, outputTokensMax } = bound
    return {
      ...noTokens,
      inputUncachedTokens: inputTokensMax,
      outputTokens: outputTokensMax,
      source: 'estimated',
      ...raw,
    }
  }
  const { prompt, completion, cached, reasoning } = parsed.data
  return {
    inputUncachedTokens: BigInt(prompt - cached),
    inputCacheReadTokens: BigInt(cached),
    inputCacheWriteTokens: 0n,
    outputTokens: BigInt(completion),
    reasoningTokens: BigInt(reasoning),
    source: 'provider',
    ...raw,
  }
}

/** Figures kept of a report; one that has more is odd enough to keep none. */
const figuresMax = 64
const figureName = /^\w{1,64}$/

/** The figures of the report as JSON, in its own shape to a depth of two; no texts, which could hold anything. */
function rawOf(report: unknown): { raw?: string } {
  const figures = figuresOf(report, 2)
  if (figures === undefined) return {}
  const raw = JSON.stringify(figures)
  return (raw.match(/:/g) ?? []).length > figuresMax ? {} : { raw }
}

function figuresOf(value: unknown, depth: number): object | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
  const entries = Object.entries(value).flatMap(([name, inner]): [string, unknown][] => {
    if (!figureName.test(name)) return []
    if (typeof inner === 'number') return [[name, inner]]
    const figures = depth > 1 ? figuresOf(inner, depth - 1) : undefined
    return figures === undefined ? [] : [[name, figures]]
  })
  return entries.length === 0 ? undefined : Object.fromEntries(entries)
}
