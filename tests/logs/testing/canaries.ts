/** Strings that stand nowhere else: planted where secrets and content go in, and looked for where they must not come out. */
import { randomBytes } from 'node:crypto'

export type Canaries = {
  /** A string of lower-case letters, remembered under `where`. */
  plant(where: string): string
  /** How many were planted. */
  count(): number
  /** Where those went in of which a third stands in the text: what quotes often quotes the beginning only. */
  foundIn(text: string): string[]
}

/** In no word, and in no other random text but by a chance that can be forgotten. */
const letters = 'ghjkmnpqrstvwxyz'
const chars = 24
const third = /.{8}/g

export function canaries(): Canaries {
  const planted = new Map<string, string>()
  return {
    plant(where) {
      const canary = [...randomBytes(chars)].map((byte) => letters[byte % letters.length]).join('')
      planted.set(canary, where)
      return canary
    },
    count: () => planted.size,
    foundIn: (text) =>
      [...planted]
        .filter(([canary]) => canary.match(third)?.some((part) => text.includes(part)))
        .map(([, where]) => where),
  }
}
