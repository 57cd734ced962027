/**
 * The keys below the master key: one per tenant, wrapped by the master key; below it one per UTC day and one for all
 * kept content, wrapped by the tenant's. Only wrapped keys are stored. A key that is deleted takes its content with it.
 */
import type { KeyObject } from 'node:crypto'
import type { Clock, Random } from '../clock.ts'
import { PlatformError } from '../errors.ts'
import type { Database, Tx } from '../postgres/database.ts'
import type { MasterKey } from './master-key.ts'
import { keyBytes, keyFrom, open, seal } from './sealing.ts'

/** `day`: name YYYY-MM-DD, UTC. `tenant` and `kept`: name ''. */
export type KeyKind = 'tenant' | 'day' | 'kept'
export type KeyName = { tenantId: string; kind: KeyKind; name: string }

export type KeyChain = {
  /**
   * The keys by `keyId`; one that does not exist is made when `canMake`, otherwise missing. Throws VAULT_DAMAGED for keys
   * of one tenant, which `tenantId` in its facts names, and VAULT_KEY_GONE when what it made was destroyed every time.
   */
  keys(names: readonly KeyName[], canMake: boolean): Promise<Map<string, ChainKey>>
  /** Forgets keys that were deleted; other processes forget them within `cacheMs`. */
  forget(isGone: (name: KeyName) => boolean): void
}

/** `serial`: which of the keys that have had this name; one that was destroyed is never made again. */
export type ChainKey = { key: KeyObject; serial: bigint }

export const keyId = ({ tenantId, kind, name }: KeyName): string => JSON.stringify([tenantId, kind, name])

/** Unwrapped keys a process remembers, least recently used first to go (1.5 kB each, twice that with the code of contents), and for how long. */
const keysMax = 30_000
export const cacheMs = 300_000
/** Times that a key is made and destroyed again, by an erasure of its tenant, before the caller is told to come again. */
const makeTriesMax = 3

/** Keys of tenants by tenant, and those below them by `keyId`. */
type Unwrapped = { tenants: ReadonlyMap<string, ChainKey>; below: ReadonlyMap<string, ChainKey> }
type Cached = ChainKey & { name: KeyName; until: number }
type NewKeyRow = { tenant_id: string; kind: KeyKind; name: string; master_id: string; wrapped: Uint8Array }
type KeyRow = NewKeyRow & { serial: bigint | string }

export function keyChain(parts: { database: Database; masterKey: MasterKey; clock: Clock; random: Random }): KeyChain {
  const { database, masterKey, clock, random } = parts
  const cache = new Map<string, Cached>() // In order of use.

  async function keys(names: readonly KeyName[], canMake: boolean): Promise<Map<string, ChainKey>> {
    const wanted = new Map(names.map((name) => [keyId(name), name]))
    const found = fromCache(wanted)
    const missing = [...wanted].filter(([id]) => !found.has(id)).map(([, name]) => name)
    if (missing.length === 0) return found

    let unwrapped = await unwrap(await database.asService((tx) => readRows(tx, withTenants(missing))))
    const lacking = () => missing.filter((name) => !unwrapped.below.has(keyId(name)))
    for (let tries = 1; canMake && lacking().length > 0; tries++) {
      if (tries > makeTriesMax) throw gone(lacking())
      const made = await make(lacking(), unwrapped.tenants)
      unwrapped = { tenants: made.tenants, below: new Map([...unwrapped.below, ...made.below]) }
    }
    for (const name of missing) {
      const key = unwrapped.below.get(keyId(name))
      if (key) found.set(keyId(name), remember(name, key))
    }
    return found
  }

  function fromCache(wanted: ReadonlyMap<string, KeyName>): Map<string, ChainKey> {
    const found = new Map<string, ChainKey>()
    for (const id of wanted.keys()) {
      const cached = cache.get(id)
      if (!cached) continue
      cache.delete(id)
      if (cached.until <= clock.nowMs()) continue
      cache.set(id, cached)
      found.set(id, cached)
    }
    return found
  }

  function remember(name: KeyName, key: ChainKey): ChainKey {
    cache.set(keyId(name), { ...key, name, until: clock.nowMs() + cacheMs })
    for (const oldest of cache.keys()) {
      if (cache.size <= keysMax) break
      cache.delete(oldest)
    }
    return key
  }

  async function unwrap(rows: readonly KeyRow[]): Promise<Unwrapped> {
    const tenants = new Map<string, ChainKey>()
    for (const row of rows) if (row.kind === 'tenant') tenants.set(row.tenant_id, await unwrapTenantKey(row))
    const below = new Map<string, ChainKey>()
    for (const row of rows) {
      const tenant = tenants.get(row.tenant_id)
      if (row.kind === 'tenant' || !tenant) continue // The key of its tenant was destroyed, and this one with it.
      const name = nameOf(row)
      const key = open(tenant.key, row.wrapped, contextOf(name))
      if (!key) throw damaged(name)
      below.set(keyId(name), { key: keyFrom(key), serial: BigInt(row.serial) })
    }
    return { tenants, below }
  }

  async function unwrapTenantKey(row: KeyRow): Promise<ChainKey> {
    const name = nameOf(row)
    if (row.master_id !== masterKey.id)
      throw damaged(name, `wrapped under master key ${row.master_id}, not ${masterKey.id}`)
    const key = await masterKey.unwrap(row.wrapped, contextOf(name))
    if (!key) throw damaged(name)
    return { key: keyFrom(key), serial: BigInt(row.serial) }
  }

  /**
   * Of several processes that make the same key at once, one is first; all go on with what the table has. Keys of a tenant
   * that is erased meanwhile are not made, and missing from the answer.
   */
  async function make(names: readonly KeyName[], known: ReadonlyMap<string, ChainKey>): Promise<Unwrapped> {
    const tenants = new Map([...known, ...(await makeTenantKeys(names.filter((name) => !known.has(name.tenantId))))])
    const rows: NewKeyRow[] = []
    const serials: string[] = []
    for (const name of names) {
      const tenant = tenants.get(name.tenantId)
      if (!tenant) continue
      rows.push(rowOf(name, seal(tenant.key, random.bytes(keyBytes), contextOf(name), random)))
      serials.push(String(tenant.serial))
    }
    return unwrap(
      await database.asService(async (tx) => {
        await tx.query(insertBelowSql, [...columnsOf(rows), serials])
        return readRows(tx, withTenants(names))
      }),
    )
  }

  async function makeTenantKeys(below: readonly KeyName[]): Promise<ReadonlyMap<string, ChainKey>> {
    if (below.length === 0) return new Map()
    const names = tenantsOf(below)
    const rows: NewKeyRow[] = []
    for (const name of names) rows.push(rowOf(name, await masterKey.wrap(random.bytes(keyBytes), contextOf(name))))
    const stored = await database.asService(async (tx) => {
      await tx.query(insertTenantsSql, columnsOf(rows))
      return readRows(tx, names)
    })
    return (await unwrap(stored)).tenants
  }

  const rowOf = ({ tenantId, kind, name }: KeyName, wrapped: Uint8Array): NewKeyRow => ({
    tenant_id: tenantId,
    kind,
    name,
    master_id: masterKey.id,
    wrapped,
  })

  return {
    keys,
    forget(isGone) {
      for (const [id, { name }] of cache) if (isGone(name)) cache.delete(id)
    },
  }
}

const newRows = `SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bytea[])
    AS r(tenant_id, kind, name, master_id, wrapped)`

/**
 * Where a tenant has no key, none that is left below one opens anything: they go, with what is sealed under them, before
 * others of the same name are made. All in one order, so that processes never deadlock.
 */
const insertTenantsSql = `WITH made AS (
    INSERT INTO vault_key (tenant_id, kind, name, master_id, wrapped) ${newRows} ORDER BY tenant_id
    ON CONFLICT DO NOTHING RETURNING tenant_id),
  orphan AS (
    DELETE FROM vault_key k USING made m WHERE k.tenant_id = m.tenant_id RETURNING k.tenant_id, k.kind, k.name)
  DELETE FROM vault_payload p USING orphan o WHERE p.tenant_id = o.tenant_id AND p.class = o.kind AND p.day = o.name`

/**
 * Under the tenants' keys that were unwrapped ($6, their serials), as long as they are there: whoever destroys one waits for
 * the end of this, and finds what was made here.
 */
const insertBelowSql = `WITH held AS (
    SELECT t.tenant_id, t.serial FROM vault_key t WHERE t.kind = 'tenant' AND t.name = ''
      AND (t.tenant_id, t.serial) IN (SELECT * FROM unnest($1::text[], $6::bigint[]))
    ORDER BY t.tenant_id FOR KEY SHARE OF t)
  INSERT INTO vault_key (tenant_id, kind, name, master_id, wrapped)
  SELECT r.* FROM (${newRows}) r JOIN held USING (tenant_id) ORDER BY r.tenant_id, r.kind, r.name
  ON CONFLICT DO NOTHING`

const columnsOf = (rows: readonly NewKeyRow[]): unknown[] => [
  rows.map((r) => r.tenant_id),
  rows.map((r) => r.kind),
  rows.map((r) => r.name),
  rows.map((r) => r.master_id),
  rows.map((r) => Buffer.from(r.wrapped)),
]

async function readRows(tx: Tx, names: readonly KeyName[]): Promise<KeyRow[]> {
  const { rows } = await tx.query<KeyRow>(
    `SELECT k.tenant_id, k.kind, k.name, k.master_id, k.wrapped, k.serial FROM unnest($1::text[], $2::text[], $3::text[]) AS w(tenant_id, kind, name)
     JOIN vault_key k ON k.tenant_id = w.tenant_id AND k.kind = w.kind AND k.name = w.name`,
    [names.map((n) => n.tenantId), names.map((n) => n.kind), names.map((n) => n.name)],
  )
  return rows
}

/** Names of the keys that these are below. */
const tenantsOf = (names: readonly KeyName[]): KeyName[] =>
  [...new Set(names.map(({ tenantId }) => tenantId))].map((tenantId) => ({ tenantId, kind: 'tenant', name: '' }))
const withTenants = (names: readonly KeyName[]): KeyName[] => [...tenantsOf(names), ...names]
const nameOf = (row: KeyRow): KeyName => ({ tenantId: row.tenant_id, kind: row.kind, name: row.name })
const contextOf = ({ tenantId, kind, name }: KeyName): string[] => ['pf3-vault-key', '1', tenantId, kind, name]
const damaged = ({ tenantId, kind, name }: KeyName, problem?: string) =>
  new PlatformError('VAULT_DAMAGED', { tenantId, key: kind, name, problem })
const gone = (names: readonly KeyName[]) =>
  new PlatformError('VAULT_KEY_GONE', {
    tenants: tenantsOf(names)
      .map(({ tenantId }) => tenantId)
      .join(', '),
  })
