/** What a scripted provider is told to do: rules in order, each with the calls it fits and what is done with them. */
import { z } from 'zod'

const count = z.int().min(0)

/** What the provider does with a call; everything is optional. */
const actSchema = z.strictObject({
  /** Waits this long before anything else, in milliseconds; at most ten minutes. */
  latencyMs: count.max(600_000).optional(),
  /** Answers with this HTTP status and an error body. */
  status: z.int().min(300).max(599).optional(),
  /** Sent as Retry-After, as it is. */
  retryAfter: z.string().optional(),
  /** Headers sent besides. */
  headers: z.record(z.string(), z.string()).optional(),
  /** The answer's text; the prompt in capital letters otherwise. */
  text: z.string().optional(),
  /**
   * Token figures, also above what was allowed; null leaves the report out. Cached ones are a part of `prompt`, reasoning of
   * `completion`. Without it, 1 per 4 bytes of prompt and of text.
   */
  usage: z
    .strictObject({ prompt: count, completion: count, cached: count.optional(), reasoning: count.optional() })
    .nullable()
    .optional(),
  /** Sent as the whole body of the answer, as it is. */
  body: z.string().optional(),
  /**
   * `malformed`: not JSON; `empty`: JSON without an answer; `hang`: never answers; `reset`: hangs up before the headers;
   * `cut`: in the middle of the body.
   */
  breaks: z.enum(['malformed', 'empty', 'hang', 'reset', 'cut']).optional(),
})
export type Act = z.infer<typeof actSchema>

/** Which calls a rule fits: those that meet every condition. The first rule that fits a call is taken. */
export const ruleSchema = actSchema.extend({
  /** Fits the nth call received, counted from 1. */
  nth: z.int().min(1).optional(),
  /** Fits prompts that hold this text. */
  promptHas: z.string().optional(),
  /** Fits calls whose idempotency key holds this text. */
  keyHas: z.string().optional(),
  /** Fits calls that have this header (by its name in lower case) with a value that holds this text. */
  headerHas: z.strictObject({ name: z.string().toLowerCase(), text: z.string() }).optional(),
  /** Fits this share of the calls that meet all other conditions, drawn from the seed: 0 to 1. */
  share: z.number().min(0).max(1).optional(),
  /** Fits so many calls and is then passed over; without it, any number. */
  times: count.optional(),
})
export type Rule = z.infer<typeof ruleSchema>

/** A script file: settings and rules, or rules alone. */
export const scriptSchema = z.preprocess(
  (script) => (Array.isArray(script) ? { rules: script } : script),
  z.strictObject({ rules: z.array(ruleSchema), seed: count.default(1), isIdempotent: z.boolean().default(false) }),
)

export type CallFacts = {
  /** Which call it is, counted from 1. */
  nth: number
  prompt: string
  attemptId: string
  headers: Readonly<Record<string, string | string[] | undefined>>
}

/** Plays the rules: the same seed and the same calls in the same order give the same acts. */
export function player(rules: readonly Rule[], seed: number): (call: CallFacts) => Act {
  const left = rules.map((rule) => rule.times ?? Number.POSITIVE_INFINITY)
  const draw = sequence(seed)
  return (call) => {
    const at = rules.findIndex((rule, index) => (left[index] ?? 0) > 0 && fits(rule, call, draw))
    if (at < 0) return {}
    left[at] = (left[at] ?? 0) - 1
    return rules[at] ?? {}
  }
}

function fits({ nth, promptHas, keyHas, headerHas, share }: Rule, call: CallFacts, draw: () => number): boolean {
  return (
    (nth === undefined || nth === call.nth) &&
    (promptHas === undefined || call.prompt.includes(promptHas)) &&
    (keyHas === undefined || call.attemptId.includes(keyHas)) &&
    (headerHas === undefined || String(call.headers[headerHas.name] ?? '').includes(headerHas.text)) &&
    (share === undefined || draw() < share)
  )
}

/** A linear congruential sequence (Numerical Recipes), so that a script draws the same shares every time. */
function sequence(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}
