/** The verifier's own replay of caps: which are in force, and what is settled and held under each. */
import type { CapHold, CapRemoved, CapSet, CapShape } from './events.ts'

export type Standing = { settled: bigint; held: bigint }

/** A cap for as long as it counts the same thing: a change of its limit goes on, any other begins a new life. */
export type CapLife = { capId: string; shape: CapShape; countsFrom: bigint; standings: Map<bigint, Standing> }
export type CapInForce = { capId: string; version: bigint; limit: bigint; life: CapLife }
/** What one job holds under one cap. It is given back to the life it was taken from, whatever became of the cap. */
export type OpenHold = { hold: CapHold; life: CapLife; isSettled: boolean }

export class OwnCaps {
  readonly #inForce = new Map<string, CapInForce>()
  readonly #versions = new Map<string, bigint>()
  readonly #lives: CapLife[] = []

  /** Answers with what is wrong with the event. */
  set(event: CapSet & { occurredAt: bigint }): string[] {
    const faults = this.#nextVersion(event)
    const { metric, period, anchorDate, scopeMemberId, scopeCapability } = event
    const shape: CapShape = { metric, period, anchorDate, scopeMemberId, scopeCapability }
    const before = this.#inForce.get(event.capId)
    const goesOn = before !== undefined && isSameShape(before.life.shape, shape)
    const countsFrom = goesOn ? before.life.countsFrom : event.occurredAt
    if (event.countsFrom !== countsFrom) faults.push(`counts from ${event.countsFrom} instead of ${countsFrom}`)
    const life = goesOn
      ? before.life
      : { capId: event.capId, shape, countsFrom, standings: new Map<bigint, Standing>() }
    if (!goesOn) this.#lives.push(life)
    this.#inForce.set(event.capId, { capId: event.capId, version: event.version, limit: event.limit, life })
    return faults
  }

  remove(event: CapRemoved): string[] {
    const faults = this.#nextVersion(event)
    if (!this.#inForce.delete(event.capId)) faults.push('removes a cap that is not in force')
    return faults
  }

  #nextVersion({ capId, version }: { capId: string; version: bigint }): string[] {
    const expected = (this.#versions.get(capId) ?? 0n) + 1n
    this.#versions.set(capId, version)
    return version === expected ? [] : [`has version ${version} instead of ${expected}`]
  }

  /** Caps that apply to a job, in order of id. */
  applicable(memberId: string | null, capability: string): CapInForce[] {
    return [...this.#inForce.values()]
      .filter(({ life: { shape } }) => shape.scopeMemberId === null || shape.scopeMemberId === memberId)
      .filter(({ life: { shape } }) => shape.scopeCapability === null || shape.scopeCapability === capability)
      .sort((a, b) => (a.capId < b.capId ? -1 : 1))
  }

  /** Every standing of every cap there ever was. */
  *standings(): Generator<{ capId: string; start: bigint; standing: Standing }> {
    for (const { capId, standings } of this.#lives) {
      for (const [start, standing] of standings) yield { capId, start, standing }
    }
  }
}

const isSameShape = (a: CapShape, b: CapShape): boolean =>
  a.metric === b.metric &&
  a.period === b.period &&
  a.anchorDate === b.anchorDate &&
  a.scopeMemberId === b.scopeMemberId &&
  a.scopeCapability === b.scopeCapability

export function standingOf(life: CapLife, periodStart: bigint): Standing {
  const known = life.standings.get(periodStart)
  if (known) return known
  const made = { settled: 0n, held: 0n }
  life.standings.set(periodStart, made)
  return made
}
