/**
 * Ten thousand transactions of many tenants over few connections, with all that can go wrong in one: no row of another
 * tenant is seen or written, and nothing of a tenant stays behind on a connection. Run on both databases.
 */
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { isFailure } from '../../platform/errors.ts'
import type { Database, Tx } from '../../platform/postgres/database.ts'
import { isolationSql } from '../../platform/postgres/isolation.ts'

export type Pooled = {
  /** Several clients of one database, as several processes have them. */
  clients: readonly Database[]
  /** A connection without PF-3's pool, to be cut in the middle. */
  raw: pg.ClientConfig
  /** Whether a statement that runs too long can be cancelled by the server. */
  canCancel: boolean
  /** Transactions open at once over all clients. */
  connectionsMax: number
  close(): Promise<void>
}

const transactions = 10_000
const tenantCount = 40
const atOnce = 64
const tenantOf = (n: number): string => `tenant-${n % tenantCount}`

class Deliberate extends Error {}

export function pooledContract(name: string, open: () => Promise<Pooled>): void {
  describe(name, () => {
    let pooled: Pooled
    beforeAll(async () => {
      pooled = await open()
      await pooled.clients[0]?.asOwner((tx) =>
        tx.query(`CREATE TABLE pooled (tenant_id text NOT NULL, n int NOT NULL, note text, PRIMARY KEY (tenant_id, n));
          ${isolationSql('pooled')}`),
      )
    })
    afterAll(() => pooled.close())

    test(`${transactions} interleaved transactions with errors, rollbacks and cuts leave 0 foreign rows`, async () => {
      const kept = new Map<string, Set<number>>()
      const turns = new Map<string, Promise<unknown>>()
      const ends: Record<string, number> = {}
      const foreignSeen: string[] = []
      let next = 0
      const worker = async () => {
        for (let n = next++; n < transactions; n = next++) {
          // One after the other within a tenant, so that what must be left at the end is known.
          const turn = (turns.get(tenantOf(n)) ?? Promise.resolve()).then(() => one(pooled, n, foreignSeen))
          turns.set(tenantOf(n), turn)
          const end = await turn
          ends[end] = (ends[end] ?? 0) + 1
          if (end === 'kept') kept.set(tenantOf(n), (kept.get(tenantOf(n)) ?? new Set()).add(n))
          if (end === 'emptied') kept.set(tenantOf(n), new Set([n]))
        }
      }
      await Promise.all(Array.from({ length: atOnce }, worker))
      expect(foreignSeen).toEqual([])
      expect(Object.values(ends).reduce((sum, count) => sum + count, 0)).toBe(transactions)
      // Every way to end was taken often.
      expect(Object.keys(ends).sort()).toEqual([...new Set([...ways(pooled).map(([end]) => end)])].sort())
      expect(Math.min(...Object.values(ends))).toBeGreaterThan(transactions / 200)

      const { rows } = await (pooled.clients[0] as Database).asService((tx) =>
        tx.query<{ tenant_id: string; n: number; note: string }>('SELECT * FROM pooled'),
      )
      // Each row says in its note whose it is: one that had been written for, or moved to, another tenant would not match.
      expect(rows.filter((row) => row.note !== row.tenant_id || tenantOf(row.n) !== row.tenant_id)).toEqual([])
      expect(rows.map((row) => row.n).sort((a, b) => a - b)).toEqual(
        [...kept.values()].flatMap((ns) => [...ns]).sort((a, b) => a - b),
      )
    })

    test('afterwards no connection holds a tenant, a role or an open transaction', async () => {
      const left: unknown[] = []
      for (const client of pooled.clients) {
        // Held open together, so that each is another connection of the pool.
        const perClient = Math.floor(pooled.connectionsMax / pooled.clients.length)
        let arrived = 0
        let letGo = () => {}
        const allAreIn = new Promise<void>((resolve) => (letGo = resolve))
        await Promise.all(
          Array.from({ length: perClient }, () =>
            client.asOwner(async (tx) => {
              left.push(...(await standing(tx)))
              arrived += 1
              if (arrived === perClient) letGo()
              await allAreIn
            }),
          ),
        )
      }
      expect(left).toHaveLength(pooled.connectionsMax)
      expect(new Set(left.map((one) => JSON.stringify(one)))).toEqual(
        new Set([JSON.stringify({ tenant: '', is_own_role: true })]),
      )
    })
  })
}

const standing = async (tx: Tx) =>
  (
    await tx.query(
      `SELECT coalesce(current_setting('pf3.tenant', true), '') AS tenant, current_user = session_user AS is_own_role`,
    )
  ).rows

type Way = readonly [end: string, share: number, run: (tx: Tx, tenantId: string, n: number) => Promise<unknown>]

const insert = (tx: Tx, tenantId: string, n: number) =>
  tx.query('INSERT INTO pooled VALUES ($1, $2, $1)', [tenantId, n])
const stop = () => {
  throw new Deliberate()
}

/** What a transaction does after it has looked around, how often of a hundred, and how it then ends. */
const ways = ({ canCancel }: Pick<Pooled, 'canCancel'>): Way[] => [
  ['kept', 40, insert],
  [
    'kept',
    8,
    async (tx, tenantId, n) => {
      await insert(tx, tenantId, n)
      await tx.query('SAVEPOINT s')
      await tx.query('INSERT INTO pooled VALUES ($1, $2, $1)', [tenantOf(n + 1), n]).catch(() => undefined)
      await tx.query('ROLLBACK TO SAVEPOINT s')
    },
  ],
  [
    'kept',
    4,
    async (tx, tenantId, n) => {
      await tx.query('SAVEPOINT s')
      await tx.query('SELECT 1 / 0').catch(() => undefined)
      await tx.query('ROLLBACK TO SAVEPOINT s; RELEASE SAVEPOINT s')
      await insert(tx, tenantId, n)
    },
  ],
  ['thrown', 12, async (tx, tenantId, n) => insert(tx, tenantId, n).then(stop)],
  ['failed', 10, async (tx, tenantId, n) => insert(tx, tenantId, n).then(() => tx.query('SELECT * FROM nowhere'))],
  ['refused', 10, (tx, _, n) => tx.query('INSERT INTO pooled VALUES ($1, $2, $1)', [tenantOf(n + 1), n])],
  [
    'refused',
    5,
    (tx, tenantId, n) =>
      insert(tx, tenantId, n).then(() => tx.query('UPDATE pooled SET tenant_id = $1', [tenantOf(n + 7)])),
  ],
  // Without a condition: only the policy keeps it to its own.
  ['emptied', 3, (tx, tenantId, n) => tx.query('DELETE FROM pooled').then(() => insert(tx, tenantId, n))],
  [
    'swallowed',
    4,
    (tx, tenantId, n) => insert(tx, tenantId, n).then(() => tx.query('SELECT nonsense').catch(() => undefined)),
  ],
  ...(canCancel
    ? [
        [
          'cancelled',
          2,
          async (tx: Tx, tenantId: string, n: number) => {
            await insert(tx, tenantId, n)
            await tx.query('SET LOCAL statement_timeout = 1')
            await tx.query('SELECT pg_sleep(1)')
          },
        ] as const,
      ]
    : []),
  ['cut', 2, async () => undefined],
]

/** Runs transaction `n` and answers how it ended. */
async function one(pooled: Pooled, n: number, foreignSeen: string[]): Promise<string> {
  const tenantId = tenantOf(n)
  const [end, , run] = wayOf(ways(pooled), n)
  if (end === 'cut') return cut(pooled.raw, tenantId, n)
  const client = pooled.clients[n % pooled.clients.length] as Database
  const look = async (tx: Tx) => {
    const { rows } = await tx.query<{ tenant: string; role: string; foreign: bigint }>(
      `SELECT current_setting('pf3.tenant') AS tenant, current_user::text AS role,
        (SELECT count(*) FROM pooled WHERE tenant_id <> $1) AS foreign`,
      [tenantId],
    )
    const [row] = rows
    if (row?.tenant !== tenantId || row.role !== 'pf3_tenant' || row.foreign !== 0n)
      foreignSeen.push(`${n} ${tenantId}: ${row?.tenant} ${row?.role} ${row?.foreign}`)
  }
  const failed = await client
    .asTenant(tenantId, async (tx) => {
      await look(tx)
      await run(tx, tenantId, n)
    })
    .then(
      () => undefined,
      (error: unknown) => error,
    )
  if (failed === undefined) return end
  return failed instanceof Deliberate ? 'thrown' : nameOf(failed)
}

function nameOf(error: unknown): string {
  const text = String(error)
  if (/row-level security/.test(text)) return 'refused'
  if (/nowhere/.test(text)) return 'failed'
  if (isFailure(error, 'READ_TOO_LARGE')) return 'cancelled'
  if (/INTERNAL/.test(text)) return 'swallowed'
  return text
}

/** A connection that vanishes in the middle of its transaction, with the tenant set. */
async function cut(connection: pg.ClientConfig, tenantId: string, n: number): Promise<string> {
  const client = new pg.Client(connection)
  client.on('error', () => undefined)
  await client.connect()
  await client.query(`BEGIN; SET LOCAL ROLE pf3_tenant; SET LOCAL pf3.tenant = '${tenantId}'`)
  await client.query('INSERT INTO pooled VALUES ($1, $2, $1)', [tenantId, n])
  await new Promise<void>((resolve) => {
    client.once('end', resolve)
    const socket: unknown = Reflect.get(Reflect.get(client, 'connection') as object, 'stream')
    ;(socket as { destroy(): void }).destroy()
  })
  return 'cut'
}

/** Spread evenly: which way a number takes follows from it alone, so a run can be repeated. */
function wayOf(all: readonly Way[], n: number): Way {
  const whole = all.reduce((sum, [, share]) => sum + share, 0)
  let at = ((n * 2_654_435_761) % 4_294_967_296) % whole
  for (const way of all) {
    at -= way[1]
    if (at < 0) return way
  }
  throw new Error('Shares do not add up.')
}
