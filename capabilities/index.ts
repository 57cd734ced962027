/** Everything other rooms use of capabilities. */
import type { Capability } from './capability.ts'
import { classifyCategory } from './classify-category.ts'
import { classifySentiment } from './classify-sentiment.ts'
import { generateText } from './generate-text.ts'

export {
  type Bounds,
  type Call,
  type CallFailureCode,
  type CallOutcome,
  type Capability,
  type JobInput,
  noTokens,
  type Provider,
  type RouteChoice,
  type TokenBuckets,
  type UsageReport,
} from './capability.ts'
export {
  examplesMax,
  type LabelSet,
  labelSetBytesMax,
  labelSetContent,
  labelSetHash,
  labelSetIdSchema,
  labelSetSchema,
  labelSetValuesMax,
  labelsMax,
} from './label-set.ts'
export { routeFor, routeStepsMax } from './routing.ts'
export { inputTokensMaxOf, textBytesMax } from './text.ts'

/** Everything a job can ask for. */
export const capabilities: readonly Capability[] = [classifyCategory, classifySentiment, generateText]

const byName = new Map(capabilities.map((capability) => [capability.name, capability]))

/** Undefined when there is no such capability. */
export const capabilityNamed = (name: string): Capability | undefined => byName.get(name)
