/** Temperature scaling (Guo, Pleiss, Sun and Weinberger, 2017): one number that makes a model as sure as it is right. */

/** What a model said of an example it was not fitted to, and which label was right. */
export type Prediction = { logits: Float64Array; label: number }

const temperatureMax = 20
const rounds = 25

/**
 * The temperature between 1/20 and 20 with the least log loss, by golden-section search on its logarithm; 1 without
 * predictions. A prior holds it near 1 (its logarithm is taken for normally distributed, with variance 1), or a few right
 * predictions would make every later one sure of itself.
 */
export function temperatureOf(predictions: readonly Prediction[]): number {
  if (predictions.length === 0) return 1
  const golden = (Math.sqrt(5) - 1) / 2
  let [low, high] = [-Math.log(temperatureMax), Math.log(temperatureMax)]
  for (let round = 0; round < rounds; round++) {
    const left = high - golden * (high - low)
    const right = low + golden * (high - low)
    if (lossAt(Math.exp(left), predictions) < lossAt(Math.exp(right), predictions)) high = right
    else low = left
  }
  return Math.exp((low + high) / 2)
}

function lossAt(temperature: number, predictions: readonly Prediction[]): number {
  const prior = Math.log(temperature) ** 2 / 2
  return predictions.reduce((loss, { logits, label }) => {
    const scaled = logits.map((logit) => logit / temperature)
    return loss + logSumExp(scaled) - (scaled[label] ?? 0)
  }, prior)
}

function logSumExp(logits: Float64Array): number {
  const most = logits.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY)
  return most + Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit - most), 0))
}
