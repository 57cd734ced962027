/** Conditions that PostgreSQL checks by itself: a transaction can be sent whole, with its COMMIT, and still comes to nothing. */

/** An expression that fails, and its transaction with it, where `condition` is false. */
export const demand = (condition: string): string => `1 / (${condition})::int`

const divisionByZero = '22012'

/** Whether it was a `demand` that failed. */
export const isUnmet = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && error.code === divisionByZero
