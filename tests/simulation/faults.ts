/** What goes wrong, how often in this run, and how often it did. */
import type { SimulatedFaults } from '../../platform/log/simulated.ts'
import type { SimRandom } from './random.ts'

/** The log's own faults go by their names in `SimulatedFaults`. */
export const faultKinds = {
  duplicateAppend: 'a request stands in the log twice',
  appendUnacknowledged: 'a request is stored, and its sender is told it failed',
  appendLost: 'a request is lost, and its sender is told',
  commitUnknownDurable: 'a commit happens, and the owner is told that nobody knows',
  commitUnknownLost: 'a commit does not happen, and the owner is told that nobody knows',
  commitLate: 'a commit happens after the owner was told that nobody knows, unless it was fenced by then',
  readFailed: 'a read of the log fails',
  ownerCrash: 'a process that owns partitions dies',
  ownerRestarted: 'a process that owns partitions is stopped in order, and another takes over',
  ownerMoved: 'partitions move to another process, which begins before the old one has stopped',
  zombie: 'an owner stands still, loses its partitions, and wakes up',
  doorCrash: 'a process that takes requests dies',
  viewCrash: 'a process that fills views dies between rows and position',
  snapshotLost: 'a snapshot is not there',
  snapshotStale: 'only an older snapshot is there',
  snapshotCorrupt: 'a snapshot is damaged',
  providerError: 'a call fails',
  providerRateLimit: 'a call is turned away for a while',
  providerTimeout: 'a call never ends by itself',
  providerMalformed: 'an answer cannot be read',
  usageAboveHold: 'more was used than the bound',
  usageImpossible: 'a report that cannot be true',
  vaultFailed: 'the vault fails',
  rowFailed: 'the database does not take the row of a submission, or its mark',
  rowUnacknowledged: 'the row of a submission is there, and the door is told it failed',
  rowLost: 'the row of a submission is gone, with a database that was behind when it replaced another',
  diskFull: 'for a while nothing can be written: no request, no fact, no row, no payload, no snapshot',
  clientGone: 'a client gives up and asks again with the same key',
  clientLate: 'a client asks again with the same key after it was answered',
  clientNewKey: 'a client asks again with another key',
  clientOtherBody: 'a client asks for something else under the same key',
  clockSkew: "a process's clock is wrong",
  clockJump: "a process's clock jumps, forwards or back",
  periodEnd: 'a day or month ends, or clocks change, while jobs run',
  capLowered: 'a cap is lowered below what is held',
  capRemoved: 'a cap is removed while jobs hold it',
  cancel: 'a job is cancelled',
  newPrices: 'prices change while jobs run',
} as const
export type FaultKind = keyof typeof faultKinds
export const allFaultKinds = Object.keys(faultKinds) as FaultKind[]

export type Faults = {
  /** Draws whether it happens now, and counts it if so. */
  happens(kind: FaultKind): boolean
  /** Counts one that was planned. */
  fired(kind: FaultKind): void
  /** Chance per opportunity, 0 once the world has healed. */
  rate(kind: FaultKind): number
  counts(): ReadonlyMap<FaultKind, number>
  isDiskFull(): boolean
  setDiskFull(isFull: boolean): void
  /** Nothing goes wrong from now on. */
  heal(): void
}

/** Per opportunity, at most. What happens by plan, such as a crash, is not drawn per opportunity. */
const ratesMax: Partial<Record<FaultKind, number>> = {
  duplicateAppend: 0.1,
  appendUnacknowledged: 0.08,
  appendLost: 0.08,
  commitUnknownDurable: 0.02,
  commitUnknownLost: 0.02,
  commitLate: 0.02,
  readFailed: 0.01,
  snapshotLost: 0.5,
  snapshotStale: 0.7,
  snapshotCorrupt: 0.7,
  providerError: 0.15,
  providerRateLimit: 0.08,
  providerTimeout: 0.03,
  providerMalformed: 0.05,
  usageAboveHold: 0.08,
  usageImpossible: 0.04,
  vaultFailed: 0.03,
  rowFailed: 0.05,
  rowUnacknowledged: 0.05,
  rowLost: 0.3, // Of those that are asked for again.
  clientGone: 0.1,
  clientLate: 0.04,
  clientNewKey: 0.04,
  clientOtherBody: 0.04,
}

/** Each kind is off in one of three runs, so that runs differ in kind and not only in measure. */
const offShare = 1 / 3

export function drawFaults(random: SimRandom): Faults {
  const rates = new Map<FaultKind, number>()
  const counts = new Map<FaultKind, number>()
  let isHealed = false
  let isDiskFull = false
  for (const kind of allFaultKinds) {
    const isOn = !random.chance(offShare)
    const share = random.fraction()
    rates.set(kind, isOn ? (ratesMax[kind] ?? 1) * share : 0)
  }
  const rate = (kind: FaultKind) => (isHealed ? 0 : (rates.get(kind) ?? 0))
  const fired = (kind: FaultKind) => void counts.set(kind, (counts.get(kind) ?? 0) + 1)
  return {
    rate,
    fired,
    happens(kind) {
      if (!random.chance(rate(kind))) return false
      fired(kind)
      return true
    },
    counts: () => counts,
    isDiskFull: () => isDiskFull,
    setDiskFull(isFull) {
      isDiskFull = isFull
    },
    heal() {
      isDiskFull = false
      isHealed = true
    },
  }
}

export const logFaultKinds = [
  'duplicateAppend',
  'appendUnacknowledged',
  'appendLost',
  'commitUnknownDurable',
  'commitUnknownLost',
  'commitLate',
  'readFailed',
] as const satisfies readonly (keyof SimulatedFaults & FaultKind)[]
