/**
 * Who gets the next free place: across tenants by weighted deficit round robin on cost (Shreedhar and Varghese, 1995),
 * within a tenant by priority with ageing. Plain data and pure rules; time comes in as a parameter.
 *
 * Tenants stand in a ring. The one in front gets `quantum × weight` once per turn, and starts jobs while its deficit
 * covers the cost of its next one; then it goes to the back. A tenant that joins goes to the back, so nobody who waits
 * is ever overtaken twice in one round. `starvationBound` says what that guarantees.
 */
import type { EpochMicros } from '../../schemas/units.ts'
import { emptyFifo, type Fifo, fifoAt, fifoSize, push, shift } from './fifo.ts'

/** Cost a tenant of weight 1 may start per turn: small, so that turns are short. */
export const quantum = 8
/** Dearest job. `costMax / quantum` turns are the most any job needs. */
export const costMax = 64
/** Fewer jobs than this that have left a line are not worth looking for. */
const goneWorthLooking = 64
/** One step of priority is worth this much waiting: a job of priority 5 passes later jobs of priority 1 after 4 steps. */
export const ageStepMicros: EpochMicros = 30_000_000n

const priorities = 5
export const isPriority = (priority: number): boolean =>
  Number.isInteger(priority) && priority >= 1 && priority <= priorities

export type Entry = {
  tenantId: string
  jobId: string
  /** 1 to `costMax`. */
  cost: number
  /** 1 (most urgent) to 5. */
  priority: number
  /** Share of the places, relative to other tenants; at least 1. */
  weight: number
  enqueuedAt: EpochMicros
  /** Not before this moment: later than enqueuedAt for a job that is tried again. */
  readyAt: EpochMicros
}

type Line = {
  deficit: number
  weight: number
  /** One lane per priority, oldest first. */
  lanes: Fifo<Entry>[]
  /** Jobs that are tried again, by readyAt; when due, they go first. */
  later: Entry[]
  size: number
}

export type FairQueue = {
  lines: Map<string, Line>
  ring: Fifo<string>
  /** Whether the tenant in front has had its quantum for this turn. */
  isCharged: boolean
  entries: Map<string, Entry>
}

export const emptyFairQueue = (): FairQueue => ({
  lines: new Map(),
  ring: emptyFifo(),
  isCharged: false,
  entries: new Map(),
})
export const queueSize = (queue: FairQueue): number => queue.entries.size

export function enqueue(queue: FairQueue, entry: Entry): void {
  const line = queue.lines.get(entry.tenantId) ?? join(queue, entry.tenantId)
  line.weight = entry.weight
  line.size += 1
  queue.entries.set(entry.jobId, entry)
  if (!isLater(entry)) return push(laneOf(line, entry), entry)
  line.later.splice(
    firstLater(line, ({ readyAt }) => readyAt > entry.readyAt),
    0,
    entry,
  )
}

/** The job that gets the next place at `now`; undefined when nobody is ready. Changes nothing. */
export const next = (queue: FairQueue, now: EpochMicros): Entry | undefined => walk(queue, now)?.entry

/**
 * The job has got its place at `now`: the ring turns as `next` found it. A log written under other rules can name
 * another job; the fact holds, and its tenant is charged all the same, up to what it has.
 */
export function take(queue: FairQueue, jobId: string, now: EpochMicros): void {
  const entry = queue.entries.get(jobId)
  if (!entry) throw new Error(`Job ${jobId} does not wait for a place.`)
  const found = walk(queue, now)
  if (found?.entry === entry) {
    for (let step = 0; step < found.turns; step++) push(queue.ring, shift(queue.ring) ?? '')
    for (const [tenantId, deficit] of found.deficits) lineOf(queue, tenantId).deficit = deficit
    queue.isCharged = true
  }
  const line = lineOf(queue, entry.tenantId)
  line.deficit = Math.max(0, line.deficit - entry.cost)
  remove(queue, jobId)
}

/** The job waits no longer. A tenant without jobs leaves the ring and its deficit lapses. */
export function remove(queue: FairQueue, jobId: string): void {
  const entry = queue.entries.get(jobId)
  if (!entry) return
  queue.entries.delete(jobId)
  const line = lineOf(queue, entry.tenantId)
  line.size -= 1
  if (line.size === 0) return leave(queue, entry.tenantId)
  if (isLater(entry)) {
    const from = firstLater(line, ({ readyAt }) => readyAt >= entry.readyAt)
    line.later.splice(line.later.indexOf(entry, from), 1)
    return
  }
  const lane = laneOf(line, entry)
  while (isGone(queue, fifoAt(lane, 0))) shift(lane)
  forgetGone(queue, line)
}

/** Jobs that left from the middle of a lane stand there until they are more than half of the line: each costs a constant. */
function forgetGone(queue: FairQueue, line: Line): void {
  const kept = line.lanes.reduce((sum, lane) => sum + fifoSize(lane), line.later.length)
  if (kept <= 2 * line.size + goneWorthLooking) return
  line.lanes = line.lanes.map(({ items, head }) => ({
    items: items.slice(head).filter((entry) => !isGone(queue, entry)),
    head: 0,
  }))
}

/**
 * Most cost that others can start between the moment a job becomes the first of its tenant's line and its own start:
 * the tenant needs at most R = ceil(cost / (weight × quantum)) turns, and in R turns another tenant of weight w starts
 * at most R × w × quantum, plus what it had saved up, which is less than costMax. Holds for free places, whoever
 * joins meanwhile counted among the others.
 */
export function starvationBound(job: { cost: number; weight: number }, others: readonly { weight: number }[]): number {
  const turns = Math.ceil(job.cost / (job.weight * quantum))
  return others.reduce((sum, other) => sum + turns * other.weight * quantum + costMax, 0)
}

/** When the next job that is tried again becomes ready; undefined when none waits for that. */
export function nextReadyAt(queue: FairQueue, now: EpochMicros): EpochMicros | undefined {
  let soonest: EpochMicros | undefined
  for (const line of queue.lines.values()) {
    const first = line.later[0]
    if (first && first.readyAt > now && (soonest === undefined || first.readyAt < soonest)) soonest = first.readyAt
  }
  return soonest
}

type Walk = { entry: Entry; turns: number; deficits: Map<string, number> }

function walk(queue: FairQueue, now: EpochMicros): Walk | undefined {
  const size = fifoSize(queue.ring)
  const deficits = new Map<string, number>()
  const turnsMax = size * (Math.ceil(costMax / quantum) + 2)
  let isCharged = queue.isCharged
  let idle = 0
  for (let turns = 0; turns < turnsMax && idle < size; turns++) {
    const tenantId = fifoAt(queue.ring, turns % size) ?? ''
    const line = lineOf(queue, tenantId)
    const entry = firstOf(line, now)
    if (entry) {
      idle = 0
      const deficit = (deficits.get(tenantId) ?? line.deficit) + (isCharged ? 0 : quantum * line.weight)
      deficits.set(tenantId, deficit)
      if (deficit >= entry.cost) return { entry, turns, deficits }
    } else {
      idle += 1
      if (line.deficit > 0) deficits.set(tenantId, 0) // As when it has no jobs at all: nobody saves up for later.
    }
    isCharged = false
  }
  return undefined
}

const isLater = ({ readyAt, enqueuedAt }: Entry): boolean => readyAt > enqueuedAt

/** Where the first of those that are tried again stands that is `wanted`, as all after it are. */
function firstLater({ later }: Line, wanted: (entry: Entry) => boolean): number {
  let from = 0
  let to = later.length
  while (from < to) {
    const middle = (from + to) >> 1
    const entry = later[middle]
    if (entry && wanted(entry)) to = middle
    else from = middle + 1
  }
  return from
}

/** A due retry first, then the lane whose oldest job has the smallest age-weighted time. */
function firstOf(line: Line, now: EpochMicros): Entry | undefined {
  const due = line.later[0]
  if (due && due.readyAt <= now) return due
  let best: Entry | undefined
  for (const lane of line.lanes) {
    const entry = fifoAt(lane, 0)
    if (entry && (best === undefined || rank(entry) < rank(best))) best = entry
  }
  return best
}

const rank = (entry: Entry): EpochMicros => entry.enqueuedAt + BigInt(entry.priority) * ageStepMicros

const isGone = (queue: FairQueue, entry: Entry | undefined): boolean =>
  entry !== undefined && queue.entries.get(entry.jobId) !== entry

function laneOf(line: Line, entry: Entry): Fifo<Entry> {
  const lane = line.lanes[entry.priority - 1]
  if (!lane) throw new Error(`Priority ${entry.priority} is not 1 to 5.`)
  return lane
}

function lineOf(queue: FairQueue, tenantId: string): Line {
  const line = queue.lines.get(tenantId)
  if (!line) throw new Error(`Tenant ${tenantId} is in the ring without a line.`)
  return line
}

function join(queue: FairQueue, tenantId: string): Line {
  const lanes = Array.from({ length: priorities }, () => emptyFifo<Entry>())
  const line: Line = { deficit: 0, weight: 1, lanes, later: [], size: 0 }
  queue.lines.set(tenantId, line)
  push(queue.ring, tenantId)
  return line
}

function leave(queue: FairQueue, tenantId: string): void {
  queue.lines.delete(tenantId)
  if (fifoAt(queue.ring, 0) === tenantId) {
    queue.isCharged = false
    shift(queue.ring)
    return
  }
  queue.ring = { items: queue.ring.items.slice(queue.ring.head).filter((other) => other !== tenantId), head: 0 }
}
