/** What holds for every view, over whole histories. */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { EmbeddedDatabase } from '../platform/postgres/embedded.ts'
import { isolationSql } from '../platform/postgres/isolation.ts'
import type { Fact } from '../schemas/events.generated.ts'
import { opsOf } from './fold-rows.ts'
import { allProjections } from './index.ts'
import { memoryProjections } from './memory-runner.ts'
import type { ColumnType } from './projection.ts'
import { tableDigest } from './rebuild.ts'
import { writeOps } from './tables.ts'
import { history } from './testing/history.ts'
import { openViews, tableRows } from './testing/view.ts'

let database: EmbeddedDatabase
beforeAll(async () => {
  database = await openViews()
}, 60_000)
afterAll(() => database.close())

const { byPartition } = history({ seed: 7, jobs: 45 })

async function write(facts: readonly Fact[], batchSize: number): Promise<void> {
  for (let at = 0; at < facts.length; at += batchSize) {
    await database.asService(async (tx) => {
      for (const projection of allProjections)
        await writeOps(tx, projection, opsOf(projection, facts.slice(at, at + batchSize)))
    })
  }
}
async function clear(): Promise<void> {
  await database.asService(async (tx) => {
    for (const { table } of allProjections) await tx.query(`DELETE FROM ${table}`)
  })
}
const digests = async () => {
  const all: Record<string, string> = {}
  for (const projection of allProjections) all[projection.name] = (await tableDigest(database, projection)).sha256
  return all
}

test('the history has every view at work', () => {
  const memory = memoryProjections(allProjections)
  for (const facts of byPartition) memory.apply(facts)
  for (const { name } of allProjections) expect(memory.rows(name).length, name).toBeGreaterThan(1)
})

test('once and twice, in batches of 1, 7 and 1,000, on PostgreSQL and in memory: the same rows', async () => {
  const memory = memoryProjections(allProjections)
  for (const facts of byPartition) memory.apply(facts)
  const inMemory = Object.fromEntries(allProjections.map(({ name }) => [name, memory.rows(name)]))
  for (const facts of byPartition) memory.apply(facts)
  for (const { name } of allProjections) expect(memory.rows(name), name).toEqual(inMemory[name])

  let first: Record<string, string> | undefined
  for (const batchSize of [1_000, 7, 1]) {
    await clear()
    for (const facts of byPartition) await write(facts, batchSize)
    first ??= await digests()
    expect(await digests(), `batches of ${batchSize}`).toEqual(first)
    for (const projection of allProjections)
      expect(await tableRows(database, projection), projection.name).toEqual(inMemory[projection.name])
  }
  for (const facts of byPartition) await write(facts, 1_000)
  expect(await digests(), 'a second time').toEqual(first)
  for (const facts of byPartition) await write(facts.slice(facts.length / 2), 33)
  expect(await digests(), 'the second half once more').toEqual(first)
}, 60_000)

test('every folder with a projection is listed, and names are unique', () => {
  const folders = readdirSync(import.meta.dirname, { withFileTypes: true }).filter(
    (entry) => entry.isDirectory() && entry.name !== 'testing',
  )
  const names = allProjections.map((p) => p.name)
  expect(new Set(names).size).toBe(names.length)
  expect(new Set(allProjections.map((p) => p.table)).size).toBe(names.length)
  for (const { name } of folders) expect(names).toContain(name)
  for (const { name } of folders)
    expect(readdirSync(join(import.meta.dirname, name))).toEqual(
      expect.arrayContaining(['projection.ts', 'queries.ts', 'table.sql']),
    )
})

test('tables have exactly the columns their projection declares, tenant_id first in the key', async () => {
  const sqlTypes: Record<ColumnType, string> = {
    text: 'text',
    int: 'integer',
    bigint: 'bigint',
    amount: 'numeric',
    boolean: 'boolean',
    json: 'jsonb',
  }
  for (const { table, columns, keyColumns } of allProjections) {
    const { rows } = await database.asOwner((tx) =>
      tx.query<{ name: string; type: string; nullable: boolean }>(
        `SELECT column_name AS name, data_type AS type, is_nullable = 'YES' AS nullable FROM information_schema.columns WHERE table_name = $1 ORDER BY ordinal_position`,
        [table],
      ),
    )
    const declared = Object.entries(columns).map(([name, { type, nullable }]) => ({
      name,
      type: sqlTypes[type],
      nullable: nullable ?? false,
    }))
    expect(rows, table).toEqual([...declared, { name: 'seq', type: 'bigint', nullable: false }])
    const { rows: key } = await database.asOwner((tx) =>
      tx.query<{ name: string }>(
        `SELECT a.attname AS name FROM pg_index i, unnest(i.indkey) WITH ORDINALITY k(no, at) JOIN pg_attribute a ON a.attnum = k.no
         WHERE i.indrelid = $1::regclass AND a.attrelid = i.indrelid AND i.indisprimary ORDER BY k.at`,
        [table],
      ),
    )
    expect(
      key.map((row) => row.name),
      table,
    ).toEqual(keyColumns)
    expect(keyColumns[0]).toBe('tenant_id')
  }
})

test('a tenant sees its own rows in every view, nobody else’s, and can write none', async () => {
  expect(isolationSql('x')).toContain('FORCE ROW LEVEL SECURITY')
  for (const { table } of allProjections) {
    const count = (tenantId: string) =>
      database.asTenant(
        tenantId,
        async (tx) => (await tx.query<{ tenant_id: string }>(`SELECT DISTINCT tenant_id FROM ${table}`)).rows,
      )
    const { rows: owners } = await database.asService((tx) =>
      tx.query<{ tenant_id: string }>(`SELECT DISTINCT tenant_id FROM ${table}`),
    )
    expect(owners.length, table).toBeGreaterThan(0)
    for (const { tenant_id } of owners) expect(await count(tenant_id), table).toEqual([{ tenant_id }])
    expect(await count('nobody'), table).toEqual([])
    await expect(
      database.asTenant('tenant-1', (tx) => tx.query(`DELETE FROM ${table}`)),
      table,
    ).rejects.toThrow(/permission denied/)
    await expect(
      database.asTenant('tenant-1', (tx) => tx.query(`UPDATE ${table} SET seq = 0`)),
      table,
    ).rejects.toThrow(/permission denied/)
  }
})
