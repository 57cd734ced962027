/** One process with all roles keeps its views in a thread: what it shows of it, and that it does not outlive it. */
import { expect, test } from 'vitest'
import { clientOf } from '../../api/testing/client.ts'
import { hasEnded, jobClient } from '../../bin/demo/job-client.ts'
import { openPostgres } from '../../platform/postgres/postgres.ts'
import { startFleet } from './fleet.ts'

const soon = { timeout: 20_000, interval: 50 }

test('figures say how far the thread is, a restart goes on with it, and views that stand still end the process with 3', async () => {
  const fleet = await startFleet({
    members: ['api,owner,projections'],
    partitionCount: 2,
    connectionsMax: 4,
    env: { PF3_LOCAL_THREADS: '1', PF3_LOG_LEVEL: 'silent' }, // It ends on purpose.
  })
  const [member] = fleet.members
  const { PF3_POSTGRES_URL: url } = fleet.env
  if (!member || url === undefined) throw new Error('There is one process, with a database.')
  const { token } = await fleet.tenant('harbor')
  const jobs = jobClient(fleet.client)
  const run = (key: string) =>
    jobs.run({ token, key, body: { capability: 'classify.sentiment', input: { text: 'A good day.' } } })
  const seqs = async () => [...(await member.figure('pf3_views_seq')).values()].reduce((sum, seq) => sum + seq, 0)

  expect((await run('first')).status).toBe('succeeded')
  const shown = await seqs()
  expect(shown).toBeGreaterThan(0)
  expect((await run('second')).status).toBe('succeeded')
  await expect.poll(seqs, soon).toBeGreaterThan(shown)
  await expect.poll(() => member.figure('pf3_views_lag_facts'), soon).toEqual(new Map([0, 1].map((p) => [p, 0])))

  expect(await member.stop()).toBe(0)
  await member.start()
  const after = await run('third')
  expect([hasEnded(after), after.status]).toEqual([true, 'succeeded'])
  expect((await run('first')).status, 'and what was there is there').toBe('succeeded')

  const { ended } = member.service()
  const database = await openPostgres({ url, poolMax: 1 })
  await database
    .asOwner((tx) => tx.query('ALTER TABLE projection_position RENAME COLUMN version TO lost'))
    .finally(() => database.close())
  // The next request meets the harm; whether it is still answered is nobody's promise.
  const root = clientOf(member.service().url, fleet.rootToken, { 'X-PF3-Justification': 'a test of supervision' })
  const tenant = { id: 'after', level: 'client', name: 'after', currency: 'USD', timeZone: 'UTC' }
  await root.post('/v1/tenants', tenant).catch(() => undefined)
  expect(await ended).toBe(3)
})
