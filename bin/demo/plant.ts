/** Faults for the verifier to find: the demo spoils what it exports, never the log, and must then fail. */
import type { Fact } from '../../schemas/events.generated.ts'

export const plants = {
  'wrong-price': 'one line of one job is priced a pico-unit too high, and its charge with it',
  'lost-event': 'what one job used is missing',
  'charged-twice': 'one job is charged twice what it cost',
  'cap-overrun': 'one cap is set one lower than what was admitted under it',
} as const
export type Plant = keyof typeof plants

export const isPlant = (name: string): name is Plant => Object.hasOwn(plants, name)

/** Passes facts on, but for one in the middle that the plant spoils. */
export function spoiler(plant: Plant | undefined): (fact: Fact) => Fact | undefined {
  if (plant === undefined) return (fact) => fact
  let seen = 0
  return (fact) => {
    const spoilt = spoilAs(plant, fact)
    if (spoilt === 'keep') return fact
    seen += 1
    // Of caps on requests there is one in the demo, and its tenant asks for more than it lets through.
    return seen === (plant === 'cap-overrun' ? 1 : victim) ? spoilt : fact
  }
}

/** Not the first, so that a check which looks only at the beginning finds nothing. */
const victim = 3

function spoilAs(plant: Plant, fact: Fact): Fact | undefined | 'keep' {
  if (plant === 'lost-event') return fact.type === 'UsageMetered' ? undefined : 'keep'
  if (plant === 'cap-overrun')
    return fact.type === 'CapSet' && fact.metric === 'requests' ? { ...fact, limit: fact.limit - 1n } : 'keep'
  if (fact.type !== 'JobRated' || fact.chargedPico === 0n) return 'keep'
  if (plant === 'charged-twice') {
    return { ...fact, chargedPico: fact.chargedPico * 2n, lines: [...fact.lines, ...fact.lines] }
  }
  const [first, ...rest] = fact.lines
  if (!first) return 'keep'
  const dearer = { ...first, pricePico: first.pricePico + 1n, amountPico: first.amountPico + first.quantity }
  return { ...fact, chargedPico: fact.chargedPico + first.quantity, lines: [dearer, ...rest] }
}
