/** What every database adapter must do; run by embedded.test.ts and postgres.pg.test.ts. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { bigintArray, booleanArray, intArray, textArray } from './arrays.ts'
import { byteaArray } from './bytea-array.ts'
import type { Database, Tx } from './database.ts'
import { isolationSql } from './isolation.ts'
import { migrate } from './migrate.ts'
import { refreshStatistics } from './statistics.ts'

export type OpenedForTest = {
  database: Database
  /** A second client of the same database, as another process would have it. */
  another: () => Promise<Database>
  close: () => Promise<void>
}

export function databaseContract(name: string, open: () => Promise<OpenedForTest>): void {
  describe(name, () => {
    let opened: OpenedForTest
    let database: Database

    beforeAll(async () => {
      opened = await open()
      database = opened.database
      await database.asOwner((tx) =>
        tx.query(`
          CREATE TABLE note (tenant_id text NOT NULL, id int NOT NULL, big bigint, exact numeric, raw bytea, PRIMARY KEY (tenant_id, id));
          ${isolationSql('note')}
          ${isolationSql('public.note')}
          INSERT INTO note VALUES ('a', 1), ('a', 2), ('b', 1);
        `),
      )
    }, 60_000)
    afterAll(() => opened.close())

    const idsAsTenant = (tenantId: string): Promise<number[]> =>
      database.asTenant(tenantId, async (tx) => {
        const { rows } = await tx.query<{ id: number }>('SELECT id FROM note ORDER BY id')
        return rows.map((row) => row.id)
      })

    test('once the statistics are refreshed, a row is found by its own index, whatever other one begins with the tenant', async () => {
      await database.asOwner((tx) =>
        tx.query(`
          CREATE TABLE grown (tenant_id text NOT NULL, id text NOT NULL, at bigint NOT NULL, PRIMARY KEY (tenant_id, id));
          CREATE INDEX grown_by_time ON grown (tenant_id, at, id);
          INSERT INTO grown SELECT 'a', md5(n::text), n FROM generate_series(1, 20000) n;`),
      )
      const known = () =>
        database.asOwner(async (tx) => {
          const { rows } = await tx.query<{ reltuples: number }>(
            "SELECT reltuples FROM pg_class WHERE relname = 'grown'",
          )
          return rows[0]?.reltuples
        })
      expect(await known()).toBe(-1)
      await refreshStatistics(database)
      expect(await known()).toBe(20_000)
      const plan = await database.asOwner((tx) =>
        tx.query<{ 'QUERY PLAN': string }>(
          `EXPLAIN SELECT g.at FROM jsonb_to_recordset('[]') AS k(tenant_id text, id text)
           JOIN grown g ON g.tenant_id = k.tenant_id AND g.id = k.id`,
        ),
      )
      expect(plan.rows.map((row) => row['QUERY PLAN']).join('\n')).toContain('grown_pkey')
      // One in ten of what the server would look at by itself: eleven bounds of ten parts.
      const { rows } = await database.asOwner((tx) =>
        tx.query<{ bounds: number }>(
          "SELECT cardinality(histogram_bounds::text::text[]) AS bounds FROM pg_stats WHERE tablename = 'grown' AND attname = 'at'",
        ),
      )
      expect(rows[0]?.bounds).toBe(11)
    })

    test('bytes go in as an array and come back as they were', async () => {
      const every = Uint8Array.from({ length: 256 }, (_, byte) => byte)
      const elements = [every, null, new Uint8Array(0), Uint8Array.of(0, 92, 120)]
      const { rows } = await database.asService((tx) =>
        tx.query<{ b: Uint8Array | null }>('SELECT b FROM unnest($1::bytea[]) WITH ORDINALITY AS u(b, n) ORDER BY n', [
          byteaArray(elements),
        ]),
      )
      expect(rows.map(({ b }) => b && Uint8Array.from(b))).toEqual(elements)
    })

    test('columns go in as arrays and come back as they were', async () => {
      const columns = {
        t: ['', null, 'plain', '€ and 𝄞', '{"a",b\\}', 'x'.repeat(70_000)],
        b: [0n, null, -1n, 2n ** 63n - 1n, -(2n ** 63n), 7n],
        i: [0, null, -1, 2 ** 31 - 1, -(2 ** 31), 7],
        o: [true, null, false, true, false, null],
      }
      const { rows } = await database.asService((tx) =>
        tx.query<{ t: string | null; b: bigint | null; i: number | null; o: boolean | null }>(
          `SELECT t, b, i, o FROM unnest($1::text[], $2::bigint[], $3::integer[], $4::boolean[])
             WITH ORDINALITY AS u(t, b, i, o, n) ORDER BY n`,
          [textArray(columns.t), bigintArray(columns.b), intArray(columns.i), booleanArray(columns.o)],
        ),
      )
      expect({
        t: rows.map(({ t }) => t),
        b: rows.map(({ b }) => b),
        i: rows.map(({ i }) => i),
        o: rows.map(({ o }) => o),
      }).toEqual(columns)
      expect(() => bigintArray([2n ** 63n])).toThrow(RangeError)
      expect(() => intArray([2 ** 31])).toThrow(RangeError)
    })

    test('a transaction that may be lost does not wait for the disk; the next one is as all others', async () => {
      const waits = async (tx: Tx) =>
        (await tx.query<{ waits: string }>("SELECT current_setting('synchronous_commit') AS waits")).rows[0]?.waits
      const others = await database.asService(waits)
      expect(await database.asService(waits, { isDurable: false })).toBe('off')
      expect(await database.asService(waits)).toBe(others)
      await database.asService((tx) => tx.query("INSERT INTO note VALUES ('lossy', 1)"), { isDurable: false })
      expect(await idsAsTenant('lossy')).toEqual([1])
    })

    test('the last statement is committed, or rolled back, with its transaction; nothing comes after it', async () => {
      const insert = "INSERT INTO note (tenant_id, id) VALUES ('last', $1)"
      await database.asService(async (tx) => {
        await tx.query(insert, [1])
        expect((await tx.last.query(insert, [2])).rowCount).toBe(1)
      })
      const failing = database.asService(async (tx) => {
        await tx.query(insert, [3])
        await tx.last.query(insert, [1])
      })
      await expect(failing).rejects.toThrow(/duplicate key/)
      // With all of it on its way, COMMIT too, before the first answer.
      const atOnce = database.asService((tx) =>
        Promise.all([tx.query(insert, [4]), tx.query(insert, [1]), tx.last.query(insert, [5])]),
      )
      await expect(atOnce).rejects.toThrow(/duplicate key/)
      const { rows } = await database.asService((tx) =>
        tx.last.query("SELECT id FROM note WHERE tenant_id = 'last' ORDER BY id"),
      )
      expect(rows).toEqual([{ id: 1 }, { id: 2 }])
    })

    test('statements that are asked for at once are done in order', async () => {
      const found = await database.asService((tx) =>
        Promise.all([1, 2, 3].map((n) => tx.query<{ n: number }>('SELECT $1::int AS n', [n]))),
      )
      expect(found.map(({ rows }) => rows[0]?.n)).toEqual([1, 2, 3])
    })

    test('other columns of a table under its statements cost nobody anything but one transaction that had begun, and that may be retried', async () => {
      const swap = (columns: string) =>
        database.asOwner((tx) =>
          tx.query(`DROP TABLE IF EXISTS swapped; CREATE TABLE swapped (tenant_id text NOT NULL${columns});
            ${isolationSql('swapped')} INSERT INTO swapped (tenant_id) VALUES ('a')`),
        )
      const select = (tx: Tx) => tx.query('SELECT * FROM swapped WHERE tenant_id = $1', ['a'])
      const columns = async (found: ReturnType<typeof select>) => Object.keys((await found).rows[0] ?? {}).length
      const [single, asTenant, second] = [
        () => columns(database.asService((tx) => select(tx.last))),
        () => columns(database.asTenant('a', async (tx) => (await Promise.all([select(tx), select(tx)]))[1])),
        () => columns(database.asService((tx) => tx.query('SELECT $1', [1]).then(() => select(tx)))),
      ]
      const often = (read: () => Promise<number>) => Promise.all(Array.from({ length: 12 }, read))
      await swap('')
      for (const read of [single, asTenant, second]) expect(new Set(await often(read))).toEqual(new Set([1]))
      await swap(', b int')
      expect(new Set(await often(single))).toEqual(new Set([2]))
      await swap(', b int, c int')
      expect(new Set(await often(asTenant))).toEqual(new Set([3]))
      await often(second)
      await swap('')
      await expect(second()).rejects.toMatchObject({ code: 'DATABASE_UNAVAILABLE' })
      for (let n = 0; n < 12; n++) expect(await second()).toBe(1)
      await database.asOwner((tx) => tx.query('DEALLOCATE ALL'))
      expect(await single()).toBe(1)
    })

    const countAsService = (where: string): Promise<bigint | undefined> =>
      database.asService(
        async (tx) => (await tx.query<{ n: bigint }>(`SELECT count(*) AS n FROM note WHERE ${where}`)).rows[0]?.n,
      )

    test('a tenant sees its own rows and no others', async () => {
      expect(await idsAsTenant('a')).toEqual([1, 2])
      expect(await idsAsTenant('b')).toEqual([1])
      expect(await idsAsTenant('nobody')).toEqual([])
      expect(await idsAsTenant('')).toEqual([])
    })

    test('a tenant id is a value, whatever it spells', async () => {
      const nasty = `a'; RESET ROLE; SELECT set_config('pf3.tenant', 'b', false); -- \\ "`
      expect(await idsAsTenant(nasty)).toEqual([])
      await database.asTenant(nasty, (tx) => tx.query('INSERT INTO note (tenant_id, id) VALUES ($1, 1)', [nasty]))
      expect(await idsAsTenant(nasty)).toEqual([1])
    })

    test('a tenant can neither read, write, move nor delete the rows of another', async () => {
      await expect(
        database.asTenant('a', (tx) => tx.query("INSERT INTO note (tenant_id, id) VALUES ('b', 9)")),
      ).rejects.toThrow(/row-level security/)
      await expect(
        database.asTenant('a', (tx) => tx.query("UPDATE note SET tenant_id = 'b' WHERE id = 1")),
      ).rejects.toThrow(/row-level security/)
      expect((await database.asTenant('a', (tx) => tx.query("DELETE FROM note WHERE tenant_id = 'b'"))).rowCount).toBe(
        0,
      )
      expect(
        (await database.asTenant('a', (tx) => tx.query("SELECT 1 AS x FROM note WHERE tenant_id = 'b'"))).rowCount,
      ).toBe(0)
      expect(await idsAsTenant('b')).toEqual([1])
    })

    test('with no tenant set the tenant role sees nothing, also on a connection that once had one', async () => {
      await idsAsTenant('a')
      const { rows } = await database.asOwner(async (tx) => {
        await tx.query('SET LOCAL ROLE pf3_tenant')
        return tx.query('SELECT * FROM note')
      })
      expect(rows).toEqual([])
    })

    test('neither role nor tenant leaks from one transaction into the next', async () => {
      const standing = async (run: (f: Parameters<Database['asOwner']>[0]) => Promise<unknown>) =>
        run((tx) => tx.query("SELECT current_user AS role, current_setting('pf3.tenant', true) AS tenant"))
      await idsAsTenant('a')
      const service = await standing((f) => database.asService(f))
      expect(service).toMatchObject({ rows: [{ role: 'pf3_service' }] })
      expect(service).not.toMatchObject({ rows: [{ tenant: 'a' }] })
      await expect(database.asTenant('a', () => Promise.reject(new Error('stop')))).rejects.toThrow('stop')
      expect(await standing((f) => database.asOwner(f))).not.toMatchObject({ rows: [{ role: 'pf3_tenant' }] })
      expect(await standing((f) => database.asTenant('b', f))).toMatchObject({
        rows: [{ role: 'pf3_tenant', tenant: 'b' }],
      })
    })

    test('single statements of the service are transactions of their own, and whoever comes after is who it says', async () => {
      const who = (tx: Tx) => tx.last.query<{ who: string }>('SELECT current_user AS who')
      const asOwner = async () => (await database.asOwner(who)).rows[0]?.who
      const owner = await asOwner()
      const insert = "INSERT INTO note (tenant_id, id) VALUES ('single', $1)"
      for (let id = 1; id <= 3; id++) {
        expect((await database.asService(who)).rows).toEqual([{ who: 'pf3_service' }])
        await database.asService((tx) => tx.last.query(insert, [id]))
        await expect(database.asService((tx) => tx.last.query(insert, [id]))).rejects.toThrow(/duplicate key/)
        expect((await database.asTenant('single', who)).rows).toEqual([{ who: 'pf3_tenant' }])
        expect(await asOwner()).toBe(owner)
        await expect(database.asOwner((tx) => tx.query('SELECT nonsense'))).rejects.toThrow(/nonsense/)
        expect((await database.asService(who, { isDurable: false })).rows).toEqual([{ who: 'pf3_service' }])
      }
      expect(owner).not.toMatch(/^pf3_(service|tenant)$/)
      expect(await idsAsTenant('single')).toEqual([1, 2, 3])
    })

    test('the service sees all tenants, and neither role is an owner or a superuser', async () => {
      expect(await countAsService("tenant_id IN ('a', 'b')")).toBe(3n)
      await expect(database.asService((tx) => tx.query('DROP TABLE note'))).rejects.toThrow(/owner/)
      await expect(
        database.asTenant('a', (tx) => tx.query('ALTER TABLE note DISABLE ROW LEVEL SECURITY')),
      ).rejects.toThrow(/owner/)
      const { rows } = await database.asService((tx) =>
        tx.query(
          "SELECT rolsuper OR rolbypassrls OR rolcanlogin AS mighty FROM pg_roles WHERE rolname IN ('pf3_tenant', 'pf3_service')",
        ),
      )
      expect(rows).toEqual([{ mighty: false }, { mighty: false }])
    })

    test("row-level security binds the table's owner, too", async () => {
      const { rows } = await database.asOwner((tx) =>
        tx.query(
          "SELECT relrowsecurity AS enabled, relforcerowsecurity AS forced FROM pg_class WHERE relname = 'note'",
        ),
      )
      expect(rows).toEqual([{ enabled: true, forced: true }])
    })

    test('a throw rolls everything back, and the next transaction works', async () => {
      const attempt = database.asTenant('a', async (tx) => {
        await tx.query("INSERT INTO note (tenant_id, id) VALUES ('a', 50)")
        throw new Error('changed my mind')
      })
      await expect(attempt).rejects.toThrow('changed my mind')
      expect(await countAsService('id = 50')).toBe(0n)
    })

    test('a failed statement that was swallowed cannot pass for a commit', async () => {
      const attempt = database.asService(async (tx) => {
        await tx.query("INSERT INTO note (tenant_id, id) VALUES ('a', 51)")
        await tx.query('SELECT nonsense').catch(() => undefined)
      })
      await expect(attempt).rejects.toMatchObject({ code: 'INTERNAL' })
      expect(await countAsService('id = 51')).toBe(0n)
      const alone = database.asService((tx) => tx.last.query('SELECT nonsense').catch(() => undefined))
      await expect(alone).rejects.toMatchObject({ code: 'INTERNAL' })
    })

    test('a transaction inside another is refused instead of waiting for ever', async () => {
      const attempt = database.asService(() => database.asTenant('a', async () => 1))
      await expect(attempt).rejects.toMatchObject({ code: 'INTERNAL' })
    })

    test('a statement after the end of its transaction is refused', async () => {
      const kept = await database.asTenant('a', async (tx) => [tx])
      await expect(kept[0]?.query('SELECT 1')).rejects.toMatchObject({ code: 'INTERNAL' })
    })

    test('bigint comes back as bigint, numeric as text, bytes as bytes', async () => {
      const big = 2n ** 63n - 1n
      const raw = Buffer.from([0, 1, 255, 92, 39])
      const { rows } = await database.asTenant('a', async (tx) => {
        await tx.query('INSERT INTO note VALUES ($1, $2, $3, $4, $5)', [
          'a',
          60,
          big,
          '12345678901234567890.000000000001',
          raw,
        ])
        return tx.query('SELECT big, exact, raw, ARRAY[big, NULL, -1] AS bigs FROM note WHERE id = 60')
      })
      expect(rows).toEqual([{ big, exact: '12345678901234567890.000000000001', raw, bigs: [big, null, -1n] }])
    })

    test('statements of several clients at once never mix', async () => {
      const clients = [database, await opened.another(), await opened.another()]
      const work = clients.flatMap((client, index) =>
        Array.from({ length: 40 }, (_, round) => {
          const tenantId = `mix-${index}-${round}`
          return client.asTenant(tenantId, async (tx) => {
            await tx.query('INSERT INTO note (tenant_id, id, big) VALUES ($1, $2, $3)', [
              tenantId,
              round,
              BigInt(index),
            ])
            const { rows } = await tx.query('SELECT tenant_id, id, big FROM note')
            return rows.length === 1 && rows[0]?.['tenant_id'] === tenantId && rows[0]['big'] === BigInt(index)
          })
        }),
      )
      expect((await Promise.all(work)).filter((isRight) => !isRight)).toEqual([])
      await Promise.all(clients.slice(1).map((client) => client.close()))
    })

    test('migrations run once, in order, also when two processes race', async () => {
      const migrations = [
        { name: 'first', sql: 'CREATE TABLE step (n int); INSERT INTO step VALUES (1)' },
        { name: 'second', sql: 'INSERT INTO step VALUES (2)' },
      ]
      const another = await opened.another()
      await Promise.all([migrate(database, migrations), migrate(another, migrations)])
      await migrate(database, [...migrations, { name: 'third', sql: 'INSERT INTO step VALUES (3)' }])
      await another.close()
      const { rows } = await database.asOwner((tx) => tx.query<{ n: number }>('SELECT n FROM step'))
      expect(rows.map((row) => row.n)).toEqual([1, 2, 3])
    })

    test('a recorded migration that changed is refused before anything is run', async () => {
      await migrate(database, [{ name: 'kept', sql: 'CREATE TABLE kept (n int)' }])
      const changed = [
        { name: 'new', sql: 'CREATE TABLE never (n int)' },
        { name: 'kept', sql: 'CREATE TABLE kept (n bigint)' },
      ]
      await expect(migrate(database, changed)).rejects.toMatchObject({
        code: 'MIGRATION_CHANGED',
        facts: { migration: 'kept' },
      })
      await expect(database.asOwner((tx) => tx.query('SELECT * FROM never'))).rejects.toThrow(/never/)
    })

    test('a migration that fails leaves nothing and is not recorded', async () => {
      const broken = { name: 'broken', sql: 'CREATE TABLE half (n int); SELECT nonsense' }
      await expect(migrate(database, [broken])).rejects.toThrow(/nonsense/)
      await migrate(database, [{ name: 'broken', sql: 'CREATE TABLE half (n int)' }])
      expect((await database.asOwner((tx) => tx.query('SELECT * FROM half'))).rowCount).toBe(0)
    })
  })
}
