/** Doors that really write at the same time: several connections to a PostgreSQL server, which the embedded default has not. */
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { openPostgres } from '../platform/postgres/postgres.ts'
import { idWithin } from '../schemas/ids.ts'
import { type FreshDatabase, freshDatabase } from '../tests/postgres/fresh-database.ts'
import { aJob, caller, type Door, openDoor, openRig, type Rig, requestsIn } from './testing/rig.ts'

let fresh: FreshDatabase
let rig: Rig
let doors: Door[]
beforeAll(async () => {
  fresh = await freshDatabase()
  rig = await openRig(await openPostgres({ url: fresh.url, poolMax: 8 }))
  doors = Array.from({ length: 4 }, () => openDoor(rig))
})
afterAll(async () => {
  await rig.close()
  await fresh.drop()
})

const settled = () => Promise.all(doors.map(({ submitter }) => submitter.settled()))

test('1,000 retries of one key through four doors make one job', async () => {
  const submitted = await Promise.all(
    Array.from({ length: 1_000 }, (_, i) => doors[i % 4]?.submitter.submitJob(caller, aJob('harbor', 'same'))),
  )
  expect(new Set(submitted.map((one) => one?.jobId)).size).toBe(1)
  expect(submitted.filter((one) => one?.isNew)).toHaveLength(1)
  const requests = (await requestsIn(rig.log)).filter(({ tenantId }) => tenantId === 'harbor')
  expect(new Set(requests.map(({ stored }) => Buffer.from(stored.value).toString('hex'))).size).toBe(1)
  await settled()
})

test('doors that take the same keys in opposite order neither deadlock nor double a job', async () => {
  const keys = Array.from({ length: 200 }, (_, i) => `key-${i}`)
  for (let round = 0; round < 5; round++) {
    const tenantId = `round-${round}`
    const all = doors.flatMap(({ submitter }, at) =>
      (at % 2 === 0 ? keys : keys.toReversed()).map((key) => submitter.submitJob(caller, aJob(tenantId, key))),
    )
    const submitted = await Promise.all(all)
    expect(submitted.filter(({ isNew }) => isNew)).toHaveLength(keys.length)
    expect(new Set(submitted.map(({ jobId }) => jobId)).size).toBe(keys.length)
  }
  await settled()
  expect(doors.flatMap(({ faults }) => faults)).toEqual([])
  const { rows } = await rig.database.asService((tx) =>
    tx.query<{ rows: bigint; unmarked: bigint }>(
      `SELECT count(*) AS rows, count(*) FILTER (WHERE appended_at_ms IS NULL) AS unmarked FROM submission
       WHERE tenant_id LIKE 'round-%'`,
    ),
  )
  expect(rows).toEqual([{ rows: 1_000n, unmarked: 0n }])
})

test('a mark is written on the page of its row, and changes no index', async () => {
  const own = await freshDatabase()
  const ownRig = await openRig(await openPostgres({ url: own.url, poolMax: 2 }))
  onTestFinished(async () => {
    await ownRig.close()
    await own.drop()
  })
  const { submitter } = openDoor(ownRig)
  await Promise.all(Array.from({ length: 500 }, (_, i) => submitter.submitJob(caller, aJob('harbor', `key-${i}`))))
  await submitter.settled()
  const changes = () =>
    ownRig.database.asService(async (tx) => {
      const { rows } = await tx.query<{ all: bigint; onPage: bigint }>(
        `SELECT n_tup_upd AS "all", n_tup_hot_upd AS "onPage" FROM pg_stat_user_tables WHERE relname = 'submission'`,
      )
      return rows[0]
    })
  await expect.poll(changes, { timeout: 20_000 }).toEqual({ all: 500n, onPage: 500n })
})

test('a key that is destroyed between sealing and keeping takes the row with it: both are kept under the next one', async () => {
  let erasures = 0
  const vault = {
    ...rig.vault,
    async seal(payloads: Parameters<typeof rig.vault.seal>[0]) {
      const sealed = await rig.vault.seal(payloads)
      if (erasures++ === 0) await rig.vault.destroyTenant({ tenantId: 'erased', erasureId: 'erasure' })
      return sealed
    },
  }
  const { submitter } = openDoor({ ...rig, vault })
  const { jobId, isNew } = await submitter.submitJob(caller, aJob('erased', 'once'))
  await submitter.settled()
  // Had the row of the first try stayed, this one would be no new job, and its input nowhere.
  expect([erasures, isNew]).toEqual([2, true])
  const ref = idWithin(jobId, 'in', 'erased', jobId)
  expect((await rig.vault.get('erased', [ref])).size).toBe(1)
})
