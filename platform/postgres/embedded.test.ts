import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { afterEach, expect, test } from 'vitest'
import { sleep, systemClock } from '../clock.ts'
import { databaseContract } from './contract.ts'
import { connectToRunning, connectToSocket, type EmbeddedDatabase, openEmbeddedDatabase } from './embedded.ts'

databaseContract('PGlite', async () => {
  const database = await openEmbeddedDatabase()
  return { database, another: async () => connectToSocket(database.socketDir), close: () => database.close() }
})

const cleanUps: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp()
})

async function freshDir(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'pf3-data-'))
  cleanUps.push(() => rm(dir, { recursive: true, force: true }))
  return dir
}

async function open(dataDir: string): Promise<EmbeddedDatabase> {
  const database = await openEmbeddedDatabase({ dataDir })
  cleanUps.push(() => database.close())
  return database
}

/** Another process that opens the directory, says so, and stays until it is killed. */
async function openInChild(dataDir: string): Promise<{ pid: number; kill: () => Promise<void> }> {
  const program = `
    const { openEmbeddedDatabase } = await import(${JSON.stringify(new URL('./embedded.ts', import.meta.url).href)})
    await openEmbeddedDatabase({ dataDir: ${JSON.stringify(dataDir)} })
    console.log('open')`
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ended = once(child, 'exit')
  const kill = async () => {
    child.kill('SIGKILL')
    await ended
  }
  cleanUps.push(kill)
  await once(child.stdout, 'data')
  if (child.pid === undefined) throw new Error('no child')
  return { pid: child.pid, kill }
}

test('rows survive closing and opening again, and the directory is private', async () => {
  const dataDir = join(await freshDir(), 'made', 'here')
  const first = await open(dataDir)
  await first.asOwner((tx) => tx.query('CREATE TABLE kept AS SELECT 7::bigint AS n'))
  expect((await stat(dataDir)).mode & 0o777).toBe(0o700)
  expect((await stat(first.socketDir)).mode & 0o777).toBe(0o700)
  await first.close()
  await first.close()
  await expect(stat(first.socketDir)).rejects.toThrow('ENOENT')
  const second = await open(dataDir)
  expect((await second.asOwner((tx) => tx.query('SELECT n FROM kept'))).rows).toEqual([{ n: 7n }])
}, 60_000)

test('after close every call reports DATABASE_UNAVAILABLE', async () => {
  const database = await openEmbeddedDatabase()
  await database.close()
  await expect(database.asService((tx) => tx.query('SELECT 1'))).rejects.toMatchObject({ code: 'DATABASE_UNAVAILABLE' })
}, 60_000)

test('a second opener is refused and told the process; other processes connect through run.json', async () => {
  const dataDir = await freshDir()
  expect(await connectToRunning(dataDir)).toBeUndefined()
  const child = await openInChild(dataDir)
  await expect(openEmbeddedDatabase({ dataDir })).rejects.toMatchObject({
    code: 'DATA_DIR_LOCKED',
    facts: { pid: child.pid },
  })
  expect(JSON.parse(await readFile(join(dataDir, 'run.json'), 'utf8'))).toMatchObject({ pid: child.pid })
  const beside = await connectToRunning(dataDir)
  expect((await beside?.asService((tx) => tx.query("SELECT 'here' AS x")))?.rows).toEqual([{ x: 'here' }])
  await beside?.asOwner((tx) => tx.query('CREATE TABLE kept AS SELECT 1 AS n'))

  await child.kill()
  await expect(beside?.asService((tx) => tx.query('SELECT 1'))).rejects.toMatchObject({ code: 'DATABASE_UNAVAILABLE' })
  await beside?.close()
  expect(await connectToRunning(dataDir)).toBeUndefined()
  const left: { socketDir: string } = JSON.parse(await readFile(join(dataDir, 'run.json'), 'utf8'))
  const successor = await open(dataDir)
  expect((await successor.asOwner((tx) => tx.query('SELECT n FROM kept'))).rows).toEqual([{ n: 1 }])
  await expect(stat(left.socketDir)).rejects.toThrow('ENOENT')
  await expect(openEmbeddedDatabase({ dataDir })).rejects.toMatchObject({
    code: 'DATA_DIR_LOCKED',
    facts: { pid: process.pid },
  })
  await successor.close()
  expect((await readdir(dataDir)).filter((name) => !name.startsWith('lock.')).sort()).toEqual(['postgres'])
}, 60_000)

test('an initialisation that was cut short is begun again', async () => {
  const dataDir = await freshDir()
  const first = await open(dataDir)
  await first.close()
  await writeFile(join(dataDir, 'initialising'), '')
  await rm(join(dataDir, 'postgres', 'global'), { recursive: true })
  const second = await open(dataDir)
  expect((await second.asService((tx) => tx.query('SELECT 1 AS x'))).rows).toEqual([{ x: 1 }])
}, 60_000)

test('a client that dies inside a transaction leaves nothing behind and holds nobody up', async () => {
  const database = await openEmbeddedDatabase()
  cleanUps.push(() => database.close())
  await database.asOwner((tx) => tx.query('CREATE TABLE t (n int); GRANT ALL ON t TO pf3_service'))
  for (const lastWords of ['', 'SELECT nonsense', 'INSERT INTO t VALUES (2)']) {
    const client = new pg.Client({ host: database.socketDir, port: 5432, user: 'postgres', database: 'postgres' })
    client.on('error', () => undefined)
    await client.connect()
    await client.query('BEGIN')
    await client.query('INSERT INTO t VALUES (1)')
    const waiting = database.asService((tx) => tx.query('SELECT count(*) AS n FROM t'))
    // The statement is on its way when the connection breaks, as after SIGKILL.
    if (lastWords !== '') void client.query(lastWords).catch(() => undefined)
    await new Promise(setImmediate)
    client.connection.stream.destroy()
    expect((await waiting).rows).toEqual([{ n: 0n }])
  }
}, 60_000)

test('a statement whose connection breaks before its end is not run, and holds nobody up', async () => {
  const database = await openEmbeddedDatabase()
  cleanUps.push(() => database.close())
  await database.asOwner((tx) => tx.query('CREATE TABLE t (n int); GRANT ALL ON t TO pf3_service'))
  const client = new pg.Client({ host: database.socketDir, port: 5432, user: 'postgres', database: 'postgres' })
  client.on('error', () => undefined)
  await client.connect()
  const { connection } = client
  connection.parse({ text: 'INSERT INTO t VALUES (1)', name: '', types: [] }, true)
  connection.bind({ portal: '', statement: '', values: [] }, true)
  connection.execute({ portal: '', rows: '0' }, true)
  await sleep(systemClock, 100) // It has arrived; whether it is over nobody can tell before its Sync.
  let isAnswered = false
  const waiting = database.asService((tx) => tx.query('SELECT count(*) AS n FROM t')).finally(() => (isAnswered = true))
  await sleep(systemClock, 100)
  expect(isAnswered).toBe(false)
  connection.stream.destroy()
  expect((await waiting).rows).toEqual([{ n: 0n }])
  expect((await database.asService((tx) => tx.query('SELECT count(*) AS n FROM t'))).rows).toEqual([{ n: 0n }])
}, 60_000)

test('statements that a broken connection had prepared are forgotten when the next one is opened', async () => {
  const database = await openEmbeddedDatabase({ statementWaitMs: 100 })
  cleanUps.push(() => database.close())
  const beside = connectToSocket(database.socketDir)
  cleanUps.push(() => beside.close())
  const prepared = async () => {
    const { rows } = await beside.asOwner((tx) => tx.query<{ name: string }>('SELECT name FROM pg_prepared_statements'))
    return rows.map(({ name }) => name).filter((name) => name !== '')
  }
  const ask = (n: number) => database.asService((tx) => tx.query('SELECT $1::int AS n', [n]))
  // One after the other: all of the first connection, which is the one that breaks.
  for (const n of [1, 2, 3]) expect((await ask(n)).rows).toEqual([{ n }])
  const first = await prepared()
  expect(first).toHaveLength(1)
  const slow = database.asService((tx) => tx.query('SELECT count(*) FROM generate_series(1, 3000000) WHERE $1', [true]))
  await expect(slow).rejects.toMatchObject({ code: 'DATABASE_UNAVAILABLE' })
  await beside.asOwner((tx) => tx.query('SELECT 1')) // The server is through with it.
  expect((await ask(4)).rows).toEqual([{ n: 4 }])
  const second = await prepared()
  expect(second).toHaveLength(1)
  expect(second).not.toEqual(first)
}, 60_000)

test('one that takes too long is given up, and the next one works', async () => {
  const database = await openEmbeddedDatabase({ statementWaitMs: 100 })
  cleanUps.push(() => database.close())
  const slow = database.asService((tx) => tx.query('SELECT count(*) FROM generate_series(1, 3000000)'))
  await expect(slow).rejects.toMatchObject({ code: 'DATABASE_UNAVAILABLE' })
  const patient = connectToSocket(database.socketDir)
  cleanUps.push(() => patient.close())
  expect((await patient.asService((tx) => tx.query('SELECT 1 AS x'))).rows).toEqual([{ x: 1 }])
}, 60_000)

test('when PGlite dies it is told, and nobody waits for an answer that never comes', async () => {
  const database = await openEmbeddedDatabase()
  cleanUps.push(() => database.close())
  const client = new pg.Client({ host: database.socketDir, port: 5432, user: 'postgres', database: 'postgres' })
  client.on('error', () => undefined)
  await client.connect()
  // A message that the protocol does not know is fatal to a session, and PGlite is one session.
  client.connection.stream.write(Buffer.from([0x7a, 0, 0, 0, 4]))
  expect(await database.lost).toMatchObject({ code: 'DATABASE_UNAVAILABLE' })
  await expect(database.asService((tx) => tx.query('SELECT 1'))).rejects.toMatchObject({ code: 'DATABASE_UNAVAILABLE' })
}, 60_000)
