/** Keys go at once and rows piece by piece: what is there in between, and what a deletion that was killed leaves to the next. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Clock, systemClock, systemRandom } from '../clock.ts'
import type { Database } from '../postgres/database.ts'
import { type EmbeddedDatabase, openEmbeddedDatabase } from '../postgres/embedded.ts'
import { migrate } from '../postgres/migrate.ts'
import { masterKeyFrom } from './master-key.ts'
import { payloadVault, type StoredPayloadVault, vaultMigrations } from './payload-vault.ts'
import type { PayloadClass } from './vault.ts'

let database: EmbeddedDatabase
const secret = systemRandom.bytes(32)
let nowMs = Date.parse('2026-03-10T12:00:00Z')
const clock: Clock = { ...systemClock, nowMs: () => nowMs }
let tenantsMade = 0
let erasuresMade = 0

beforeAll(async () => {
  database = await openEmbeddedDatabase()
  await migrate(database, vaultMigrations)
}, 60_000)
afterAll(() => database.close())

const vaultOfNewProcess = (): StoredPayloadVault =>
  payloadVault({ database, masterKey: masterKeyFrom(secret), clock, random: systemRandom })
const newTenant = (): string => `tenant-${++tenantsMade}`
const erasureOf = (tenantId: string) => ({ tenantId, erasureId: `erasure-${++erasuresMade}` })
const textOf = (content: Uint8Array | undefined): string | undefined => content && new TextDecoder().decode(content)
const payload = (tenantId: string, ref: string, text: string, payloadClass: PayloadClass = 'day') => ({
  tenantId,
  ref,
  class: payloadClass,
  content: new TextEncoder().encode(text),
})
const keysOf = async (tenantId: string) => {
  const { rows } = await database.asService((tx) =>
    tx.query('SELECT kind, name FROM vault_key WHERE tenant_id = $1 ORDER BY kind, name', [tenantId]),
  )
  return rows
}

/** A vault that deletes two rows at a time, and is killed before its transaction of this number, counted from the next. */
const vaultKilledBefore = (killedAt: number): StoredPayloadVault => {
  let transactions = 0
  const dying: Database = {
    ...database,
    async asService(run, options) {
      if (++transactions >= killedAt) throw new Error('killed')
      return database.asService(run, options)
    },
  }
  const masterKey = masterKeyFrom(secret)
  return payloadVault({ database: dying, masterKey, clock, random: systemRandom, deletedAtOnce: 2 })
}
const refsOf = async (tenantId: string) => {
  const { rows } = await database.asService((tx) =>
    tx.query<{ ref: string }>('SELECT ref FROM vault_payload WHERE tenant_id = $1 ORDER BY ref', [tenantId]),
  )
  return rows.map(({ ref }) => ref)
}

test('an erasure that is killed between two pieces has closed all content; it ends later, and takes nothing that came since', async () => {
  const tenantId = newTenant()
  const erasure = erasureOf(tenantId)
  await vaultOfNewProcess().put([
    ...['a', 'b', 'c', 'd', 'e', 'f', 'g'].map((ref) => payload(tenantId, ref, `old ${ref}`)),
    payload(tenantId, 'k', 'labels', 'kept'),
  ])
  await expect(vaultKilledBefore(3).destroyTenant(erasure)).rejects.toThrow('killed')
  expect(await keysOf(tenantId)).toEqual([])
  expect(await refsOf(tenantId)).toEqual(['c', 'd', 'e', 'f', 'g', 'k'])
  const all = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'k', 'new']
  expect((await vaultOfNewProcess().get(tenantId, all)).size).toBe(0)
  expect(await vaultOfNewProcess().has(tenantId, 'k')).toBe(false)

  // New keys of the same names open none of it, and what comes again under the same ref takes its place.
  const vault = vaultOfNewProcess()
  await vault.put([payload(tenantId, 'new', 'new'), payload(tenantId, 'b', 'again')])
  await vault.put([payload(tenantId, 'k', 'labels anew', 'kept')])
  await vault.put([payload(tenantId, 'k', 'labels once more', 'kept')])
  const there = async () => {
    const contents = await vaultOfNewProcess().get(tenantId, all)
    return [...contents].map(([ref, content]) => [ref, textOf(content)]).sort()
  }
  const newer = [
    ['b', 'again'],
    ['k', 'labels anew'],
    ['new', 'new'],
  ]
  expect([await there(), await vault.has(tenantId, 'k'), await vault.has(tenantId, 'c')]).toEqual([newer, true, false])

  await expect(vaultKilledBefore(3).destroyTenant(erasure)).rejects.toThrow('killed')
  expect(await refsOf(tenantId)).toEqual(['b', 'e', 'f', 'g', 'k', 'new'])
  // What took the place of an old row is not counted.
  for (let n = 0; n < 2; n++) expect(await vault.destroyTenant(erasure)).toEqual({ keys: 3, payloads: 7 })
  expect([await refsOf(tenantId), await there()]).toEqual([['b', 'k', 'new'], newer])
  expect(await vault.destroyTenant(erasureOf(tenantId))).toEqual({ keys: 3, payloads: 3 })
  expect(await refsOf(tenantId)).toEqual([])
})

test('days that are let go are closed at once, and are found again until the last of their rows is deleted', async () => {
  const tenantId = newTenant()
  await vaultOfNewProcess().put([
    ...['a', 'b', 'c', 'd', 'e'].map((ref) => payload(tenantId, ref, `old ${ref}`)),
    payload(tenantId, 'k', 'labels', 'kept'),
  ])
  nowMs += 86_400_000
  try {
    const vault = vaultOfNewProcess()
    await vault.put([payload(tenantId, 'today', 'text')])
    const oldest = async () => (await vault.oldestDays(1_000, undefined)).find((one) => one.tenantId === tenantId)?.day
    await expect(vaultKilledBefore(3).destroyDayKeys(tenantId, '2026-03-11')).rejects.toThrow('killed')
    expect((await refsOf(tenantId)).length).toBe(5)
    expect(await keysOf(tenantId)).not.toContainEqual(expect.objectContaining({ name: '2026-03-10' }))
    expect((await vaultOfNewProcess().get(tenantId, ['a', 'b', 'c', 'd', 'e'])).size).toBe(0)
    expect(await oldest()).toBe('2026-03-10')
    expect(await vault.destroyDayKeys(tenantId, '2026-03-11')).toEqual({ keys: 0, payloads: 3 })
    expect([await oldest(), await refsOf(tenantId)]).toEqual(['2026-03-11', ['k', 'today']])
    expect((await vaultOfNewProcess().get(tenantId, ['k', 'today'])).size).toBe(2)
  } finally {
    nowMs -= 86_400_000
  }
})

test('a deletion that is asked to stop ends between two pieces', async () => {
  const tenantId = newTenant()
  await vaultOfNewProcess().put([payload(tenantId, 'a', 'text')])
  const stopped = AbortSignal.abort(new Error('stop'))
  await expect(vaultOfNewProcess().destroyTenant(erasureOf(tenantId), stopped)).rejects.toThrow('stop')
  await expect(vaultOfNewProcess().destroyDayKeys(tenantId, '2026-03-10', stopped)).rejects.toThrow('stop')
  expect([await keysOf(tenantId), await refsOf(tenantId)]).toEqual([[], ['a']])
})

test('the oldest days come page by page, of keys and of content, and not of tenants that have neither', async () => {
  const [first, second, third, fourth] = ['oldest-1', 'oldest-2', 'oldest-3', 'oldest-4'] as const
  const vault = vaultOfNewProcess()
  await vault.put([payload(first, 'o1', 'text'), payload(second, 'o2', 'labels', 'kept'), payload(third, 'o3', 'text')])
  await vault.seal([payload(fourth, 'o4', 'text')])
  await database.asService((tx) => tx.query('DELETE FROM vault_key WHERE tenant_id = $1', [third]))
  const day = '2026-03-10'
  expect(await vault.oldestDays(2, 'oldest-')).toEqual([
    { tenantId: first, day },
    { tenantId: third, day },
  ])
  expect((await vault.oldestDays(2, third))[0]).toEqual({ tenantId: fourth, day })
  expect(await vault.oldestDays(2, 'zzz')).toEqual([])
})

test('content of before rows said their key is read as before, and an erasure takes it and nothing that comes after', async () => {
  const old = await openEmbeddedDatabase()
  try {
    await migrate(old, vaultMigrations.slice(0, 2))
    const vaultOf = (deletedAtOnce: number) =>
      payloadVault({ database: old, masterKey: masterKeyFrom(secret), clock, random: systemRandom, deletedAtOnce })
    const vault = vaultOf(2)
    const columns = ['tenant_id', 'ref', 'class', 'day', 'version', 'sealed']
    const storeAsBefore = async (ref: string, payloadClass: PayloadClass) => {
      const [sealed] = await vault.seal([payload('harbor', ref, `old ${ref}`, payloadClass)])
      await old.asService((tx) =>
        tx.query(
          `INSERT INTO vault_payload (${columns.join(', ')}) VALUES ($1, $2, $3, $4, $5, $6)`,
          columns.map((name) => (name === 'sealed' ? Buffer.from(sealed?.row[name] as Uint8Array) : sealed?.row[name])),
        ),
      )
    }
    await storeAsBefore('a', 'day')
    await storeAsBefore('k', 'kept')
    await vault.seal([payload('other', 'x', 'text')]) // A key that came after theirs.
    await migrate(old, vaultMigrations)
    await storeAsBefore('b', 'day') // By a process of the old build that runs on.
    expect((await vault.get('harbor', ['a', 'b', 'k'])).size).toBe(3)
    expect([await vault.has('harbor', 'a'), await vault.has('harbor', 'b')]).toEqual([true, true])

    const stopped = AbortSignal.abort(new Error('stop'))
    const erasure = { tenantId: 'harbor', erasureId: 'first' }
    await expect(vault.destroyTenant(erasure, stopped)).rejects.toThrow('stop')
    await vault.put([payload('harbor', 'k', 'labels anew', 'kept'), payload('harbor', 'c', 'new')])
    expect([...(await vault.get('harbor', ['a', 'k', 'c'])).keys()].sort()).toEqual(['c', 'k'])
    expect(await vault.destroyTenant(erasure)).toEqual({ keys: 3, payloads: 2 })
    expect(textOf((await vaultOf(1).get('harbor', ['k'])).get('k'))).toBe('labels anew')
    const { rows } = await old.asService((tx) => tx.query('SELECT ref FROM vault_payload ORDER BY ref'))
    expect(rows).toEqual([{ ref: 'c' }, { ref: 'k' }])
  } finally {
    await old.close()
  }
})

test('content that is being stored when the keys go either goes with them or is refused; none stays that nobody can open', async () => {
  const tenantId = newTenant()
  const vaults = Array.from({ length: 4 }, () => vaultOfNewProcess())
  const refs: string[] = []
  for (let round = 0; round < 20; round++) {
    const puts = vaults.map((vault, v) => {
      refs.push(`${round}-${v}`)
      return vault.put([payload(tenantId, `${round}-${v}`, `text ${round} ${v}`)]).catch((error: { code?: string }) => {
        if (error.code !== 'VAULT_KEY_GONE') throw error
      })
    })
    await Promise.all([...puts, vaultOfNewProcess().destroyTenant(erasureOf(tenantId))])
    for (const reader of [...vaults, vaultOfNewProcess()]) {
      const there = await reader.get(tenantId, refs)
      const { rows } = await database.asService((tx) =>
        tx.query('SELECT ref FROM vault_payload WHERE tenant_id = $1', [tenantId]),
      )
      expect(there.size).toBe(rows.length)
      for (const [ref, content] of there) expect(textOf(content)).toBe(`text ${ref.replace('-', ' ')}`)
    }
  }
})
