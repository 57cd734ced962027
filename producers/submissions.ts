/**
 * The table of submissions: which idempotency key stands for which job, and whether its request is known to be in the
 * log. A key has its job's id from here alone. Rows are kept as long as the jobs they lead to can be looked at, because a
 * key must never lead to a second job.
 */

import { byteaArray } from '../platform/postgres/bytea-array.ts'
import type { Database, Tx } from '../platform/postgres/database.ts'
import { demand, isUnmet } from '../platform/postgres/demand.ts'
import { isolationSql } from '../platform/postgres/isolation.ts'
import type { Migration } from '../platform/postgres/migrate.ts'
import type { PayloadVault, SealedPayload } from '../platform/vault/vault.ts'
import type { EpochMs } from '../schemas/units.ts'

// No index on appended_at: marking a row then changes no index, and the row can be rewritten in its page.
export const submissionMigrations: readonly Migration[] = [
  {
    name: 'producers-0001-submission',
    sql: `CREATE TABLE submission (
      tenant_id text NOT NULL,
      idempotency_key text NOT NULL,
      job_id text NOT NULL,
      -- HMAC of what was asked, under a key of the tenant: tells same from other, and reveals nothing.
      body_mac bytea NOT NULL,
      capability text NOT NULL,
      member_id text,
      priority integer NOT NULL,
      -- The encoded request, for appending the same again; null once it is known to be in the log.
      request bytea,
      created_at_ms bigint NOT NULL,
      appended_at_ms bigint,
      PRIMARY KEY (tenant_id, idempotency_key)
    );
    CREATE INDEX submission_by_job ON submission (tenant_id, job_id);
    ${isolationSql('submission')}`,
  },
  {
    // Room for the mark in the row's own page, or it is written elsewhere and changes both indexes.
    name: 'producers-0002-room-for-the-mark',
    sql: 'ALTER TABLE submission SET (fillfactor = 65)',
  },
]

export type SubmissionKey = { tenantId: string; idempotencyKey: string }

export type SubmissionRow = SubmissionKey & {
  jobId: string
  bodyMac: Uint8Array
  capability: string
  memberId: string | null
  priority: number
  /** Null once the row is marked as appended. */
  request: Uint8Array | null
  createdAtMs: EpochMs
}

export const submissionText = ({ tenantId, idempotencyKey }: SubmissionKey): string =>
  JSON.stringify([tenantId, idempotencyKey])

export type MarkedRow = Pick<SubmissionRow, 'tenantId' | 'idempotencyKey' | 'jobId'>

/** Where a door keeps what it was asked, before the log has it. */
export type SubmissionStore = {
  /**
   * In one transaction: a row for every key that is new, with its payload. Answers the row of every key as it now
   * stands, and the texts of the keys that were new. A key stands for what came first, row and payload alike.
   */
  keep(
    wanted: readonly { row: SubmissionRow; payload: SealedPayload }[],
  ): Promise<{ rows: SubmissionRow[]; isNew: ReadonlySet<string> }>
  /** Notes that the log has the requests of these rows. Marking again changes nothing, nor does the row of another job. */
  markAppended(rows: readonly MarkedRow[], atMs: EpochMs): Promise<void>
}

export function submissionStore({
  database,
  vault,
}: {
  database: Database
  vault: Pick<PayloadVault, 'store'>
}): SubmissionStore {
  type Wanted = Parameters<SubmissionStore['keep']>[0]
  /** Whether some of the keys that came last stood for jobs already: retries come in crowds. */
  let hadTaken = false

  /** As a rule every key is new: then all goes to the server at once, with its COMMIT. Answers whether it was so, and keeps nothing otherwise. */
  const keepNew = (wanted: Wanted): Promise<boolean> =>
    database
      .asService(async (tx) => {
        const inserting = insertAllOrFail(
          tx,
          wanted.map(({ row }) => row),
        )
        const storing = vault.store(
          tx.last,
          wanted.map(({ payload }) => payload),
        )
        storing.catch(() => undefined) // What comes of the first counts.
        await inserting
        await storing
        return true
      })
      .catch((error: unknown) => {
        if (!isUnmet(error)) throw error
        return false
      })

  const keepSome = (wanted: Wanted): ReturnType<SubmissionStore['keep']> =>
    database.asService(async (tx) => {
      const inserted = await insertSubmissions(
        tx,
        wanted.map(({ row }) => row),
      )
      const isNew = new Set(inserted.map(submissionText))
      const fresh = wanted.filter(({ row }) => isNew.has(submissionText(row)))
      const others = wanted.filter(({ row }) => !isNew.has(submissionText(row))).map(({ row }) => row)
      // Only the payload of the row that won is kept: another body under the same key must not take its place.
      await vault.store(
        tx,
        fresh.map(({ payload }) => payload),
      )
      hadTaken = others.length > 0
      const existing = others.length === 0 ? [] : await readSubmissions(tx.last, others)
      return { rows: [...existing, ...fresh.map(({ row }) => row)], isNew }
    })

  return {
    async keep(wanted) {
      if (hadTaken || !(await keepNew(wanted))) return keepSome(wanted)
      return { rows: wanted.map(({ row }) => row), isNew: new Set(wanted.map(({ row }) => submissionText(row))) }
    },
    markAppended: (rows, atMs) => database.asService((tx) => markAppended(tx.last, rows, atMs)),
  }
}

/** Inserts the rows whose key is new, keys locked in one order, so that doors never deadlock; returns those keys. */
const insertSql = `INSERT INTO submission (tenant_id, idempotency_key, job_id, body_mac, capability, member_id, priority, request, created_at_ms)
  SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::bytea[], $5::text[], $6::text[], $7::int[], $8::bytea[], $9::bigint[])
    AS r(tenant_id, idempotency_key, job_id, body_mac, capability, member_id, priority, request, created_at_ms)
  ORDER BY tenant_id, idempotency_key
  ON CONFLICT DO NOTHING RETURNING tenant_id, idempotency_key`

const insertAllSql = `WITH inserted AS (${insertSql}) SELECT ${demand('count(*) = cardinality($1)')} FROM inserted`

const columnsOf = (rows: readonly SubmissionRow[]): unknown[] => [
  rows.map((r) => r.tenantId),
  rows.map((r) => r.idempotencyKey),
  rows.map((r) => r.jobId),
  byteaArray(rows.map((r) => r.bodyMac)),
  rows.map((r) => r.capability),
  rows.map((r) => r.memberId),
  rows.map((r) => r.priority),
  byteaArray(rows.map((r) => r.request)),
  rows.map((r) => r.createdAtMs),
]

async function insertSubmissions(tx: Tx, rows: readonly SubmissionRow[]): Promise<SubmissionKey[]> {
  const inserted = await tx.query<{ tenant_id: string; idempotency_key: string }>(insertSql, columnsOf(rows))
  return inserted.rows.map((row) => ({ tenantId: row.tenant_id, idempotencyKey: row.idempotency_key }))
}

/** Throws what `isUnmet` knows when a key is not new. */
const insertAllOrFail = async (tx: Tx, rows: readonly SubmissionRow[]): Promise<void> =>
  void (await tx.query(insertAllSql, columnsOf(rows)))

async function readSubmissions(tx: Tx, keys: readonly SubmissionKey[]): Promise<SubmissionRow[]> {
  const { rows } = await tx.query<TableRow>(
    `SELECT s.* FROM unnest($1::text[], $2::text[]) AS k(tenant_id, idempotency_key) JOIN submission s USING (tenant_id, idempotency_key)`,
    [keys.map((k) => k.tenantId), keys.map((k) => k.idempotencyKey)],
  )
  return rows.map(fromRow)
}

async function markAppended(tx: Tx, marked: readonly MarkedRow[], atMs: EpochMs): Promise<void> {
  await tx.query(
    `WITH found AS (
       SELECT s.tenant_id, s.idempotency_key
       FROM unnest($1::text[], $2::text[], $3::text[]) AS k(tenant_id, idempotency_key, job_id)
       JOIN submission s USING (tenant_id, idempotency_key)
       WHERE s.appended_at_ms IS NULL AND s.job_id = k.job_id
       ORDER BY s.tenant_id, s.idempotency_key FOR UPDATE OF s)
     UPDATE submission s SET appended_at_ms = $4, request = NULL FROM found f
     WHERE s.tenant_id = f.tenant_id AND s.idempotency_key = f.idempotency_key`,
    [marked.map((k) => k.tenantId), marked.map((k) => k.idempotencyKey), marked.map((k) => k.jobId), atMs],
  )
}

export type SubmittedJob = Pick<
  SubmissionRow,
  'tenantId' | 'jobId' | 'capability' | 'memberId' | 'priority' | 'createdAtMs'
>

/** Whether each of the keys stands for a job; runs as the service. */
export async function areSubmitted(tx: Tx, keys: readonly SubmissionKey[]): Promise<boolean[]> {
  const found = new Set((await readSubmissions(tx, keys)).map(submissionText))
  return keys.map((key) => found.has(submissionText(key)))
}

/**
 * What is known of jobs that the views may not show yet; runs as the service, each job found by its tenant and id
 * together. Unmarked rows count: marking comes after the answer, and a caller is told a job's id only once the log has it.
 */
export async function submittedJobs(
  tx: Tx,
  jobs: readonly { tenantId: string; jobId: string }[],
): Promise<SubmittedJob[]> {
  const { rows } = await tx.query<TableRow>(
    `SELECT s.* FROM unnest($1::text[], $2::text[]) AS k(tenant_id, job_id) JOIN submission s USING (tenant_id, job_id)`,
    [jobs.map((j) => j.tenantId), jobs.map((j) => j.jobId)],
  )
  return rows.map(fromRow)
}

type TableRow = {
  tenant_id: string
  idempotency_key: string
  job_id: string
  body_mac: Uint8Array
  capability: string
  member_id: string | null
  priority: number
  request: Uint8Array | null
  created_at_ms: bigint
}

const fromRow = (row: TableRow): SubmissionRow => ({
  tenantId: row.tenant_id,
  idempotencyKey: row.idempotency_key,
  jobId: row.job_id,
  bodyMac: row.body_mac,
  capability: row.capability,
  memberId: row.member_id,
  priority: row.priority,
  request: row.request,
  createdAtMs: Number(row.created_at_ms),
})
