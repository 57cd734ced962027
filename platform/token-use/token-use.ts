/**
 * When tokens were last used. A table of the machine's and no event: it decides nothing, nobody is charged by it, and a
 * fact for every request would double the log. A request only leaves a note; the notes are written together.
 */
import type { EpochMs } from '../../schemas/units.ts'
import type { Clock } from '../clock.ts'
import type { Database } from '../postgres/database.ts'
import { isolationSql, tenantRole } from '../postgres/isolation.ts'
import type { Migration } from '../postgres/migrate.ts'

export type TokenUse = {
  /** Notes that the token was used just now. Never waits and never fails. */
  used(token: { tenantId: string; tokenId: string }): void
  /**
   * For each token when it was last used, in order; null when no use was ever written. Up to a minute behind; the notes
   * of a process that is killed are lost.
   */
  lastUsed(tenantId: string, tokenIds: readonly string[]): Promise<(EpochMs | null)[]>
  /** Writes what is noted, and notes nothing more. */
  stop(): Promise<void>
}

export const tokenUseMigrations: readonly Migration[] = [
  {
    name: '0200-token-use',
    sql: `
CREATE TABLE token_use (
  tenant_id text NOT NULL,
  token_id text NOT NULL,
  -- Milliseconds since the epoch, by the clock of the door.
  last_used_ms bigint NOT NULL,
  PRIMARY KEY (tenant_id, token_id)
);
${isolationSql('token_use')}
REVOKE INSERT, UPDATE, DELETE ON token_use FROM ${tenantRole};`,
  },
]

/** So each token is written once a minute at most. */
export const writeEveryMs = 60_000
/** Tokens noted between two writes; uses of further ones are not noted. */
export const notesMax = 100_000
const rowsPerWriteMax = 1_000

type Note = { tenantId: string; tokenId: string; usedMs: EpochMs }

/** `onFault` hears of a write that failed; its notes are kept for the next. */
export function tokenUse(parts: { database: Database; clock: Clock; onFault(error: unknown): void }): TokenUse {
  const { database, clock, onFault } = parts
  const notes = new Map<string, Note>()
  let isStopped = false
  let cancel = () => {}
  let writing: Promise<void> = Promise.resolve()
  planWrite()

  function planWrite(): void {
    cancel = clock.after(writeEveryMs, () => {
      writing = write().finally(() => (isStopped ? undefined : planWrite()))
    })
  }

  async function write(): Promise<void> {
    // In one order everywhere, so that two doors that write the same tokens do not wait for each other in a circle.
    const all = [...notes].sort(([a], [b]) => (a < b ? -1 : 1))
    for (let from = 0; from < all.length; from += rowsPerWriteMax) {
      const some = all.slice(from, from + rowsPerWriteMax)
      try {
        await writeRows(some.map(([, note]) => note))
        for (const [key, note] of some) if (notes.get(key) === note) notes.delete(key)
      } catch (error) {
        return onFault(error)
      }
    }
  }

  const writeRows = (some: readonly Note[]) =>
    database.asService((tx) =>
      tx.query(
        `INSERT INTO token_use (tenant_id, token_id, last_used_ms)
         SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[])
         ON CONFLICT (tenant_id, token_id) DO UPDATE
         SET last_used_ms = greatest(token_use.last_used_ms, excluded.last_used_ms)`,
        [some.map((n) => n.tenantId), some.map((n) => n.tokenId), some.map((n) => n.usedMs)],
      ),
    )

  return {
    used({ tenantId, tokenId }) {
      const key = JSON.stringify([tenantId, tokenId])
      if (isStopped || (notes.size >= notesMax && !notes.has(key))) return
      notes.set(key, { tenantId, tokenId, usedMs: clock.nowMs() })
    },
    async lastUsed(tenantId, tokenIds) {
      const { rows } = await database.asTenant(tenantId, (tx) =>
        tx.query<{ token_id: string; last_used_ms: string | number | bigint }>(
          'SELECT token_id, last_used_ms FROM token_use WHERE tenant_id = $1 AND token_id = ANY ($2::text[])',
          [tenantId, tokenIds],
        ),
      )
      const byId = new Map(rows.map((row) => [row.token_id, Number(row.last_used_ms)]))
      return tokenIds.map((id) => byId.get(id) ?? null)
    },
    async stop() {
      isStopped = true
      cancel()
      await writing
      await write()
    },
  }
}
