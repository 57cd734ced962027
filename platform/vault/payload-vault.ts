/**
 * The payload vault on PostgreSQL. Content is sealed before it reaches the database, under a key that only the key
 * chain can open; the seal binds it to its tenant, ref, class and day, so no row can stand in for another.
 */
import { createHmac, type KeyObject } from 'node:crypto'
import type { Clock, Random } from '../clock.ts'
import { isFailure, PlatformError } from '../errors.ts'
import { byteaArray } from '../postgres/bytea-array.ts'
import type { Database, Tx } from '../postgres/database.ts'
import { demand, isUnmet } from '../postgres/demand.ts'
import { isolationSql, serviceRole, tenantRole } from '../postgres/isolation.ts'
import type { Migration } from '../postgres/migrate.ts'
import { type KeyName, keyChain, keyId } from './key-chain.ts'
import type { MasterKey } from './master-key.ts'
import { derivedKey, keyFrom, lengthPrefixed, open, seal } from './sealing.ts'
import type { Payload, PayloadClass, PayloadVault, SealedPayload } from './vault.ts'

export const vaultMigrations: readonly Migration[] = [
  {
    name: 'vault-0001-payload-and-key',
    sql: `
CREATE TABLE vault_key (
  tenant_id text NOT NULL,
  -- tenant, day or kept.
  kind text NOT NULL,
  -- The UTC day YYYY-MM-DD; '' for the others, of which a tenant has one each.
  name text NOT NULL,
  -- Master key at the top of its chain.
  master_id text NOT NULL,
  -- Encrypted: a tenant's key by the master key, the others by their tenant's key.
  wrapped bytea NOT NULL,
  PRIMARY KEY (tenant_id, kind, name)
);
${isolationSql('vault_key')}
REVOKE ALL ON vault_key FROM ${tenantRole};
CREATE TABLE vault_payload (
  tenant_id text NOT NULL,
  ref text NOT NULL,
  -- day or kept.
  class text NOT NULL,
  -- UTC day YYYY-MM-DD whose key seals it; '' for kept.
  day text NOT NULL,
  version integer NOT NULL,
  -- nonce, ciphertext, tag.
  sealed bytea NOT NULL,
  PRIMARY KEY (tenant_id, ref)
);
CREATE INDEX ON vault_payload (tenant_id, day);
ALTER TABLE vault_payload ALTER COLUMN sealed SET STORAGE EXTERNAL; -- Ciphertext does not compress.
${isolationSql('vault_payload')}
REVOKE UPDATE, DELETE ON vault_payload FROM ${tenantRole};`,
  },
  {
    // A key that is made after another of its name was destroyed is another: whoever still remembers the old one is told.
    name: 'vault-0002-key-serial',
    sql: 'ALTER TABLE vault_key ADD COLUMN serial bigint GENERATED ALWAYS AS IDENTITY',
  },
  {
    // Keys go at once and their content piece by piece: each row says by itself whether its key is still there. No row is
    // written for that, however many there are. The lock comes first, so that no key is made and used in between.
    name: 'vault-0003-erasure-in-pieces',
    sql: `
LOCK TABLE vault_payload IN ACCESS EXCLUSIVE MODE;
DO $$ BEGIN
  -- Serial of the key that seals it; of rows that were there already, the highest that there was: a key of its name with a
  -- higher one came after it. Null where a build before this one stored it: nobody knows.
  EXECUTE format('ALTER TABLE vault_payload ADD COLUMN key_serial bigint DEFAULT %s', (SELECT last_value FROM vault_key_serial_seq));
  ALTER TABLE vault_payload ALTER COLUMN key_serial DROP DEFAULT;
END $$;
GRANT SELECT ON SEQUENCE vault_key_serial_seq TO ${serviceRole};
-- Erasures whose keys are destroyed.
CREATE TABLE vault_erasure (
  tenant_id text NOT NULL,
  erasure_id text NOT NULL,
  -- It reaches what is sealed under keys up to this one.
  serial_max bigint NOT NULL,
  -- How many have gone so far.
  keys bigint NOT NULL DEFAULT 0,
  payloads bigint NOT NULL DEFAULT 0,
  PRIMARY KEY (tenant_id, erasure_id)
);
${isolationSql('vault_erasure')}
REVOKE ALL ON vault_erasure FROM ${tenantRole};`,
  },
]

export type StoredPayloadVault = PayloadVault & {
  /**
   * Destroys the tenant's day keys before `beforeDay` (YYYY-MM-DD, UTC, at most today), and then deletes the content under
   * them piece by piece: retention. A backup of the content opens no more, because backups leave vault_key out; a process
   * that remembers a key opens what is not deleted yet, for `cacheMs` at most. Safe to repeat, also by several at once: who
   * comes later deletes what is left. Answers what went this time. Throws REQUEST_INVALID for another day, and the reason of
   * `signal` between two pieces.
   */
  destroyDayKeys(tenantId: string, beforeDay: string, signal?: AbortSignal): Promise<Destroyed>
  /**
   * Destroys every key that the tenant has, and then deletes all content under them piece by piece, also what is stored
   * this very moment. Safe to repeat, also by several at once: the keys of an erasure are destroyed once, so that what is
   * stored after that stays. Answers what has gone in all, however often it was interrupted; what a retention that ran at
   * the same time has deleted is not in it. Throws the reason of `signal` between two pieces.
   */
  destroyTenant(erasure: { tenantId: string; erasureId: string }, signal?: AbortSignal): Promise<Destroyed>
  /** Oldest day that each of the tenants has a key or content of, in order of tenant; at most `limit`, after a tenant. */
  oldestDays(limit: number, after: string | undefined): Promise<{ tenantId: string; day: string }[]>
  /** Deletes one kept payload; its key, which all kept content of the tenant shares, stays. False when there is none. */
  deleteKept(tenantId: string, ref: string): Promise<boolean>
}

export type Destroyed = { keys: number; payloads: number }

const version = 1
/** Deleted by one statement, in a transaction of its own: it must end within the wait for a statement on a slow disk, too. */
const deletedAtOnceDefault = 5_000

type SealedRow = {
  tenant_id: string
  ref: string
  class: PayloadClass
  day: string
  version: number
  sealed: Uint8Array
  key_serial: bigint | null
}
/** The key that sealed it is known. */
type FreshRow = SealedRow & { key_serial: bigint }

export function payloadVault(parts: {
  database: Database
  masterKey: MasterKey
  clock: Clock
  random: Random
  deletedAtOnce?: number
}): StoredPayloadVault {
  const { database, clock, random, deletedAtOnce = deletedAtOnceDefault } = parts
  const chain = keyChain(parts)

  const today = (): string => new Date(clock.nowMs()).toISOString().slice(0, 10)

  async function sealAll(payloads: readonly Payload[]): Promise<SealedPayload[]> {
    const day = today()
    const places = payloads.map((payload) => ({ ...payload, day: payload.class === 'day' ? day : '' }))
    const keys = await chain.keys(places.map(keyNameOf), true)
    return places.map(({ tenantId, ref, class: payloadClass, day, content }) => {
      const key = keys.get(keyId(keyNameOf({ tenantId, class: payloadClass, day })))
      if (!key)
        throw new PlatformError('INTERNAL', { problem: 'a payload key was neither found nor made', tenantId, ref })
      const sealed = seal(key.key, content, contextOf({ tenantId, ref, class: payloadClass, day, version }), random)
      const row: FreshRow = {
        tenant_id: tenantId,
        ref,
        class: payloadClass,
        day,
        version,
        sealed,
        key_serial: key.serial,
      }
      return { receipt: { ref, bytes: content.byteLength, mac: macOf(key.key, ref, content) }, row }
    })
  }

  /** The keys are held until the transaction ends, so that none is destroyed under what it sealed. */
  async function store(tx: Tx, sealed: readonly SealedPayload[]): Promise<void> {
    if (sealed.length === 0) return
    const rows = sealed.map(({ row }) => row as FreshRow)
    const keys = new Map(rows.map((row) => [keyId(keyNameOf({ tenantId: row.tenant_id, ...row })), row]))
    const held = [...keys.values()].map((row) => ({
      ...keyNameOf({ tenantId: row.tenant_id, ...row }),
      serial: String(row.key_serial),
    }))
    try {
      await tx.query(storeSql, [
        held.map((key) => key.tenantId),
        held.map((key) => key.kind),
        held.map((key) => key.name),
        held.map((key) => key.serial),
        rows.map((row) => row.tenant_id),
        rows.map((row) => row.ref),
        rows.map((row) => row.class),
        rows.map((row) => row.day),
        rows.map((row) => row.version),
        byteaArray(rows.map((row) => row.sealed)),
        rows.map((row) => String(row.key_serial)),
      ])
    } catch (error) {
      if (!isUnmet(error)) throw error
      chain.forget((name) => keys.has(keyId(name)))
      const tenants = [...new Set(held.map(({ tenantId }) => tenantId))].join(', ')
      throw new PlatformError('VAULT_KEY_GONE', { tenants }, { cause: error })
    }
  }

  async function openRows(rows: readonly SealedRow[], isSecondTime = false): Promise<Map<string, Uint8Array>> {
    const named = rows.map((row) => ({ row, name: keyNameOf({ tenantId: row.tenant_id, ...row }) }))
    const keys = await chain.keys(
      named.map(({ name }) => name),
      false,
    )
    const contents = new Map<string, Uint8Array>()
    for (const { row, name } of named) {
      const key = keys.get(keyId(name))
      // Its key was destroyed, and with it the content, whose row may be there still.
      if (!key || (row.key_serial !== null && key.serial > row.key_serial)) continue
      const content = open(key.key, row.sealed, contextOf({ tenantId: row.tenant_id, ...row }))
      if (!content && !isSecondTime) {
        // Perhaps another process destroyed the key that is remembered here, and the content is newer.
        const names = new Set(named.map((one) => keyId(one.name)))
        chain.forget((remembered) => names.has(keyId(remembered)))
        return openRows(rows, true)
      }
      if (!content) throw new PlatformError('VAULT_DAMAGED', { tenantId: row.tenant_id, ref: row.ref })
      contents.set(row.ref, content)
    }
    return contents
  }

  return {
    seal: sealAll,
    store,
    async put(payloads) {
      const putOnce = async () => {
        const sealed = await sealAll(payloads)
        await database.asService((tx) => store(tx.last, sealed))
        return sealed.map(({ receipt }) => receipt)
      }
      return putOnce().catch((error: unknown) => {
        if (!isFailure(error, 'VAULT_KEY_GONE')) throw error
        return putOnce() // Under the keys that came after.
      })
    },
    async get(tenantId, refs) {
      if (refs.length === 0) return new Map()
      const { rows } = await database.asTenant(tenantId, (tx) =>
        tx.last.query<SealedRow>(
          `SELECT ${columns.join(', ')} FROM vault_payload WHERE tenant_id = $1 AND ref = ANY ($2::text[])`,
          [tenantId, [...new Set(refs)]],
        ),
      )
      return await openRows(rows)
    },
    async getMany(wanted) {
      if (wanted.length === 0) return new Map()
      refuseSharedRefs(wanted)
      const distinct = new Map(wanted.map((w) => [w.ref, w]))
      const { rows } = await database.asService((tx) =>
        tx.last.query<SealedRow>(
          `SELECT ${columns.map((name) => `p.${name}`).join(', ')} FROM unnest($1::text[], $2::text[]) AS w(tenant_id, ref)
           JOIN vault_payload p ON p.tenant_id = w.tenant_id AND p.ref = w.ref`,
          [[...distinct.values()].map((w) => w.tenantId), [...distinct.keys()]],
        ),
      )
      return await openRows(rows)
    },
    async has(tenantId, ref) {
      const { rows } = await database.asService((tx) =>
        tx.last.query(
          `SELECT 1 FROM vault_payload p WHERE p.tenant_id = $1 AND p.ref = $2 AND EXISTS (${keyOfPayloadSql})`,
          [tenantId, ref],
        ),
      )
      return rows.length > 0
    },
    async destroyDayKeys(tenantId, beforeDay, signal) {
      // Today's key may be in use by a process that has not stored its content yet.
      if (!/^\d{4}-\d{2}-\d{2}$/.test(beforeDay) || beforeDay > today())
        throw new PlatformError('REQUEST_INVALID', { beforeDay, dayMax: today() })
      const keys = await database.asService((tx) =>
        tx.query("DELETE FROM vault_key WHERE tenant_id = $1 AND kind = 'day' AND name < $2", [tenantId, beforeDay]),
      )
      chain.forget((name) => name.tenantId === tenantId && name.kind === 'day' && name.name < beforeDay)
      for (let payloads = 0; ; ) {
        signal?.throwIfAborted()
        const deleted = await database.asService((tx) => tx.query(deleteDaysSql(deletedAtOnce), [tenantId, beforeDay]))
        payloads += deleted.rowCount
        if (deleted.rowCount === 0) return { keys: keys.rowCount, payloads }
      }
    },
    async destroyTenant({ tenantId, erasureId }, signal) {
      await database.asService((tx) => destroyKeys(tx, tenantId, erasureId))
      chain.forget((name) => name.tenantId === tenantId)
      for (let after = ''; ; ) {
        signal?.throwIfAborted()
        const { rows } = await database.asService((tx) =>
          tx.query<{ keys: bigint; payloads: bigint; last: string | null }>(deleteErasedSql(deletedAtOnce), [
            tenantId,
            erasureId,
            after,
          ]),
        )
        const { keys, payloads, last } = rows[0] ?? { keys: 0, payloads: 0, last: null }
        if (last === null) return { keys: Number(keys), payloads: Number(payloads) }
        after = last
      }
    },
    async oldestDays(limit, after) {
      const { rows } = await database.asService((tx) =>
        tx.query<{ tenant_id: string; day: string }>(oldestDaysSql, [limit, after ?? '']),
      )
      return rows.map((row) => ({ tenantId: row.tenant_id, day: row.day }))
    },
    async deleteKept(tenantId, ref) {
      const { rowCount } = await database.asService((tx) =>
        tx.query("DELETE FROM vault_payload WHERE tenant_id = $1 AND class = 'kept' AND ref = $2", [tenantId, ref]),
      )
      return rowCount > 0
    },
  }
}

/** Once for each erasure: whoever carries it out again, or meanwhile, leaves the keys alone that came after. */
async function destroyKeys(tx: Tx, tenantId: string, erasureId: string): Promise<void> {
  const begun = await tx.query(
    `INSERT INTO vault_erasure (tenant_id, erasure_id, serial_max) SELECT $1, $2, last_value FROM vault_key_serial_seq
     ON CONFLICT DO NOTHING`,
    [tenantId, erasureId],
  )
  if (begun.rowCount === 0) return
  // From the top, each in a statement of its own: whoever makes keys below one, or stores under them, either came
  // before, and is waited for and deleted by the next statement, or finds them gone.
  for (const kinds of ["kind = 'tenant'", "kind <> 'tenant'"])
    await tx.query(
      `WITH gone AS (DELETE FROM vault_key WHERE tenant_id = $1 AND ${kinds} RETURNING serial)
       UPDATE vault_erasure SET keys = keys + (SELECT count(*) FROM gone),
         serial_max = greatest(serial_max, (SELECT max(serial) FROM gone))
       WHERE tenant_id = $1 AND erasure_id = $2`,
      [tenantId, erasureId],
    )
}

const columns = ['tenant_id', 'ref', 'class', 'day', 'version', 'sealed', 'key_serial'] as const

/** The key that a payload `p` is sealed under, if it is still there. */
const keyOfPayloadSql = `SELECT FROM vault_key k WHERE k.tenant_id = p.tenant_id AND k.kind = p.class AND k.name = p.day
  AND (p.key_serial IS NULL OR k.serial <= p.key_serial)`

/**
 * Fails when one of the keys ($1 to $4) is gone. Takes the place of what has no key any more and is not deleted yet. In one
 * order, because a conflict locks the row that is there: so nobody who stores or deletes ever deadlocks.
 */
const storeSql = `WITH held AS (
    SELECT k.serial FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[]) AS w(tenant_id, kind, name, serial)
    JOIN vault_key k ON k.tenant_id = w.tenant_id AND k.kind = w.kind AND k.name = w.name AND k.serial = w.serial
    FOR KEY SHARE OF k),
  stored AS (
    INSERT INTO vault_payload AS p (${columns.join(', ')})
    SELECT DISTINCT ON (tenant_id, ref) ${columns.join(', ')}
    FROM unnest($5::text[], $6::text[], $7::text[], $8::text[], $9::int[], $10::bytea[], $11::bigint[])
      WITH ORDINALITY AS v(${columns.join(', ')}, place)
    ORDER BY tenant_id, ref, place
    ON CONFLICT (tenant_id, ref) DO UPDATE SET ${columns.map((name) => `${name} = excluded.${name}`).join(', ')}
    WHERE NOT EXISTS (${keyOfPayloadSql}))
  SELECT ${demand('count(*) = cardinality($1)')} FROM held`

/** Of the days before $2 of the tenant, nothing that is kept: that has the day ''. */
const deleteDaysSql = (atOnce: number): string => {
  const isOld = "tenant_id = $1 AND day > '' AND day < $2"
  return `DELETE FROM vault_payload
    WHERE ${isOld} AND ref = ANY (ARRAY(SELECT ref FROM vault_payload WHERE ${isOld} LIMIT ${atOnce}))`
}

/** After the ref $3, along the primary key. Answers the last ref that went, null when none was left, and all that has gone. */
const deleteErasedSql = (atOnce: number): string => `WITH erased AS (
    SELECT p.ref FROM vault_payload p JOIN vault_erasure e ON e.tenant_id = p.tenant_id AND e.erasure_id = $2
    WHERE p.tenant_id = $1 AND p.ref > $3 AND (p.key_serial IS NULL OR p.key_serial <= e.serial_max)
    ORDER BY p.ref LIMIT ${atOnce} FOR UPDATE OF p),
  gone AS (
    DELETE FROM vault_payload WHERE tenant_id = $1 AND ref = ANY (ARRAY(SELECT ref FROM erased)) RETURNING ref)
  UPDATE vault_erasure SET payloads = payloads + (SELECT count(*) FROM gone) WHERE tenant_id = $1 AND erasure_id = $2
  RETURNING keys, payloads, (SELECT max(ref) FROM gone) AS last`

/** From tenant to tenant along the indexes, as far as the limit: what there is of each is not read. */
const oldestDaysSql = `WITH RECURSIVE tenant(id) AS (
    SELECT ${nextTenantSql('$2')}
    UNION ALL SELECT ${nextTenantSql('id')} FROM tenant WHERE id IS NOT NULL)
  SELECT tenant.id AS tenant_id, oldest.day FROM tenant, LATERAL (SELECT least(
    (SELECT min(name) FROM vault_key WHERE tenant_id = tenant.id AND kind = 'day'),
    (SELECT min(day) FROM vault_payload WHERE tenant_id = tenant.id AND day > '')) AS day) oldest
  WHERE oldest.day IS NOT NULL LIMIT $1`

function nextTenantSql(after: string): string {
  const next = (table: string) => `(SELECT min(tenant_id) FROM ${table} WHERE tenant_id > ${after})`
  return `least(${next('vault_key')}, ${next('vault_payload')})`
}

type Place = { tenantId: string; ref: string; class: PayloadClass; day: string }

const keyNameOf = ({ tenantId, class: payloadClass, day }: Omit<Place, 'ref'>): KeyName => ({
  tenantId,
  kind: payloadClass,
  name: day,
})

const contextOf = ({ tenantId, ref, class: payloadClass, day, version }: Place & { version: number }): string[] => [
  'pf3-payload',
  String(version),
  tenantId,
  ref,
  payloadClass,
  day,
]

/** Of the code's formula: the first one had a key for each content. */
const macVersion = 2
/** Of a key that seals, the one for codes: derived once while that one is remembered. */
const macKeys = new WeakMap<KeyObject, KeyObject>()

function macKeyOf(key: KeyObject): KeyObject {
  const known = macKeys.get(key)
  if (known) return known
  const derived = keyFrom(derivedKey(key, ['pf3-payload-mac', String(macVersion)]))
  macKeys.set(key, derived)
  return derived
}

/**
 * HMAC-SHA-256 of the ref and the content. The ref is in it so that equal contents have different codes; once the key is
 * destroyed it reveals nothing.
 */
const macOf = (key: KeyObject, ref: string, content: Uint8Array): string =>
  createHmac('sha256', macKeyOf(key))
    .update(lengthPrefixed([ref]))
    .update(content)
    .digest('hex')

/** The answer is keyed by ref alone, so one ref of two tenants would be answered with the content of one of them. */
function refuseSharedRefs(wanted: readonly { tenantId: string; ref: string }[]): void {
  const owners = new Map<string, string>()
  for (const { tenantId, ref } of wanted) {
    const owner = owners.get(ref)
    if (owner !== undefined && owner !== tenantId)
      throw new PlatformError('INTERNAL', { problem: 'two tenants have this ref', ref })
    owners.set(ref, tenantId)
  }
}
