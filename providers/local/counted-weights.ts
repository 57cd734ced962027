/** Weights by counting alone, for label sets too large to fit: how much more often a label's texts have a place than all texts do. */
import { columnsFor, type Row, type Weights } from './linear-fit.ts'

/** How many texts of the average kind are believed to have been seen of every label, besides its own. */
const believed = 10

/** Touches every place of every row once, and every weight once. Deterministic; for more than two labels. */
export function countWeights(rows: readonly Row[], labelCount: number, dimensions: number): Weights {
  const columns = columnsFor(labelCount)
  const values = new Float32Array(new SharedArrayBuffer(columns * (dimensions + 1) * 4))
  const rowsWith = new Float64Array(labelCount)
  for (const { features, label } of rows) {
    rowsWith[label] = (rowsWith[label] ?? 0) + 1
    for (const place of features.places) values[place * columns + label] = (values[place * columns + label] ?? 0) + 1
  }
  for (let place = 0; place < dimensions; place++) {
    const counts = values.subarray(place * columns, (place + 1) * columns)
    const share = (counts.reduce((sum, count) => sum + count, 0) + 0.5) / (rows.length + 1)
    for (let label = 0; label < labelCount; label++) {
      const shareHere = ((counts[label] ?? 0) + believed * share) / ((rowsWith[label] ?? 0) + believed)
      counts[label] = Math.log(shareHere / share)
    }
  }
  for (let label = 0; label < labelCount; label++) {
    values[dimensions * columns + label] = Math.log(((rowsWith[label] ?? 0) + 1) / (rows.length + labelCount))
  }
  return { values, labelCount, dimensions }
}
