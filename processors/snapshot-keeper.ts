/** Keeps snapshots of one tenure's state: taken between two decisions, written in the background, one at a time. */
import type { FactCursor } from '../platform/log/log.ts'
import type { OwnerParts } from './owner-parts.ts'
import { type PartitionState, toSnapshot } from './partition-state.ts'

export type SnapshotKeeper = {
  /** Whether enough facts have come since the last one. */
  isDue(): boolean
  /** Call when state and log agree, at `cursor`. Never rejects; what it fails with is told. */
  keep(cursor: FactCursor): Promise<void>
}

const bytesPerFactMax = 200

export function snapshotKeeper(
  { snapshots, options, onFault }: Pick<OwnerParts, 'snapshots' | 'options' | 'onFault'>,
  partition: number,
  state: PartitionState,
): SnapshotKeeper {
  let keptSeq = state.seq
  let dueFacts = options.snapshotEveryFacts
  let isSaving = false

  return {
    isDue: () => !isSaving && state.seq - keptSeq >= dueFacts,
    async keep(cursor) {
      if (isSaving || state.seq === keptSeq) return
      isSaving = true
      try {
        const snapshot = toSnapshot(state)
        keptSeq = snapshot.seq
        // A large state is kept less often, so that what a fact costs does not grow with the day's history.
        const paidFor = BigInt(Math.ceil(snapshot.body.byteLength / bytesPerFactMax))
        dueFacts = paidFor > options.snapshotEveryFacts ? paidFor : options.snapshotEveryFacts
        await snapshots.save(partition, { ...snapshot, cursor })
      } catch (error) {
        onFault({ partition, error, isStopped: false, doing: 'keeping a snapshot' })
      } finally {
        isSaving = false
      }
    },
  }
}
