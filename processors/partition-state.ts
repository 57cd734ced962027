/** Everything the owner of a partition knows: one fold over the partition's facts, in order of `seq`. */
import { createHash } from 'node:crypto'
import { deserialize, serialize } from 'node:v8'
import type { Fact } from '../schemas/events.generated.ts'
import type { EpochMicros } from '../schemas/units.ts'
import { type Accounts, emptyAccounts, evolveAccounts } from './accounts/state.ts'
import { type Admission, emptyAdmission, evolveAdmission } from './admission/state.ts'
import { type Directory, emptyDirectory, evolveDirectory } from './directory/state.ts'
import { type Execution, emptyExecution, evolveExecution } from './execution/state.ts'
import { emptyTransfers, evolveTransfers, type Transfers } from './transfers/state.ts'

export type PartitionState = {
  /** Last fact taken in; 0 before the first. */
  seq: bigint
  /** When the last fact was decided. */
  occurredAt: EpochMicros
  accounts: Accounts
  admission: Admission
  execution: Execution
  transfers: Transfers
  /** Filled only in the platform's partition, whose owner writes the directory. */
  directory: Directory
}

/** `secret`: of an owner, for the tables of ids; it decides nothing. */
export const emptyPartitionState = (secret = ''): PartitionState => ({
  seq: 0n,
  occurredAt: 0n,
  accounts: emptyAccounts(),
  admission: emptyAdmission(secret),
  execution: emptyExecution(),
  transfers: emptyTransfers(),
  directory: emptyDirectory(),
})

/** Takes in one fact, in place. Throws when it is not the next one: state is never built over a gap. */
export function evolve(state: PartitionState, fact: Fact): void {
  if (fact.seq !== state.seq + 1n) throw new Error(`Fact ${fact.seq} does not follow ${state.seq}.`)
  state.seq = fact.seq
  state.occurredAt = fact.occurredAt
  evolveDirectory(state.directory, fact)
  evolveAccounts(state.accounts, fact)
  evolveAdmission(state.admission, fact)
  evolveExecution(state.execution, fact)
  evolveTransfers(state.transfers, fact)
}

/** Raise whenever the shape of the state changes: older snapshots are then left aside, and the log is read instead. */
const snapshotFormat = `pf3-9/v8-${process.versions.v8}`

export type Snapshot = { seq: bigint; format: string; checksum: string; body: Uint8Array }

export function toSnapshot(state: PartitionState): Snapshot {
  const body = serialize(state)
  return { seq: state.seq, format: snapshotFormat, checksum: checksumOf(body), body }
}

/** The state, or undefined when the snapshot is of another format, damaged, or not what it says: never a guess. */
export function fromSnapshot(snapshot: Snapshot): PartitionState | undefined {
  if (snapshot.format !== snapshotFormat || checksumOf(snapshot.body) !== snapshot.checksum) return undefined
  const state = deserialize(snapshot.body) as PartitionState
  // What v8 reads back of an array of words lies in the bytes it was read from: owners that restored from the same bytes would share it.
  for (const { ids } of state.admission.answered.slots)
    for (const piece of ids.pieces) piece.words = piece.words.slice()
  return state.seq === snapshot.seq ? state : undefined
}

const checksumOf = (body: Uint8Array): string => createHash('sha256').update(body).digest('hex')
