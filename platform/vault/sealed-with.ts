/** Whether what a database keeps was sealed with the master key at hand: with another one nothing of it opens. */
import type { Database } from '../postgres/database.ts'

/**
 * Id of a master key that stored keys are wrapped by, when there are some and none is by `masterKeyId`; undefined when all
 * is well, or nothing was ever sealed. The first key by the right one ends the look, so that a start does not pay for how
 * many there are.
 */
export async function otherMasterKey(database: Database, masterKeyId: string | undefined): Promise<string | undefined> {
  return database.asService(async (tx) => {
    const table = await tx.query<{ is_there: boolean }>(`SELECT to_regclass('vault_key') IS NOT NULL AS is_there`)
    if (!table.rows[0]?.is_there) return undefined
    const { rows } = await tx.query<{ master_id: string }>(
      'SELECT master_id FROM vault_key WHERE NOT EXISTS (SELECT FROM vault_key WHERE master_id = $1) LIMIT 1',
      [masterKeyId ?? null],
    )
    return rows[0]?.master_id
  })
}
