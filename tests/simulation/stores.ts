/** What survives every process: payloads and snapshots, in memory, with their faults. */
import { createHash } from 'node:crypto'
import { PlatformError } from '../../platform/errors.ts'
import type { Tx } from '../../platform/postgres/database.ts'
import type { SnapshotStore, StoredSnapshot } from '../../platform/snapshots/snapshots.ts'
import type { PayloadVault } from '../../platform/vault/vault.ts'
import { type SubmissionRow, type SubmissionStore, submissionText } from '../../producers/submissions.ts'
import { keyOfJob } from '../../schemas/ids.ts'
import type { Faults } from './faults.ts'

/** Keeps content as it is: sealing has tests of its own. Content of one tenant asked for by another is a violation. */
export function simVault(
  faults: Faults,
  pauseFor: () => Promise<void>,
  violated: (what: string) => void,
): PayloadVault {
  const contents = new Map<string, { tenantId: string; content: Uint8Array }>()
  const receipt = (ref: string, content: Uint8Array) => ({
    ref,
    bytes: content.length,
    mac: createHash('sha256').update(content).digest('hex'),
  })
  async function getMany(wanted: readonly { tenantId: string; ref: string }[]) {
    await pauseFor()
    failSometimes()
    const found = new Map<string, Uint8Array>()
    for (const { tenantId, ref } of wanted) {
      const kept = contents.get(ref)
      if (kept && kept.tenantId !== tenantId) violated(`${tenantId} asked for ${ref} of ${kept.tenantId}`)
      if (kept?.tenantId === tenantId) found.set(ref, kept.content)
    }
    return found
  }
  function failSometimes(): void {
    if (faults.happens('vaultFailed')) throw new PlatformError('DATABASE_UNAVAILABLE', { problem: 'simulated' })
  }
  return {
    seal: async (payloads) =>
      payloads.map(({ tenantId, ref, content }) => ({
        receipt: receipt(ref, content),
        row: { tenantId, content: Buffer.from(content).toString('base64') },
      })),
    async store(_, sealed) {
      for (const {
        receipt: { ref },
        row,
      } of sealed) {
        const content = Buffer.from(String(row['content']), 'base64')
        if (!contents.has(ref)) contents.set(ref, { tenantId: String(row['tenantId']), content })
      }
    },
    async put(payloads) {
      await pauseFor()
      if (faults.isDiskFull()) throw new PlatformError('DATABASE_UNAVAILABLE', { problem: 'simulated' })
      failSometimes()
      return payloads.map(({ tenantId, ref, content }) => {
        if (!contents.has(ref)) contents.set(ref, { tenantId, content })
        return receipt(ref, content)
      })
    },
    get: (tenantId, refs) => getMany(refs.map((ref) => ({ tenantId, ref }))),
    getMany,
    has: async (tenantId, ref) => (await getMany([{ tenantId, ref }])).has(ref),
  }
}

/** `wasLost`: whether the row of the job's key was, once or more. */
export type SimSubmissions = SubmissionStore & { wasLost(jobId: string): boolean }

/** The table of submissions, without its database: a row and its payload are there together or not at all. */
export function simSubmissions(faults: Faults, vault: PayloadVault, pauseFor: () => Promise<void>): SimSubmissions {
  const lost = new Set<string>()
  const table = new Map<string, SubmissionRow>()
  const noTx: Tx = {
    query: async () => ({ rows: [], rowCount: 0 }),
    get last() {
      return noTx
    },
  }
  return {
    wasLost: (jobId) => lost.has(keyOfJob(jobId)),
    async keep(wanted) {
      await pauseFor()
      if (faults.isDiskFull() || faults.happens('rowFailed'))
        throw new PlatformError('DATABASE_UNAVAILABLE', { problem: 'simulated' })
      const isNew = new Set<string>()
      const rows: SubmissionRow[] = []
      for (const { row, payload } of wanted) {
        const text = submissionText(row)
        if (table.has(text) && faults.happens('rowLost')) {
          table.delete(text)
          lost.add(keyOfJob(row.jobId))
        }
        if (!table.has(text)) {
          isNew.add(text)
          table.set(text, { ...row })
          await vault.store(noTx, [payload])
        }
        rows.push({ ...(table.get(text) ?? row) })
      }
      await pauseFor()
      // Committed, but the door never hears of it.
      if (faults.happens('rowUnacknowledged')) throw new PlatformError('DATABASE_UNAVAILABLE', { problem: 'simulated' })
      return { rows, isNew }
    },
    async markAppended(rows) {
      await pauseFor()
      if (faults.isDiskFull() || faults.happens('rowFailed'))
        throw new PlatformError('DATABASE_UNAVAILABLE', { problem: 'simulated' })
      for (const marked of rows) {
        const row = table.get(submissionText(marked))
        if (row?.jobId === marked.jobId) row.request = null
      }
    },
  }
}

export type SimSnapshots = SnapshotStore & { onSave(look: (partition: number, saved: StoredSnapshot) => void): void }

export function simSnapshots(faults: Faults, pauseFor: () => Promise<void>): SimSnapshots {
  const kept = new Map<number, StoredSnapshot[]>()
  const looks: ((partition: number, saved: StoredSnapshot) => void)[] = []
  return {
    onSave: (look) => void looks.push(look),
    async save(partition, snapshot) {
      await pauseFor()
      if (faults.isDiskFull()) throw new PlatformError('DATABASE_UNAVAILABLE', { problem: 'simulated' })
      const older = (kept.get(partition) ?? []).filter(({ seq }) => seq < snapshot.seq)
      kept.set(partition, [snapshot, ...older].slice(0, 2))
      for (const look of looks) look(partition, snapshot)
    },
    async load(partition) {
      await pauseFor()
      const all = kept.get(partition) ?? []
      const [newest, ...older] = all
      if (!newest) return []
      if (faults.happens('snapshotLost')) return []
      if (older.length > 0 && faults.happens('snapshotStale')) return older
      if (faults.happens('snapshotCorrupt')) {
        const body = Uint8Array.from(newest.body)
        body[body.length >> 1] = (body[body.length >> 1] ?? 0) ^ 1
        return [{ ...newest, body }, ...older]
      }
      return all
    },
  }
}
