/** What falls due when. Rebuilt from state on restore, so nothing here is a fact. */
import type { EpochMicros } from '../schemas/units.ts'

type Timer = { at: EpochMicros; id: string }

/** Fewer than this are not worth looking through. */
const prunedFrom = 64

/** A binary heap by time, then id, so that equal times come in the same order everywhere. */
export class Timers {
  #heap: Timer[] = []

  get size(): number {
    return this.#heap.length
  }

  add(at: EpochMicros, id: string): void {
    this.#heap.push({ at, id })
    let index = this.#heap.length - 1
    while (index > 0) {
      const parent = (index - 1) >> 1
      if (!this.#isBefore(index, parent)) return
      this.#swap(index, parent)
      index = parent
    }
  }

  nextAt(): EpochMicros | undefined {
    return this.#heap[0]?.at
  }

  /** Takes out everything due at `now`, earliest first: each when it is asked for, and what is not asked for stays. */
  *due(now: EpochMicros): Generator<string> {
    for (let first = this.#heap[0]; first && first.at <= now; first = this.#heap[0]) {
      this.#removeFirst()
      yield first.id
    }
  }

  /**
   * Forgets those that nobody wants any more, when there are more of them than of the `wanted` ones. Called whenever some may
   * have become unwanted, it costs each timer a constant, and there are never more than twice as many as are wanted.
   */
  prune(wanted: number, isWanted: (id: string) => boolean): void {
    if (this.#heap.length < prunedFrom || this.#heap.length <= 2 * wanted) return
    this.#heap = this.#heap.filter(({ id }) => isWanted(id))
    for (let index = (this.#heap.length >> 1) - 1; index >= 0; index--) this.#sink(index)
  }

  #removeFirst(): void {
    const last = this.#heap.pop()
    if (!last || this.#heap.length === 0) return
    this.#heap[0] = last
    this.#sink(0)
  }

  #sink(from: number): void {
    for (let index = from; ; ) {
      const left = 2 * index + 1
      const right = left + 1
      let first = index
      if (left < this.#heap.length && this.#isBefore(left, first)) first = left
      if (right < this.#heap.length && this.#isBefore(right, first)) first = right
      if (first === index) return
      this.#swap(index, first)
      index = first
    }
  }

  #isBefore(a: number, b: number): boolean {
    const first = this.#heap[a]
    const second = this.#heap[b]
    if (!first || !second) return false
    return first.at === second.at ? first.id < second.id : first.at < second.at
  }

  #swap(a: number, b: number): void {
    const first = this.#heap[a]
    const second = this.#heap[b]
    if (!first || !second) return
    this.#heap[a] = second
    this.#heap[b] = first
  }
}
