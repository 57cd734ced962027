/** Fits the weights of a linear model: softmax regression by AdaGrad (Duchi, Hazan and Singer, 2011). */
import type { Features } from './features.ts'
import { sequence, shuffled } from './seeded-order.ts'

export type Row = { features: Features; label: number }

/**
 * A column per label, or a single one when there are two, the first label's logit being 0 then: half the work. With more
 * labels a logit that never moves would be the greatest of texts that fit no label, so each has its own. The columns of one
 * place lie beside each other, place after place, and at the end the columns' biases.
 */
export type Weights = { values: Float32Array; labelCount: number; dimensions: number }

/** Columns of the weights of so many labels. */
export const columnsFor = (labelCount: number): number => (labelCount === 2 ? 1 : labelCount)

const learningRate = 2
/** Where the sums of squares begin: at 0 the first step would be as long for a slight error as for a gross one. */
const squaresStart = 1e-3
const decay = 1e-6
/**
 * A label is left alone by a row that it fits less than this. With many labels that is nearly all of them for nearly every
 * row, and twice an even share is still next to nothing.
 */
const errorMinFor = (labelCount: number): number => (labelCount <= 32 ? 1e-4 : 2 / labelCount)

/**
 * `passes` times over all rows, each time in another order that depends on their number alone: the same rows give the same
 * weights, bit for bit. The weights lie in memory that threads can share.
 */
export function fitWeights(rows: readonly Row[], labelCount: number, dimensions: number, passes: number): Weights {
  const size = columnsFor(labelCount) * (dimensions + 1)
  const weights: Weights = { values: new Float32Array(new SharedArrayBuffer(size * 4)), labelCount, dimensions }
  const squares = new Float32Array(size).fill(squaresStart)
  const errors = new Float64Array(labelCount)
  const wrong = new Uint32Array(labelCount)
  const next = sequence(rows.length)
  for (let pass = 0; pass < passes; pass++) {
    for (const index of shuffled(rows.length, next)) {
      const row = rows[index]
      if (row) learn(weights, squares, row, errors, wrong)
    }
  }
  return weights
}

/** Logits of one text, written to `logits`, which has a place for every label. */
export function logitsInto(
  logits: Float64Array,
  { values, labelCount, dimensions }: Weights,
  { places, value }: Features,
): void {
  const columns = columnsFor(labelCount)
  const first = labelCount - columns
  logits.fill(0)
  for (let at = 0; at < places.length; at++) {
    const base = (places[at] ?? 0) * columns
    for (let column = 0; column < columns; column++)
      logits[column + first] = (logits[column + first] ?? 0) + (values[base + column] ?? 0)
  }
  for (let column = 0; column < columns; column++) {
    logits[column + first] = (logits[column + first] ?? 0) * value + (values[dimensions * columns + column] ?? 0)
  }
}

/** Turns logits into probabilities, in place. */
export function softmax(logits: Float64Array): void {
  let most = Number.NEGATIVE_INFINITY
  for (const logit of logits) if (logit > most) most = logit
  let sum = 0
  for (let at = 0; at < logits.length; at++) {
    const power = Math.exp((logits[at] ?? 0) - most)
    logits[at] = power
    sum += power
  }
  for (let at = 0; at < logits.length; at++) logits[at] = (logits[at] ?? 0) / sum
}

/** One step down the slope of the log loss of one row: nearly all of the time of a fit. */
function learn(
  weights: Weights,
  squares: Float32Array,
  { features, label }: Row,
  errors: Float64Array,
  wrong: Uint32Array,
): void {
  logitsInto(errors, weights, features)
  softmax(errors)
  errors[label] = (errors[label] ?? 0) - 1
  const { values, labelCount, dimensions } = weights
  const { places, value } = features
  const columns = columnsFor(labelCount)
  const first = labelCount - columns
  const errorMin = errorMinFor(labelCount)
  let wrongCount = 0
  for (let column = 0; column < columns; column++) {
    if (Math.abs(errors[column + first] ?? 0) >= errorMin) wrong[wrongCount++] = column
  }
  for (let at = 0; at <= places.length; at++) {
    const base = (at < places.length ? (places[at] ?? 0) : dimensions) * columns
    const scale = at < places.length ? value : 1
    for (let each = 0; each < wrongCount; each++) {
      const column = wrong[each] ?? 0
      descend(values, squares, base + column, (errors[column + first] ?? 0) * scale)
    }
  }
}

function descend(values: Float32Array, squares: Float32Array, at: number, gradient: number): void {
  const weight = values[at] ?? 0
  const slope = gradient + decay * weight
  const square = (squares[at] ?? 0) + slope * slope
  squares[at] = square
  values[at] = weight - (learningRate * slope) / Math.sqrt(square)
}
