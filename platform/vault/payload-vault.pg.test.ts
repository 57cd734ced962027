import { expect, test } from 'vitest'
import { freshDatabase } from '../../tests/postgres/fresh-database.ts'
import { systemClock, systemRandom } from '../clock.ts'
import type { Database } from '../postgres/database.ts'
import { migrate } from '../postgres/migrate.ts'
import { openPostgres } from '../postgres/postgres.ts'
import { masterKeyFrom } from './master-key.ts'
import { payloadVault, vaultMigrations } from './payload-vault.ts'

test('of many first users at once, on connections of their own, all seal under the one key that is kept', async () => {
  const fresh = await freshDatabase()
  const secret = systemRandom.bytes(32)
  const databases = await Promise.all(Array.from({ length: 6 }, () => openPostgres({ url: fresh.url, poolMax: 3 })))
  const [first] = databases
  if (!first) throw new Error('no database')
  await migrate(first, vaultMigrations)
  const vaultOn = (database: typeof first) =>
    payloadVault({ database, masterKey: masterKeyFrom(secret), clock: systemClock, random: systemRandom })

  const tenants = Array.from({ length: 20 }, (_, n) => `tenant-${n}`)
  for (const tenantId of tenants) {
    await Promise.all(
      databases.map((database, n) =>
        vaultOn(database).put([
          { tenantId, ref: `day-${n}`, class: 'day', content: Buffer.from(`text ${n}`) },
          { tenantId, ref: `kept-${n}`, class: 'kept', content: Buffer.from(`labels ${n}`) },
        ]),
      ),
    )
  }
  for (const tenantId of tenants) {
    const refs = databases.flatMap((_, n) => [`day-${n}`, `kept-${n}`])
    const contents = await vaultOn(first).get(tenantId, refs)
    expect(refs.map((ref) => Buffer.from(contents.get(ref) ?? []).toString())).toEqual(
      databases.flatMap((_, n) => [`text ${n}`, `labels ${n}`]),
    )
  }
  const { rows } = await first.asService((tx) => tx.query<{ n: bigint }>('SELECT count(*) AS n FROM vault_key'))
  expect(rows).toEqual([{ n: 60n }])
  await Promise.all(databases.map((database) => database.close()))
  await fresh.drop()
})

test('an erasure waits for a key that is being made below the one it destroys, and destroys it, too', async () => {
  const fresh = await freshDatabase()
  const secret = systemRandom.bytes(32)
  const [database, erasers] = [await openPostgres({ url: fresh.url }), await openPostgres({ url: fresh.url })]
  await migrate(database, vaultMigrations)
  const vaultOn = (on: Database) =>
    payloadVault({ database: on, masterKey: masterKeyFrom(secret), clock: systemClock, random: systemRandom })
  const isWaiting = async () =>
    (await erasers.asOwner((tx) => tx.query('SELECT 1 AS x FROM pg_locks WHERE NOT granted'))).rowCount > 0
  let transactions = 0
  let erasing: Promise<unknown> = Promise.resolve()
  /** Erases the tenant after the day key was made and before that is committed. */
  const slow: Database = {
    ...database,
    asService: (run, options) =>
      database.asService(async (tx) => {
        const result = await run(tx)
        if (++transactions === 3) {
          erasing = vaultOn(erasers).destroyTenant({ tenantId: 'tenant', erasureId: 'erasure' })
          await expect.poll(isWaiting).toBe(true)
        }
        return result
      }, options),
  }
  await vaultOn(slow).seal([{ tenantId: 'tenant', ref: 'a', class: 'day', content: Buffer.from('text') }])
  await erasing
  const { rows } = await database.asService((tx) => tx.query('SELECT kind FROM vault_key'))
  expect(rows).toEqual([])
  await Promise.all([database.close(), erasers.close()])
  await fresh.drop()
})

test('what is stored while two erase piece by piece is there afterwards, and nothing else is', async () => {
  const fresh = await freshDatabase()
  const secret = systemRandom.bytes(32)
  const databases = await Promise.all(Array.from({ length: 4 }, () => openPostgres({ url: fresh.url, poolMax: 2 })))
  const [first, ...others] = databases
  if (!first) throw new Error('no database')
  await migrate(first, vaultMigrations)
  const tenantId = 'tenant'
  const vaultOn = (database: Database) =>
    payloadVault({
      database,
      masterKey: masterKeyFrom(secret),
      clock: systemClock,
      random: systemRandom,
      deletedAtOnce: 20,
    })
  const refs = Array.from({ length: 2_000 }, (_, n) => `ref-${String(n).padStart(5, '0')}`)
  const payloadsOf = (some: readonly string[], text: string) =>
    some.map((ref) => ({ tenantId, ref, class: 'day' as const, content: Buffer.from(`${text} ${ref}`) }))
  await vaultOn(first).put(payloadsOf(refs, 'old'))
  const stopped = AbortSignal.abort(new Error('stop'))
  const erasure = { tenantId, erasureId: 'erasure' }
  await expect(vaultOn(first).destroyTenant(erasure, stopped)).rejects.toThrow('stop')

  // The same refs again, in another order each, where the two are about to delete them, and new ones beside them.
  const stored: string[] = []
  let isOver = false
  const storing = others.slice(0, 2).map(async (database, at) => {
    const vault = vaultOn(database)
    for (let n = 0; !isOver; n = (n + 7) % 190) {
      const again = refs.slice(n * 10, n * 10 + 10)
      const some = [...(at === 0 ? again : again.reverse()), `new-${at}-${stored.length}`]
      await vault.put(payloadsOf(some, 'new'))
      stored.push(...some)
    }
  })
  const erased = await Promise.all(
    [first, others[2] ?? first].map((database) => vaultOn(database).destroyTenant(erasure)),
  )
  isOver = true
  await Promise.all(storing)
  const wanted = [...new Set(stored)].sort()
  expect(wanted.length).toBeGreaterThan(10)
  const contents = await vaultOn(first).get(tenantId, [...refs, ...wanted])
  expect([...contents.keys()].sort()).toEqual(wanted)
  for (const [ref, content] of contents) expect(Buffer.from(content).toString()).toBe(`new ${ref}`)
  const { rows } = await first.asService((tx) => tx.query('SELECT ref FROM vault_payload ORDER BY ref COLLATE "C"'))
  expect(rows).toEqual(wanted.map((ref) => ({ ref })))
  for (const { keys, payloads } of erased) expect([keys, payloads > 0 && payloads <= refs.length]).toEqual([2, true])
  await Promise.all(databases.map((database) => database.close()))
  await fresh.drop()
})
