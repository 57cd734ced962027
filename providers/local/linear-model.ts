/**
 * linear-1: softmax regression over hashed words, fitted by AdaGrad (Duchi, Hazan, Singer, 2011), its confidence
 * calibrated by temperature scaling (Guo et al., 2017) on examples held out of the fit. Deterministic: the same label
 * set gives the same model, bit for bit.
 */
import { type Features, featuresOf } from './features.ts'

export type LinearModel = {
  labels: readonly string[]
  /** Places per label; a power of two. */
  dimensions: number
  /** Logits are divided by this. */
  temperature: number
  /**
   * For every label but the first, whose logit is 0, `dimensions` weights; then one bias each. Shared between threads,
   * never written after the fit.
   */
  weights: Float32Array
}

export type Example = { text: string; label: string }
export type Classified = { label: string; confidence: number; scores: Record<string, number>; words: number }

/** Passes over the examples. */
const passes = 10
const learningRate = 0.5
const decay = 1e-6
/** Every so manyth example is held out of a fit made for calibration alone. */
const heldOutEvery = 3
/** Weights of a model at most: 2²² of 4 bytes, 16 MiB. */
const weightsMax = 2 ** 22
const dimensionsMax = 2 ** 18

export function fitLinearModel(labels: readonly string[], examples: readonly Example[]): LinearModel {
  const dimensions = Math.min(dimensionsMax, 2 ** Math.floor(Math.log2(weightsMax / labels.length)))
  const rows = examples.map(({ text, label }) => ({ features: featuresOf(text, dimensions), label: labels.indexOf(label) }))
  const weights = fit(rows, labels.length, dimensions)
  return { labels, dimensions, temperature: temperatureOf(heldOut(rows, labels.length, dimensions)), weights }
}

export function classify(model: LinearModel, text: string): Classified {
  const features = featuresOf(text, model.dimensions)
  const logits = logitsOf(model.weights, features, model.labels.length, model.dimensions)
  const probabilities = softmax(logits.map((logit) => logit / model.temperature))
  const best = probabilities.reduce((first, p, at) => (p > (probabilities[first] ?? 0) ? at : first), 0)
  return {
    label: model.labels[best] ?? '',
    confidence: probabilities[best] ?? 0,
    scores: Object.fromEntries(model.labels.map((label, at) => [label, probabilities[at] ?? 0])),
    words: features.words,
  }
}

type Row = { features: Features; label: number }

function fit(rows: readonly Row[], labelCount: number, dimensions: number): Float32Array {
  const size = (labelCount - 1) * (dimensions + 1)
  const weights = new Float32Array(new SharedArrayBuffer(size * 4))
  const squares = new Float32Array(size)
  const order = rows.map((_, index) => index)
  const random = sequence(rows.length)
  for (let pass = 0; pass < passes; pass++) {
    shuffle(order, random)
    for (const index of order) {
      const row = rows[index]
      if (row) learn(weights, squares, row, labelCount, dimensions)
    }
  }
  return weights
}

function learn(weights: Float32Array, squares: Float32Array, { features, label }: Row, labelCount: number, dimensions: number): void {
  const probabilities = softmax(logitsOf(weights, features, labelCount, dimensions))
  for (let one = 1; one < labelCount; one++) {
    const error = (probabilities[one] ?? 0) - (one === label ? 1 : 0)
    descend(weights, squares, (one - 1) * dimensions, features, error)
    descendAt(weights, squares, (labelCount - 1) * dimensions + one - 1, error)
  }
}

/** The inner loop of the fit: nine tenths of its time. */
function descend(weights: Float32Array, squares: Float32Array, base: number, { places, values }: Features, error: number): void {
  for (let at = 0; at < places.length; at++) descendAt(weights, squares, base + (places[at] ?? 0), error * (values[at] ?? 0))
}

function descendAt(weights: Float32Array, squares: Float32Array, at: number, gradient: number): void {
  const weight = weights[at] ?? 0
  const slope = gradient + decay * weight
  const square = (squares[at] ?? 0) + slope * slope
  squares[at] = square
  weights[at] = weight - (learningRate * slope) / (Math.sqrt(square) + 1e-6)
}

function logitsOf(weights: Float32Array, { places, values }: Features, labelCount: number, dimensions: number): number[] {
  const logits = [0]
  for (let one = 1; one < labelCount; one++) {
    let sum = weights[(labelCount - 1) * dimensions + one - 1] ?? 0
    const base = (one - 1) * dimensions
    for (let at = 0; at < places.length; at++) sum += (weights[base + (places[at] ?? 0)] ?? 0) * (values[at] ?? 0)
    logits.push(sum)
  }
  return logits
}

function softmax(logits: readonly number[]): number[] {
  const most = Math.max(...logits)
  const powers = logits.map((logit) => Math.exp(logit - most))
  const sum = powers.reduce((total, power) => total + power, 0)
  return powers.map((power) => power / sum)
}

type HeldOut = { logits: number[]; label: number }

/** Predictions for every third example by a model fitted without them; none when there are too few to spare. */
function heldOut(rows: readonly Row[], labelCount: number, dimensions: number): HeldOut[] {
  if (rows.length < heldOutEvery * labelCount * 2) return []
  const weights = fit(rows.filter((_row, index) => index % heldOutEvery !== 0), labelCount, dimensions)
  return rows
    .filter((_row, index) => index % heldOutEvery === 0)
    .map(({ features, label }) => ({ logits: logitsOf(weights, features, labelCount, dimensions), label }))
}

/** The temperature with the least log loss between 1/20 and 20, by golden-section search on its logarithm; 1 without data. */
function temperatureOf(held: readonly HeldOut[]): number {
  if (held.length === 0) return 1
  const loss = (logTemperature: number): number => {
    const temperature = Math.exp(logTemperature)
    return held.reduce((sum, { logits, label }) => sum - Math.log(Math.max(1e-12, softmax(logits.map((l) => l / temperature))[label] ?? 0)), 0)
  }
  const golden = (Math.sqrt(5) - 1) / 2
  let [low, high] = [-Math.log(20), Math.log(20)]
  for (let round = 0; round < 40; round++) {
    const left = high - golden * (high - low)
    const right = low + golden * (high - low)
    if (loss(left) < loss(right)) high = right
    else low = left
  }
  return Math.exp((low + high) / 2)
}

function shuffle(order: number[], random: () => number): void {
  for (let last = order.length - 1; last > 0; last--) {
    const other = Math.floor(random() * (last + 1))
    const kept = order[last] ?? 0
    order[last] = order[other] ?? 0
    order[other] = kept
  }
}

/** A linear congruential sequence (Numerical Recipes): its only task is an order that is the same every time. */
function sequence(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}
