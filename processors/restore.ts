/**
 * The state of a partition as its last commit left it: a snapshot, if there is a sound one, and the facts after it. What
 * does not fit together stops the owner: state is never built on a guess.
 */
import { PlatformError } from '../platform/errors.ts'
import { type FactCursor, startOfFacts, type Tenure } from '../platform/log/log.ts'
import type { Fact } from '../schemas/events.generated.ts'
import type { OwnerParts } from './owner-parts.ts'
import { emptyPartitionState, evolve, fromSnapshot, type PartitionState } from './partition-state.ts'

export type Restored = { state: PartitionState; cursor: FactCursor; facts: number }

const restoreRecordsMax = 2_000
/** What is committed can be read as soon as whoever leads the log after a failure has caught up. */
const restoreWaitMs = 10_000
/** More than anybody guesses, and short enough that an id with it is one block of its hash. */
const secretBytes = 16

/**
 * Undefined when it is told to stop meanwhile. Tells `onProgress` how many facts are left to read. `facts` counts those read after the snapshot. Throws LOG_GAP when log and last commit do not agree, and go on not to for 10 s, LOG_UNAVAILABLE when nobody can say, LOG_FENCED when
 * another owner has written since the tenure began.
 */
export async function restore(
  tenure: Tenure,
  parts: Pick<OwnerParts, 'log' | 'codec' | 'directory' | 'snapshots' | 'random'>,
  onProgress: (factsLeft: number) => void = () => {},
  stopping?: AbortSignal,
): Promise<Restored | undefined> {
  const { log, codec, directory } = parts
  const { partition } = tenure
  await directory.catchUp(await log.directoryEnd())
  const { intakeOffset, seq } = tenure.committed
  let { state, cursor } = await fromSnapshots(partition, seq, parts)
  const from = state.seq
  while (state.seq < seq) {
    if (stopping?.aborted) return undefined
    onProgress(Number(seq - state.seq))
    const ask = (waitMs: number) => log.readFacts(partition, cursor, { recordsMax: restoreRecordsMax, waitMs })
    const answered = await ask(restoreWaitMs)
    // Whoever leads the log may have said nothing: who asks for what is stable is answered, or told that it is unavailable.
    const read = answered.facts.length > 0 ? answered : await ask(0)
    if (read.facts.length === 0) throw new PlatformError('LOG_GAP', { partition, committed: seq, found: state.seq })
    for (const { value } of read.facts) {
      const fact = codec.decode(value) as Fact
      // Written after this tenure began: by another owner, to whom the partition belongs now.
      if (fact.seq > seq) throw new PlatformError('LOG_FENCED', { partition, seq: fact.seq, committed: seq })
      if (fact.intakeOffset !== null && fact.intakeOffset >= intakeOffset) {
        throw new PlatformError('LOG_GAP', {
          partition,
          seq: fact.seq,
          intakeOffset: fact.intakeOffset,
          committed: intakeOffset,
        })
      }
      evolve(state, fact)
    }
    cursor = read.cursor
  }
  if (state.seq !== seq) throw new PlatformError('LOG_GAP', { partition, committed: seq, found: state.seq })
  return { state, cursor, facts: Number(seq - from) }
}

async function fromSnapshots(
  partition: number,
  seqMax: bigint,
  { snapshots, random }: Pick<OwnerParts, 'snapshots' | 'random'>,
): Promise<Omit<Restored, 'facts'>> {
  for (const stored of await snapshots.load(partition)) {
    const state = stored.seq <= seqMax ? fromSnapshot(stored) : undefined
    if (state) return { state, cursor: stored.cursor }
  }
  return {
    state: emptyPartitionState(Buffer.from(random.bytes(secretBytes)).toString('base64url')),
    cursor: startOfFacts,
  }
}
