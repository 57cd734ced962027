/** What the verifier has to complain about. */
import type { Event } from './events.ts'

export const checks = {
  export: 'The files are what the manifest says, and can be read.',
  order: 'seq goes up by one from 1, times never go back, no event id comes twice.',
  directory: 'Price books are what their hash says; tenants are registered once.',
  cap: 'Versions of caps go up by one; only another limit keeps the count.',
  admission: 'A job is admitted once, under every cap that applies, as this replay has them, and only if it fits.',
  refusal: 'A job refused at a cap was really over it.',
  attempt: 'Attempts are numbered, follow the route, and never pass the maximum; every outcome has its start.',
  end: 'Every admitted job ends exactly once, and nothing happens after.',
  usage: 'One usage fact for every job of which an attempt started, with the figures that were reported.',
  excess: 'HoldExceeded says exactly by how much more was used than held, and only then.',
  rating: 'Exactly one charge per ended job, equal to what this arithmetic makes of usage and price book.',
  settlement: 'Every hold is settled once, under the cap and period it was taken from, at the right amount.',
  hold: 'Nothing is held any more once every job has ended.',
  transfer:
    'Ancestors are told in turn, never more than was rated, and take what was sent; at rest exactly what was rated.',
} as const

export type Check = keyof typeof checks
export type Problem = {
  check: Check
  says: string
  partition?: number
  seq?: bigint
  tenantId?: string
  jobId?: string
}

const problemsMax = 1_000

/** Counts every problem and keeps the first 1,000. */
export class Findings {
  count = 0
  readonly problems: Problem[] = []
  add(problem: Problem): void {
    this.count++
    if (this.problems.length < problemsMax) this.problems.push(problem)
  }
}

/** What is wrong with the events of one partition. */
export class PartitionReport {
  readonly #partition: number
  readonly #findings: Findings

  constructor(partition: number, findings: Findings) {
    this.#partition = partition
    this.#findings = findings
  }

  equal(check: Check, event: Event, name: string, recorded: unknown, own: unknown): void {
    if (recorded === own) return
    this.complain(check, event, `${event.type}: ${name} is ${String(recorded)}, should be ${String(own)}`)
  }

  complain(check: Check, event: Event, says: string): void {
    const { tenantId, seq } = event
    const ofJob = 'jobId' in event ? { jobId: event.jobId } : {}
    this.#findings.add({ check, partition: this.#partition, seq, tenantId, ...ofJob, says })
  }

  /** Of no single event. */
  complainOf(tenantId: string, check: Check, says: string): void {
    this.#findings.add({ check, partition: this.#partition, tenantId, says })
  }
}
