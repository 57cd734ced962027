/** Where owners keep snapshots of a partition's state. Disposable: without one, or with a damaged one, the log is read. */
import { PlatformError } from '../errors.ts'
import type { FactCursor } from '../log/log.ts'
import type { Database } from '../postgres/database.ts'

export type StoredSnapshot = {
  seq: bigint
  format: string
  /** SHA-256 of the body in hex. */
  checksum: string
  body: Uint8Array
  /** Where reading goes on; its offsets are lower bounds. */
  cursor: FactCursor
}

export type SnapshotStore = {
  /** Keeps the snapshot and forgets all but the one before it. */
  save(partition: number, snapshot: StoredSnapshot): Promise<void>
  /** Newest first; at most two. Throws DATABASE_UNAVAILABLE, whatever the database says: it may be asked again, and the log has all of it. */
  load(partition: number): Promise<StoredSnapshot[]>
}

export const snapshotMigrations = [
  {
    name: '0100-owner-snapshot',
    sql: `create table owner_snapshot (
      partition int not null,
      seq bigint not null,
      format text not null,
      checksum text not null,
      offsets jsonb not null,
      body bytea not null,
      primary key (partition, seq)
    );
    grant select, insert, delete on owner_snapshot to pf3_service;`,
  },
]

type Row = { seq: bigint; format: string; checksum: string; offsets: Record<string, string>; body: Uint8Array }

export function snapshotStore(database: Database): SnapshotStore {
  return {
    async save(partition, { seq, format, checksum, body, cursor }) {
      const offsets = JSON.stringify(cursor.offsets, (_, value: unknown) =>
        typeof value === 'bigint' ? value.toString() : value,
      )
      await database.asService(async (tx) => {
        await tx.query('delete from owner_snapshot where partition = $1 and seq >= $2', [partition, seq])
        await tx.query(
          'insert into owner_snapshot (partition, seq, format, checksum, offsets, body) values ($1, $2, $3, $4, $5, $6)',
          [partition, seq, format, checksum, offsets, body],
        )
        await tx.query(
          `delete from owner_snapshot where partition = $1
             and seq not in (select seq from owner_snapshot where partition = $1 order by seq desc limit 2)`,
          [partition],
        )
      })
    },
    async load(partition) {
      const read = 'select seq, format, checksum, offsets, body from owner_snapshot where partition = $1'
      const { rows } = await database
        .asService((tx) => tx.query<Row>(`${read} order by seq desc limit 2`, [partition]))
        .catch((error: unknown) => {
          if (error instanceof PlatformError) throw error
          throw new PlatformError('DATABASE_UNAVAILABLE', { problem: 'a snapshot cannot be read' }, { cause: error })
        })
      return rows.map(({ seq, format, checksum, offsets, body }) => ({
        seq,
        format,
        checksum,
        body,
        cursor: { seq, offsets: toOffsets(offsets) },
      }))
    },
  }
}

const toOffsets = (kept: Record<string, string>): FactCursor['offsets'] => ({
  directory: BigInt(kept.directory ?? 0),
  accounts: BigInt(kept.accounts ?? 0),
  jobs: BigInt(kept.jobs ?? 0),
  usage: BigInt(kept.usage ?? 0),
  billing: BigInt(kept.billing ?? 0),
  transfers: BigInt(kept.transfers ?? 0),
})
