/** A part that stands still ends the whole process with 3, so that whoever supervises it starts it anew. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { clientOf } from '../../api/testing/client.ts'
import { startServiceProcess } from '../../bin/demo/service-process.ts'
import type { Database } from '../../platform/postgres/database.ts'
import { connectToRunning } from '../../platform/postgres/embedded.ts'

const rootToken = `pf3_${'s'.repeat(43)}`
const env = { PF3_LOCAL_THREADS: '1', PF3_PARTITIONS: '1' }
const tenant = (id: string) => ({ id, level: 'client', name: id, currency: 'USD', timeZone: 'UTC' })

async function freshDir(): Promise<string> {
  const dataDir = await mkdtemp(join(tmpdir(), 'pf3-lost-'))
  onTestFinished(() => rm(dataDir, { recursive: true, force: true }))
  return dataDir
}

async function start(dataDir: string) {
  const lines: string[] = []
  const onLog = (text: string) => void lines.push(...text.split('\n').filter((line) => line !== ''))
  const service = await startServiceProcess({ dataDir, port: 0, rootToken, env, onLog })
  onTestFinished(async () => void (await service.kill()))
  return {
    ...service,
    lines,
    root: clientOf(service.url, rootToken, { 'X-PF3-Justification': 'a test of supervision' }),
  }
}

/** As somebody else of this machine would meddle with the tables of the running service. */
async function meddle(dataDir: string, run: (database: Database) => Promise<unknown>): Promise<void> {
  const database = await connectToRunning(dataDir)
  if (!database) throw new Error('nothing runs there')
  await run(database).finally(() => database.close())
}

const harmViews = (database: Database) =>
  database.asOwner((tx) => tx.query('ALTER TABLE projection_position RENAME COLUMN version TO lost'))
const takePartition = (database: Database) => database.asService((tx) => tx.query('SELECT log_acquire(0)'))

test.each([
  ['owner', takePartition, 'the partition stands still'],
  ['views', harmViews, 'views stand still'],
])('when the %s of a running service stand still, the process says so and ends with 3', async (_, harm, said) => {
  const dataDir = await freshDir()
  const { root, lines, ended } = await start(dataDir)
  await meddle(dataDir, harm)
  // The next request meets the harm; whether it is still answered is nobody's promise.
  await root.post('/v1/tenants', tenant('shop')).catch(() => undefined)
  expect(await ended).toBe(3)
  expect(lines.join('\n')).toContain(said)
  expect(lines.at(-1)).toContain('a part is lost that the service cannot do without')
})

test('a supervisor that starts it anew after that has the service back, with all it had accepted', async () => {
  const dataDir = await freshDir()
  const first = await start(dataDir)
  ;(await first.root.post('/v1/tenants', tenant('before'))).expect(201)
  await meddle(dataDir, takePartition)
  await first.root.post('/v1/tenants', tenant('during')).catch(() => undefined)
  expect(await first.ended).toBe(3)
  const { root, stop } = await start(dataDir)
  ;(await root.get('/v1/tenants/before')).expect(200)
  ;(await root.post('/v1/tenants', tenant('after'))).expect(201)
  expect(await stop()).toBe(0)
})

test('a log that cannot be trusted ends the start with 3 at once, not after the wait for readiness', async () => {
  const dataDir = await freshDir()
  const first = await start(dataDir)
  ;(await first.root.post('/v1/tenants', tenant('shop'))).expect(201)
  ;(await first.root.post('/v1/tenants/shop/tokens', { role: 'reader' })).expect(201)
  await meddle(dataDir, (database) =>
    database.asOwner((tx) => tx.query('DELETE FROM log_fact WHERE seq = (SELECT max(seq) FROM log_fact)')),
  )
  await first.kill()
  await expect(start(dataDir)).rejects.toThrow('ended with 3 before it was ready')
})
