/**
 * linear-1: which of a tenant's labels fits a text. Softmax regression over hashed words, its confidence calibrated on
 * examples held out of the fit. Deterministic: the same label set gives the same model, bit for bit.
 */
import { countWeights } from './counted-weights.ts'
import { featuresOf } from './features.ts'
import { fitWeights, logitsInto, type Row, softmax, type Weights } from './linear-fit.ts'
import { sequence, shuffled } from './seeded-order.ts'
import { type Prediction, temperatureOf } from './temperature.ts'

/** Safe to use from several threads at once: nothing writes to it after the fit. */
export type LinearModel = {
  labels: readonly string[]
  weights: Weights
  /** Logits are divided by this. */
  temperature: number
}

export type Example = { text: string; label: string }
export type Classified = { label: string; confidence: number; scores: Record<string, number>; words: number }

/** Weights of a model at most: 64 MiB of them. */
const weightsMax = 2 ** 24
/** Places per label at most; fewer when there are many labels. */
const dimensionsMax = 2 ** 18
const passesMax = 6
const passesMin = 2
/** Weights touched by one fit at most, roughly: what bounds its time, whatever the label set. */
const touchesMax = 1e9
/** Places of a text are guessed from its length: the exact number is known only when it has been read. */
const unitsPerPlace = 3
const placesTypicalMax = 2_000
/** One fold in three is held out for calibration. */
const folds = 3
/** So many held-out predictions are enough for one temperature, and no more than that many are looked at. */
const predictionsWanted = 1_000
const predictionsPerFoldMax = 2_000

/**
 * At least 2 labels, each with an example. Of a label set too large for `passesMin` passes the weights are counted instead
 * of fitted: less exact, but one look at each example is enough.
 */
export function fitLinearModel(labels: readonly string[], examples: readonly Example[]): LinearModel {
  const dimensions = Math.min(dimensionsMax, 2 ** Math.floor(Math.log2(weightsMax / labels.length)))
  const passes = passesFor(labels.length, examples)
  const numbers = new Map(labels.map((label, index) => [label, index]))
  const rows = examples.map(
    ({ text, label }): Row => ({ features: featuresOf(text, dimensions), label: numbers.get(label) ?? 0 }),
  )
  const fit: Fit = (some) =>
    passes > 0 ? fitWeights(some, labels.length, dimensions, passes) : countWeights(some, labels.length, dimensions)
  return { labels, weights: fit(rows), temperature: temperatureOf(heldOutPredictions(rows, labels.length, fit)) }
}

type Fit = (rows: readonly Row[]) => Weights

export function classify({ labels, weights, temperature }: LinearModel, text: string): Classified {
  const features = featuresOf(text, weights.dimensions)
  const scores = new Float64Array(labels.length)
  logitsInto(scores, weights, features)
  for (let at = 0; at < scores.length; at++) scores[at] = (scores[at] ?? 0) / temperature
  softmax(scores)
  const best = scores.reduce((first, score, at) => (score > (scores[first] ?? 0) ? at : first), 0)
  return {
    label: labels[best] ?? '',
    confidence: scores[best] ?? 0,
    scores: Object.fromEntries(labels.map((label, at) => [label, scores[at] ?? 0])),
    words: features.words,
  }
}

/** How often the examples are gone through, so that the fit stays within `touchesMax`; 0 when even `passesMin` is too much. */
function passesFor(labelCount: number, examples: readonly Example[]): number {
  const perPass = examples.reduce(
    (sum, { text }) => sum + labelCount * (1 + Math.min(placesTypicalMax, text.length / unitsPerPlace)),
    0,
  )
  const passes = Math.min(passesMax, Math.floor(touchesMax / perPass))
  return passes >= passesMin ? passes : 0
}

/**
 * Predictions for a third of the rows by a model fitted to the others; a second and a last third when that makes fewer than
 * `predictionsWanted`. None when there are too few rows to spare.
 */
function heldOutPredictions(rows: readonly Row[], labelCount: number, fit: Fit): Prediction[] {
  if (rows.length < labelCount * folds * 2) return []
  const order = [...shuffled(rows.length, sequence(rows.length))].flatMap((index) => rows[index] ?? [])
  const predictions: Prediction[] = []
  for (let fold = 0; fold < folds && predictions.length < predictionsWanted; fold++) {
    const weights = fit(order.filter((_row, at) => at % folds !== fold))
    for (const { features, label } of order.filter((_row, at) => at % folds === fold).slice(0, predictionsPerFoldMax)) {
      const logits = new Float64Array(labelCount)
      logitsInto(logits, weights, features)
      predictions.push({ logits, label })
    }
  }
  return predictions
}
