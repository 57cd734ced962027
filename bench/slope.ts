/** Whether cost grows with size: the slope of a least-squares line, and how far it can be trusted. */

/** Two-sided 95 % of Student's t by degrees of freedom; between these, of the next lower one, which is the wider. */
const t95: readonly (readonly [degrees: number, t: number])[] = [
  [1, 12.706],
  [2, 4.303],
  [3, 3.182],
  [4, 2.776],
  [6, 2.447],
  [8, 2.306],
  [12, 2.179],
  [18, 2.101],
  [30, 2.042],
]

/** Lower end, middle and upper end of the slope's 95 % interval. Three points or more. */
export function slopeOf(xs: readonly number[], ys: readonly number[]): [number, number, number] {
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length
  const [x0, y0] = [mean(xs), mean(ys)]
  const xx = xs.reduce((sum, x) => sum + (x - x0) ** 2, 0)
  const slope = xs.reduce((sum, x, i) => sum + (x - x0) * ((ys[i] ?? 0) - y0), 0) / xx
  const residual = xs.reduce((sum, x, i) => sum + ((ys[i] ?? 0) - y0 - slope * (x - x0)) ** 2, 0)
  const degrees = xs.length - 2
  const t = t95.findLast(([least]) => least <= degrees)?.[1] ?? Number.NaN
  const either = t * Math.sqrt(residual / degrees / xx)
  return [slope - either, slope, slope + either]
}
