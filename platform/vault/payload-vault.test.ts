import { createHmac, hkdfSync } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Clock, systemClock, systemRandom } from '../clock.ts'
import type { Database } from '../postgres/database.ts'
import type { EmbeddedDatabase } from '../postgres/embedded.ts'
import { openEmbeddedDatabase } from '../postgres/embedded.ts'
import { migrate } from '../postgres/migrate.ts'
import { cacheMs } from './key-chain.ts'
import { masterKeyFrom } from './master-key.ts'
import { payloadVault, type StoredPayloadVault, vaultMigrations } from './payload-vault.ts'
import type { PayloadClass } from './vault.ts'

let database: EmbeddedDatabase
const secret = systemRandom.bytes(32)
let nowMs = Date.parse('2026-03-10T12:00:00Z')
const clock: Clock = { ...systemClock, nowMs: () => nowMs }
let tenantsMade = 0

beforeAll(async () => {
  database = await openEmbeddedDatabase()
  await migrate(database, vaultMigrations)
}, 60_000)
afterAll(() => database.close())

/** A vault as another process would have it: same keys, nothing remembered. */
const vaultOfNewProcess = (master = secret): StoredPayloadVault =>
  payloadVault({ database, masterKey: masterKeyFrom(master), clock, random: systemRandom })
let erasuresMade = 0
/** Another one each time. */
const erasureOf = (tenantId: string) => ({ tenantId, erasureId: `erasure-${++erasuresMade}` })
const newTenant = (): string => `tenant-${++tenantsMade}`
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const textOf = (content: Uint8Array | undefined): string | undefined => content && new TextDecoder().decode(content)
const payload = (tenantId: string, ref: string, text: string, payloadClass: PayloadClass = 'day') => ({
  tenantId,
  ref,
  class: payloadClass,
  content: bytes(text),
})
const change = (set: string, where: string, values: readonly unknown[]) =>
  database.asService((tx) => tx.query(`UPDATE vault_payload SET ${set} WHERE ${where}`, values))

test('what is put comes back, in this process and in another', async () => {
  const tenantId = newTenant()
  const vault = vaultOfNewProcess()
  const receipts = await vault.put([
    payload(tenantId, 'b', 'second'),
    payload(tenantId, 'a', 'first'),
    payload(tenantId, 'k', 'labels', 'kept'),
  ])
  expect(receipts.map(({ ref, bytes }) => [ref, bytes])).toEqual([
    ['b', 6],
    ['a', 5],
    ['k', 6],
  ])
  for (const reader of [vault, vaultOfNewProcess()]) {
    const contents = await reader.get(tenantId, ['a', 'b', 'k', 'never'])
    expect([...contents.keys()].sort()).toEqual(['a', 'b', 'k'])
    expect(textOf(contents.get('a'))).toBe('first')
    expect(textOf(contents.get('b'))).toBe('second')
    expect(textOf(contents.get('k'))).toBe('labels')
  }
})

test('the MAC is what anybody computes who has the key: HMAC of ref and content under a key derived from it', async () => {
  const keyBytes = new Uint8Array(32).fill(7)
  const random = { fraction: () => 0.5, bytes: (size: number) => new Uint8Array(size).fill(7) }
  const vault = payloadVault({ database, masterKey: masterKeyFrom(secret), clock, random })
  const [sealed] = await vault.seal([payload(newTenant(), 'a', 'content')])
  const withLength = (text: string) => Buffer.concat([Buffer.from([0, 0, 0, text.length]), Buffer.from(text)])
  const purpose = Buffer.concat(['pf3-payload-mac', '2'].map(withLength))
  const macKey = hkdfSync('sha256', keyBytes, new Uint8Array(), purpose, 32)
  const mac = createHmac('sha256', Buffer.from(macKey)).update(withLength('a')).update('content').digest('hex')
  expect(sealed?.receipt.mac).toBe(mac)
})

test('empty and large content', async () => {
  const tenantId = newTenant()
  const vault = vaultOfNewProcess()
  const large = systemRandom.bytes(300_000)
  await vault.put([payload(tenantId, 'empty', ''), { tenantId, ref: 'large', class: 'day', content: large }])
  const contents = await vault.get(tenantId, ['empty', 'large'])
  expect(contents.get('empty')).toHaveLength(0)
  expect(Buffer.from(contents.get('large') ?? []).equals(large)).toBe(true)
})

test('a batch over more rows than one INSERT takes', async () => {
  const tenantId = newTenant()
  const vault = vaultOfNewProcess()
  await vault.put(Array.from({ length: 2_345 }, (_, i) => payload(tenantId, `ref-${i}`, `content ${i}`)))
  const contents = await vault.get(tenantId, ['ref-0', 'ref-999', 'ref-1000', 'ref-2344'])
  expect(textOf(contents.get('ref-2344'))).toBe('content 2344')
  expect(contents.size).toBe(4)
})

test('a ref that is already there is left as it is', async () => {
  const tenantId = newTenant()
  const vault = vaultOfNewProcess()
  await vault.put([payload(tenantId, 'r', 'first')])
  await vault.put([payload(tenantId, 'r', 'second')])
  expect(textOf((await vault.get(tenantId, ['r'])).get('r'))).toBe('first')
})

test('a transaction that rolls back stores nothing', async () => {
  const tenantId = newTenant()
  const vault = vaultOfNewProcess()
  const sealed = await vault.seal([payload(tenantId, 'r', 'text')])
  await expect(
    database.asService(async (tx) => {
      await vault.store(tx, sealed)
      throw new Error('no')
    }),
  ).rejects.toThrow('no')
  expect((await vault.get(tenantId, ['r'])).size).toBe(0)
  await database.asService((tx) => vault.store(tx, sealed))
  expect(textOf((await vault.get(tenantId, ['r'])).get('r'))).toBe('text')
})

test('nothing readable is in the database', async () => {
  const tenantId = newTenant()
  await vaultOfNewProcess().put([payload(tenantId, 'r', 'a very telling sentence')])
  const { rows } = await database.asService((tx) =>
    tx.query<{ row: string }>(
      `SELECT p::text AS row FROM vault_payload p WHERE tenant_id = $1 UNION ALL SELECT k::text FROM vault_key k WHERE tenant_id = $1`,
      [tenantId],
    ),
  )
  const hex = Buffer.from('telling').toString('hex')
  expect(rows).toHaveLength(3) // The payload, the tenant's key, the day's key.
  for (const { row } of rows) expect(row.includes('telling') || row.includes(hex)).toBe(false)
})

test('equal content of one tenant shows neither in the ciphertext nor in the MAC, and the MAC depends on content and ref', async () => {
  const tenantId = newTenant()
  const vault = vaultOfNewProcess()
  const [a, b, c] = await vault.seal([
    payload(tenantId, 'a', 'same'),
    payload(tenantId, 'b', 'same'),
    payload(tenantId, 'a', 'other'),
  ])
  const [again] = await vaultOfNewProcess().seal([payload(tenantId, 'a', 'same')])
  expect(new Set([a?.receipt.mac, b?.receipt.mac, c?.receipt.mac]).size).toBe(3)
  expect(again?.receipt.mac).toBe(a?.receipt.mac) // Whoever has the key can prove the content.
  expect(a?.receipt.mac).toMatch(/^[0-9a-f]{64}$/)
  expect(again?.row['sealed']).not.toEqual(a?.row['sealed'])
})

test.each([
  ['a bit of the nonce', 'sealed = set_byte(sealed, 0, get_byte(sealed, 0) # 1)'],
  ['a bit of the ciphertext', 'sealed = set_byte(sealed, 12, get_byte(sealed, 12) # 1)'],
  ['a bit of the tag', 'sealed = set_byte(sealed, length(sealed) - 1, get_byte(sealed, length(sealed) - 1) # 1)'],
  ['a shortened tag', 'sealed = substr(sealed, 1, length(sealed) - 4)'],
  ['nothing left', `sealed = ''`],
  ['the version', 'version = 2'],
  ['the ref', `ref = 'r2'`],
])('tampering is found: %s', async (_, set) => {
  const tenantId = newTenant()
  const vault = vaultOfNewProcess()
  await vault.put([payload(tenantId, 'r', 'text')])
  expect((await change(set, 'tenant_id = $1', [tenantId])).rowCount).toBe(1)
  await expect(vault.get(tenantId, ['r', 'r2'])).rejects.toMatchObject({ code: 'VAULT_DAMAGED', facts: { tenantId } })
})

test('a row sealed for another day, class, ref or tenant does not open', async () => {
  const [one, two] = [newTenant(), newTenant()]
  const vault = vaultOfNewProcess()
  await vault.put([payload(one, 'x1', 'text'), payload(two, 'x2', 'text'), payload(one, 'k', 'labels', 'kept')])
  nowMs += 86_400_000
  await vault.put([payload(one, 'y', 'next day')])
  nowMs -= 86_400_000

  const swap = async (set: string, ref: string) => {
    await database.asService(
      async (tx) => void (await tx.query(`UPDATE vault_payload SET ${set} WHERE ref = $1`, [ref])),
    )
  }
  await swap(`day = '2026-03-11'`, 'x1') // A day whose key exists, and came after what sealed the row.
  await expect(vault.get(one, ['x1'])).resolves.toEqual(new Map())
  await swap('key_serial = NULL', 'x1')
  await expect(vault.get(one, ['x1'])).rejects.toMatchObject({ code: 'VAULT_DAMAGED' })
  await swap(`day = '2026-03-10', class = 'kept'`, 'x1')
  await expect(vault.get(one, ['x1'])).resolves.toEqual(new Map()) // No such key was ever made.
  await swap(`day = '', class = 'kept'`, 'x1')
  await expect(vault.get(one, ['x1'])).rejects.toMatchObject({ code: 'VAULT_DAMAGED' })
  await swap(`tenant_id = '${one}'`, 'x2')
  await expect(vault.get(one, ['x2'])).rejects.toMatchObject({ code: 'VAULT_DAMAGED' })
  expect(textOf((await vault.get(one, ['y'])).get('y'))).toBe('next day')
})

test('a key put in the place of another is found', async () => {
  const [one, two] = [newTenant(), newTenant()]
  await vaultOfNewProcess().put([payload(one, 'p1', 'text'), payload(two, 'p2', 'text')])
  const swap = (kind: string) =>
    database.asService((tx) =>
      tx.query(
        'UPDATE vault_key k SET wrapped = o.wrapped FROM vault_key o WHERE k.tenant_id = $1 AND o.tenant_id = $2 AND k.kind = $3 AND o.kind = $3',
        [one, two, kind],
      ),
    )
  await swap('day')
  await expect(vaultOfNewProcess().get(one, ['p1'])).rejects.toMatchObject({
    code: 'VAULT_DAMAGED',
    facts: { key: 'day' },
  })
  await swap('tenant')
  await expect(vaultOfNewProcess().get(one, ['p1'])).rejects.toMatchObject({
    code: 'VAULT_DAMAGED',
    facts: { key: 'tenant' },
  })
})

test('another master key opens nothing, and says which one it would need', async () => {
  const tenantId = newTenant()
  await vaultOfNewProcess().put([payload(tenantId, 'r', 'text')])
  const stranger = vaultOfNewProcess(systemRandom.bytes(32))
  await expect(stranger.get(tenantId, ['r'])).rejects.toMatchObject({ code: 'VAULT_DAMAGED' })
  await expect(stranger.get(tenantId, ['r'])).rejects.toThrow(masterKeyFrom(secret).id)
})

test('a tenant gets neither the content of another nor any key', async () => {
  const [one, two] = [newTenant(), newTenant()]
  const vault = vaultOfNewProcess()
  await vault.put([payload(one, 'mine', 'text')])
  expect((await vault.get(two, ['mine'])).size).toBe(0)
  await expect(database.asTenant(one, (tx) => tx.query('SELECT * FROM vault_key'))).rejects.toThrow(/permission denied/)
  await expect(database.asTenant(one, (tx) => tx.query('DELETE FROM vault_payload'))).rejects.toThrow(
    /permission denied/,
  )
})

test('content of several tenants at once', async () => {
  const [one, two] = [newTenant(), newTenant()]
  const vault = vaultOfNewProcess()
  await vault.put([payload(one, 'm1', 'of one'), payload(two, 'm2', 'of two')])
  const contents = await vault.getMany([
    { tenantId: one, ref: 'm1' },
    { tenantId: two, ref: 'm2' },
    { tenantId: two, ref: 'm3' },
    { tenantId: one, ref: 'm1' },
  ])
  expect([...contents].map(([ref, content]) => [ref, textOf(content)]).sort()).toEqual([
    ['m1', 'of one'],
    ['m2', 'of two'],
  ])
  await expect(
    vault.getMany([
      { tenantId: one, ref: 'm1' },
      { tenantId: two, ref: 'm1' },
    ]),
  ).rejects.toMatchObject({ code: 'INTERNAL' })
})

test('destroying day keys makes their content missing everywhere, and leaves later days and kept content alone', async () => {
  const tenantId = newTenant()
  const vault = vaultOfNewProcess()
  const other = vaultOfNewProcess()
  await vault.put([payload(tenantId, 'day-1', 'one'), payload(tenantId, 'kept', 'labels', 'kept')])
  nowMs += 86_400_000
  await vault.put([payload(tenantId, 'day-2', 'two')])
  await other.get(tenantId, ['day-1', 'day-2']) // Remembers both keys.
  const { rows: backup } = await database.asService((tx) =>
    tx.query('SELECT * FROM vault_payload WHERE tenant_id = $1', [tenantId]),
  )

  expect(await vault.destroyDayKeys(tenantId, '2026-03-11')).toEqual({ keys: 1, payloads: 1 })
  expect(await vault.destroyDayKeys(tenantId, '2026-03-11')).toEqual({ keys: 0, payloads: 0 })
  for (const reader of [vault, other, vaultOfNewProcess()]) {
    expect([...(await reader.get(tenantId, ['day-1', 'day-2', 'kept'])).keys()].sort()).toEqual(['day-2', 'kept'])
  }

  // A backup of the content, brought back without its key, stays closed.
  const old = backup.find((row) => row['ref'] === 'day-1')
  await database.asService((tx) =>
    tx.query(
      'INSERT INTO vault_payload (tenant_id, ref, class, day, version, sealed) VALUES ($1, $2, $3, $4, $5, $6)',
      [tenantId, old?.['ref'], old?.['class'], old?.['day'], old?.['version'], old?.['sealed']],
    ),
  )
  expect((await vault.get(tenantId, ['day-1'])).size).toBe(0)
  nowMs -= 86_400_000
})

test('today and days to come cannot be destroyed', async () => {
  const vault = vaultOfNewProcess()
  await expect(vault.destroyDayKeys('any', '2026-03-11')).rejects.toMatchObject({ code: 'REQUEST_INVALID' })
  await expect(vault.destroyDayKeys('any', '3/11/2026')).rejects.toMatchObject({ code: 'REQUEST_INVALID' })
  expect(await vault.destroyDayKeys('any', '2026-03-10')).toEqual({ keys: 0, payloads: 0 })
})

test('kept content is deleted one by one', async () => {
  const tenantId = newTenant()
  const vault = vaultOfNewProcess()
  await vault.put([
    payload(tenantId, 'k1', 'labels', 'kept'),
    payload(tenantId, 'k2', 'labels', 'kept'),
    payload(tenantId, 'd', 'text'),
  ])
  expect([await vault.has(tenantId, 'k1'), await vault.has('other', 'k1')]).toEqual([true, false])
  expect(await vault.deleteKept(tenantId, 'k1')).toBe(true)
  expect(await vault.has(tenantId, 'k1')).toBe(false)
  expect(await vault.deleteKept(tenantId, 'k1')).toBe(false)
  expect(await vault.deleteKept(tenantId, 'd')).toBe(false)
  expect([...(await vault.get(tenantId, ['k1', 'k2', 'd'])).keys()].sort()).toEqual(['d', 'k2'])
  await vault.put([payload(tenantId, 'k1', 'new labels', 'kept')])
  expect(textOf((await vaultOfNewProcess().get(tenantId, ['k1'])).get('k1'))).toBe('new labels')
})

test('of many first users at once, in several processes, all seal under the one key that is kept', async () => {
  const tenantId = newTenant()
  const vaults = Array.from({ length: 8 }, () => vaultOfNewProcess())
  await Promise.all(
    vaults.flatMap((vault, v) => [0, 1, 2].map((n) => vault.put([payload(tenantId, `${v}-${n}`, `text ${v} ${n}`)]))),
  )
  const refs = vaults.flatMap((_, v) => [0, 1, 2].map((n) => `${v}-${n}`))
  const contents = await vaultOfNewProcess().get(tenantId, refs)
  expect(refs.map((ref) => textOf(contents.get(ref)))).toEqual(
    vaults.flatMap((_, v) => [0, 1, 2].map((n) => `text ${v} ${n}`)),
  )
  const { rows } = await database.asService((tx) =>
    tx.query('SELECT kind FROM vault_key WHERE tenant_id = $1 ORDER BY kind', [tenantId]),
  )
  expect(rows).toEqual([{ kind: 'day' }, { kind: 'tenant' }])
})

test('a remembered key costs no round trip until it is forgotten', async () => {
  const tenantId = newTenant()
  let transactions = 0
  const counting = {
    ...database,
    asService: <T>(run: Parameters<typeof database.asService<T>>[0]) => {
      transactions++
      return database.asService(run)
    },
  }
  const vault = payloadVault({ database: counting, masterKey: masterKeyFrom(secret), clock, random: systemRandom })
  await vault.seal([payload(tenantId, 'a', 'text')])
  expect(transactions).toBe(3) // What is there, the tenant's key, the day's key.
  await vault.seal([payload(tenantId, 'b', 'text')])
  expect(transactions).toBe(3)
  nowMs += cacheMs + 1
  await vault.seal([payload(tenantId, 'c', 'text')])
  expect(transactions).toBe(4)
  nowMs -= cacheMs + 1
})

/** A vault of a process that is held up before each of its transactions. */
const vaultHeldUp = (before: (transaction: number) => Promise<unknown>): StoredPayloadVault => {
  let transactions = 0
  const slow: Database = {
    ...database,
    async asService(run, options) {
      await before(++transactions)
      return database.asService(run, options)
    },
  }
  return payloadVault({ database: slow, masterKey: masterKeyFrom(secret), clock, random: systemRandom })
}
const keysOf = async (tenantId: string) => {
  const { rows } = await database.asService((tx) =>
    tx.query('SELECT kind, name FROM vault_key WHERE tenant_id = $1 ORDER BY kind, name', [tenantId]),
  )
  return rows
}

test.each([
  ['has read', 2],
  ['has made', 3],
])('no key is made below one that an erasure destroys after its process %s it', async (_, held) => {
  const [tenantId, neighbour] = [newTenant(), newTenant()]
  if (held === 2) await vaultOfNewProcess().put([payload(tenantId, 'kept', 'labels', 'kept')])
  const late = vaultHeldUp(async (transaction) => {
    if (transaction === held) await vaultOfNewProcess().destroyTenant(erasureOf(tenantId))
  })
  await late.put([payload(tenantId, 'a', 'mine'), payload(neighbour, 'n', 'theirs')])
  for (const reader of [late, vaultOfNewProcess()]) {
    expect(textOf((await reader.get(tenantId, ['a'])).get('a'))).toBe('mine')
    expect(textOf((await reader.get(neighbour, ['n'])).get('n'))).toBe('theirs')
  }
  expect(await keysOf(tenantId)).toEqual([
    { kind: 'day', name: '2026-03-10' },
    { kind: 'tenant', name: '' },
  ])
})

test('a tenant that is erased time and again is told to come again, and has no key', async () => {
  const tenantId = newTenant()
  const vault = vaultHeldUp(() => vaultOfNewProcess().destroyTenant(erasureOf(tenantId)))
  await expect(vault.seal([payload(tenantId, 'a', 'text')])).rejects.toMatchObject({
    code: 'VAULT_KEY_GONE',
    facts: { tenants: tenantId },
  })
  expect(await keysOf(tenantId)).not.toContainEqual(expect.objectContaining({ kind: 'day' }))
})

test('a day key whose tenant key is gone is as destroyed, and what was sealed under it is missing; both make room for new ones', async () => {
  const [tenantId, neighbour] = [newTenant(), newTenant()]
  await vaultOfNewProcess().put([payload(tenantId, 'old', 'text'), payload(neighbour, 'n', 'theirs')])
  await database.asService((tx) =>
    tx.query("DELETE FROM vault_key WHERE tenant_id = $1 AND kind = 'tenant'", [tenantId]),
  )
  const all = [
    { tenantId, ref: 'old' },
    { tenantId, ref: 'new' },
    { tenantId: neighbour, ref: 'n' },
  ]
  expect([...(await vaultOfNewProcess().getMany(all)).keys()]).toEqual(['n'])
  await vaultOfNewProcess().put([payload(tenantId, 'new', 'mine')])
  expect([...(await vaultOfNewProcess().getMany(all)).keys()].sort()).toEqual(['n', 'new'])
  await vaultOfNewProcess().put([payload(tenantId, 'old', 'again')])
  expect(textOf((await vaultOfNewProcess().get(tenantId, ['old'])).get('old'))).toBe('again')
})

test('midnight in UTC begins another key', async () => {
  const tenantId = newTenant()
  const vault = vaultOfNewProcess()
  const before = nowMs
  nowMs = Date.parse('2026-03-10T23:59:59.999Z')
  await vault.put([payload(tenantId, 'late', 'text')])
  nowMs += 1
  await vault.put([payload(tenantId, 'early', 'text')])
  nowMs = before
  const { rows } = await database.asService((tx) =>
    tx.query('SELECT ref, day FROM vault_payload WHERE tenant_id = $1 ORDER BY ref', [tenantId]),
  )
  expect(rows).toEqual([
    { ref: 'early', day: '2026-03-11' },
    { ref: 'late', day: '2026-03-10' },
  ])
})

test('a tenant whose keys are destroyed has no content any more, of whatever age and kind, and can have new content at once', async () => {
  const tenantId = newTenant()
  const neighbour = newTenant()
  const vault = vaultOfNewProcess()
  const other = vaultOfNewProcess()
  await vault.put([
    payload(tenantId, 'today', 'a'),
    payload(tenantId, 'kept', 'b', 'kept'),
    payload(neighbour, 'n', 'c'),
  ])
  expect((await other.get(tenantId, ['today', 'kept'])).size).toBe(2) // It remembers the keys now.
  const { rows: backup } = await database.asService((tx) =>
    tx.query<Record<string, unknown>>('SELECT * FROM vault_payload WHERE tenant_id = $1', [tenantId]),
  )
  expect(await vault.destroyTenant(erasureOf(tenantId))).toEqual({ keys: 3, payloads: 2 })
  expect(await vault.destroyTenant(erasureOf(tenantId))).toEqual({ keys: 0, payloads: 0 })
  await vault.put([payload(tenantId, 'new', 'd')])
  for (const reader of [vault, other, vaultOfNewProcess()]) {
    expect([...(await reader.get(tenantId, ['today', 'kept', 'new'])).keys()]).toEqual(['new'])
    expect(textOf((await reader.get(neighbour, ['n'])).get('n'))).toBe('c')
  }
  // A backup of the old content is closed for ever: its key is gone, and the new one of that day is another.
  for (const row of backup)
    await database.asService((tx) =>
      tx.query(
        'INSERT INTO vault_payload (tenant_id, ref, class, day, version, sealed) VALUES ($1, $2, $3, $4, $5, $6)',
        [row['tenant_id'], row['ref'], row['class'], row['day'], row['version'], row['sealed']],
      ),
    )
  await expect(vaultOfNewProcess().get(tenantId, ['today'])).rejects.toMatchObject({ code: 'VAULT_DAMAGED' })
  expect((await vaultOfNewProcess().get(tenantId, ['kept'])).size).toBe(0)
})

test('what is sealed under a key that another process destroyed is not stored, and is sealed anew when it is tried again', async () => {
  const tenantId = newTenant()
  const vault = vaultOfNewProcess()
  await vault.put([payload(tenantId, 'first', 'a')])
  const late = await vault.seal([payload(tenantId, 'late', 'b')])
  await vaultOfNewProcess().destroyTenant(erasureOf(tenantId))
  await expect(database.asService((tx) => vault.store(tx, late))).rejects.toMatchObject({ code: 'VAULT_KEY_GONE' })
  await vault.put([payload(tenantId, 'late', 'b')])
  expect(textOf((await vaultOfNewProcess().get(tenantId, ['late'])).get('late'))).toBe('b')
})

test('content that is stored twice in one go is stored once, the first', async () => {
  const tenantId = newTenant()
  const vault = vaultOfNewProcess()
  await vault.put([payload(tenantId, 'b', 'b'), payload(tenantId, 'a', 'first'), payload(tenantId, 'a', 'second')])
  expect(textOf((await vault.get(tenantId, ['a'])).get('a'))).toBe('first')
})
