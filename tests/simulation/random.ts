/** Chance for a simulation: everything is drawn from one seed, each part of the world from a stream of its own. */
import { createHash } from 'node:crypto'
import type { Random } from '../../platform/clock.ts'
import { seededRandom } from '../../processors/testing/world.ts'

export type SimRandom = Random & {
  chance(probability: number): boolean
  /** A whole number from `min` to `max`, both included. */
  whole(min: number, max: number): number
  pick<Item>(items: readonly Item[]): Item
}

/** The stream of that name: what one part of the world draws does not shift what another draws. */
export function randomFor(seed: number, name: string): SimRandom {
  const random = seededRandom(createHash('sha256').update(`${seed}/${name}`).digest().readUInt32BE())
  const whole = (min: number, max: number) => min + Math.floor(random.fraction() * (max - min + 1))
  return {
    ...random,
    chance: (probability) => random.fraction() < probability,
    whole,
    pick(items) {
      const item = items[whole(0, items.length - 1)]
      if (item === undefined) throw new Error('There is nothing to pick from.')
      return item
    },
  }
}
