/** What is told of a capability that does not exist, wherever one is named. */
import { capabilities } from '../capabilities/index.ts'
import type { FieldError } from './http/problem.ts'

/** `so`: what would come of it, where that is worth saying. */
export const unknownCapability = (where: string, so = ''): FieldError => ({
  where,
  problem: `There is no such capability${so && `, so ${so}`}.`,
  expected: `One of ${capabilities.map(({ name }) => name).join(', ')}.`,
  remedy: 'Choose one of them.',
})
