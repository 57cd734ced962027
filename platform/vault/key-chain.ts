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
  /** The keys by `keyId`; one that does not exist is made when `canMake`, otherwise missing. Throws VAULT_DAMAGED. */
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

    const tenants = new Map(missing.map(({ tenantId }) => [tenantId, tenantKeyName(tenantId)]))
    const rows = await database.asService((tx) => readRows(tx, [...tenants.values(), ...missing]))
    const tenantKeys = await unwrapTenantKeys(rows)
    const unwrapped = unwrapBelow(rows, tenantKeys)
    if (canMake) {
      const lacking = missing.filter((name) => !unwrapped.has(keyId(name)))
      for (const [id, key] of await make(lacking, tenantKeys)) unwrapped.set(id, key)
    }
    for (const name of missing) {
      const key = unwrapped.get(keyId(name))
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

  async function unwrapTenantKeys(rows: readonly KeyRow[]): Promise<Map<string, KeyObject>> {
    const unwrapped = new Map<string, KeyObject>()
    for (const row of rows) {
      if (row.kind !== 'tenant') continue
      const name = nameOf(row)
      if (row.master_id !== masterKey.id)
        throw damaged(name, `wrapped under master key ${row.master_id}, not ${masterKey.id}`)
      const key = await masterKey.unwrap(row.wrapped, contextOf(name))
      if (!key) throw damaged(name)
      unwrapped.set(row.tenant_id, keyFrom(key))
    }
    return unwrapped
  }

  function unwrapBelow(rows: readonly KeyRow[], tenantKeys: ReadonlyMap<string, KeyObject>): Map<string, ChainKey> {
    const unwrapped = new Map<string, ChainKey>()
    for (const row of rows) {
      if (row.kind === 'tenant') continue
      const name = nameOf(row)
      const tenantKey = tenantKeys.get(row.tenant_id)
      const key = tenantKey && open(tenantKey, row.wrapped, contextOf(name))
      if (!key) throw damaged(name)
      unwrapped.set(keyId(name), { key: keyFrom(key), serial: BigInt(row.serial) })
    }
    return unwrapped
  }

  /** Of several processes that make the same key at once, one is first; all go on with what the table has. */
  async function make(names: readonly KeyName[], tenantKeys: Map<string, KeyObject>): Promise<Map<string, ChainKey>> {
    if (names.length === 0) return new Map()
    const newTenants = [...new Set(names.map((name) => name.tenantId))]
      .filter((tenantId) => !tenantKeys.has(tenantId))
      .map(tenantKeyName)
    if (newTenants.length > 0) {
      const rows: NewKeyRow[] = []
      for (const name of newTenants)
        rows.push(rowOf(name, await masterKey.wrap(random.bytes(keyBytes), contextOf(name))))
      const stored = await database.asService((tx) => insertRows(tx, rows, newTenants))
      for (const [tenantId, key] of await unwrapTenantKeys(stored)) tenantKeys.set(tenantId, key)
    }
    const rows = names.map((name) => {
      const tenantKey = tenantKeys.get(name.tenantId)
      if (!tenantKey) throw damaged(name, 'the key of its tenant is missing')
      return rowOf(name, seal(tenantKey, random.bytes(keyBytes), contextOf(name), random))
    })
    return unwrapBelow(await database.asService((tx) => insertRows(tx, rows, names)), tenantKeys)
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

async function insertRows(tx: Tx, rows: readonly NewKeyRow[], names: readonly KeyName[]): Promise<KeyRow[]> {
  await tx.query(
    `INSERT INTO vault_key (tenant_id, kind, name, master_id, wrapped)
     SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bytea[]) ON CONFLICT DO NOTHING`,
    [
      rows.map((r) => r.tenant_id),
      rows.map((r) => r.kind),
      rows.map((r) => r.name),
      rows.map((r) => r.master_id),
      rows.map((r) => Buffer.from(r.wrapped)),
    ],
  )
  return await readRows(tx, names)
}

async function readRows(tx: Tx, names: readonly KeyName[]): Promise<KeyRow[]> {
  const { rows } = await tx.query<KeyRow>(
    `SELECT k.tenant_id, k.kind, k.name, k.master_id, k.wrapped, k.serial FROM unnest($1::text[], $2::text[], $3::text[]) AS w(tenant_id, kind, name)
     JOIN vault_key k ON k.tenant_id = w.tenant_id AND k.kind = w.kind AND k.name = w.name`,
    [names.map((n) => n.tenantId), names.map((n) => n.kind), names.map((n) => n.name)],
  )
  return rows
}

const tenantKeyName = (tenantId: string): KeyName => ({ tenantId, kind: 'tenant', name: '' })
const nameOf = (row: KeyRow): KeyName => ({ tenantId: row.tenant_id, kind: row.kind, name: row.name })
const contextOf = ({ tenantId, kind, name }: KeyName): string[] => ['pf3-vault-key', '1', tenantId, kind, name]
const damaged = ({ tenantId, kind, name }: KeyName, problem?: string) =>
  new PlatformError('VAULT_DAMAGED', { tenantId, key: kind, name, problem })
