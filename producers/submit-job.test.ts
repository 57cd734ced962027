import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Clock, systemClock, systemRandom } from '../platform/clock.ts'
import { PlatformError } from '../platform/errors.ts'
import type { Log } from '../platform/log/log.ts'
import { simulatedLog } from '../platform/log/simulated.ts'
import { submittedJobs } from './submissions.ts'
import { appendAgainMsMax } from './submit-job.ts'
import { aJob, caller, type Door, openDoor, openRig, type Rig, requestsIn } from './testing/rig.ts'

let rig: Rig
let door: Door
let tenantsMade = 0
beforeAll(async () => {
  rig = await openRig()
  door = openDoor(rig)
})
afterAll(() => rig.close())

const newTenant = (): string => `tenant-${++tenantsMade}`

/** The log of the rig; after `failNext` one append fails. */
function failingLog(): { log: Log; failNext(): void } {
  let isFailing = false
  const log: Log = {
    ...rig.log,
    partitionCount: rig.log.partitionCount,
    async append(records) {
      const fails = isFailing
      isFailing = false
      if (fails) throw new PlatformError('LOG_UNAVAILABLE', { records: records.length })
      return rig.log.append(records)
    },
  }
  return {
    log,
    failNext() {
      isFailing = true
    },
  }
}

type Row = { job_id: string; appended_at_ms: bigint | null; request: Uint8Array | null; body_mac: Uint8Array }
const rowsOf = async (tenantId: string): Promise<Row[]> =>
  (await rig.database.asTenant(tenantId, (tx) => tx.query<Row>('SELECT * FROM submission'))).rows
const requestsOf = async (tenantId: string, log: Log = rig.log) =>
  (await requestsIn(log)).filter((request) => request.tenantId === tenantId)

test('a job is answered when the log has it, its row is marked, and its payload is in the vault', async () => {
  const tenantId = newTenant()
  const job = aJob(tenantId, 'k', 'good morning')
  const submitted = await door.submitter.submitJob(caller, job)
  expect(submitted).toEqual({ jobId: job.jobId, isNew: true })
  const [request, ...more] = await requestsOf(tenantId)
  expect(more).toEqual([])
  if (request?.type !== 'SubmitJob') throw new Error('no SubmitJob')
  expect(request).toMatchObject({
    jobId: submitted.jobId,
    actor: 'token:tok_1',
    correlationId: 'corr_1',
    inputTokensMax: 21n,
  })
  const stored = (await rig.vault.get(tenantId, [request.payloadRef])).get(request.payloadRef)
  expect(new TextDecoder().decode(stored)).toBe('{"input":{"text":"good morning"},"params":{}}')
  await door.submitter.settled()
  const [row] = await rowsOf(tenantId)
  expect(row?.appended_at_ms).not.toBeNull()
  expect(row?.request).toBeNull()
  expect(door.faults).toEqual([])
})

test('1,000 retries of one key at once, through two doors, make one job', async () => {
  const tenantId = newTenant()
  const other = openDoor(rig)
  const submitted = await Promise.all(
    Array.from({ length: 1_000 }, (_, i) =>
      (i % 2 === 0 ? door : other).submitter.submitJob(caller, aJob(tenantId, 'same')),
    ),
  )
  expect(new Set(submitted.map(({ jobId }) => jobId)).size).toBe(1)
  expect(submitted.filter(({ isNew }) => isNew)).toHaveLength(1)
  expect(await rowsOf(tenantId)).toHaveLength(1)
  const requests = await requestsOf(tenantId)
  // Each door may have appended it once before the row was marked; all copies are the same request.
  expect(requests.length).toBeLessThanOrEqual(2)
  expect(new Set(requests.map(({ stored }) => Buffer.from(stored.value).toString('hex'))).size).toBe(1)
  await Promise.all([door.submitter.settled(), other.submitter.settled()])
  await door.submitter.submitJob(caller, aJob(tenantId, 'same'))
  expect(await requestsOf(tenantId)).toHaveLength(requests.length)
})

test('many different keys at once: each its own job, in few writes', async () => {
  const tenantId = newTenant()
  const submitted = await Promise.all(
    Array.from({ length: 500 }, (_, i) => door.submitter.submitJob(caller, aJob(tenantId, `key-${i}`, `text ${i}`))),
  )
  expect(new Set(submitted.map(({ jobId }) => jobId)).size).toBe(500)
  expect(await requestsOf(tenantId)).toHaveLength(500)
  await door.submitter.settled()
  expect((await rowsOf(tenantId)).filter((row) => row.appended_at_ms === null)).toEqual([])
})

test('the same key with another body is a conflict, also at once, and the first payload stays', async () => {
  const tenantId = newTenant()
  const both = await Promise.allSettled([
    door.submitter.submitJob(caller, aJob(tenantId, 'k', 'first')),
    door.submitter.submitJob(caller, aJob(tenantId, 'k', 'second')),
  ])
  expect(both.map(({ status }) => status)).toEqual(['fulfilled', 'rejected'])
  await expect(door.submitter.submitJob(caller, aJob(tenantId, 'k', 'third'))).rejects.toMatchObject({
    code: 'IDEMPOTENCY_CONFLICT',
  })
  const requests = await requestsOf(tenantId)
  expect(requests).toHaveLength(1)
  const [request] = requests
  if (request?.type !== 'SubmitJob') throw new Error('no SubmitJob')
  const stored = (await rig.vault.get(tenantId, [request.payloadRef])).get(request.payloadRef)
  expect(new TextDecoder().decode(stored)).toContain('first')
})

test('an input is handed on once it is stored, and only the one that is: not of a retry, not of a conflict', async () => {
  const tenantId = newTenant()
  const handed: string[] = []
  const fresh = {
    keep: ({ ref, content }: { ref: string; content: Uint8Array }) =>
      void handed.push(`${ref} ${new TextDecoder().decode(content)}`),
  }
  const { submitter } = openDoor({ ...rig, fresh })
  const asked = ['first', 'first', 'second'].map((text) => submitter.submitJob(caller, aJob(tenantId, 'k', text)))
  expect((await Promise.allSettled(asked)).map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected'])
  await expect(submitter.submitJob(caller, aJob(tenantId, 'k', 'third'))).rejects.toMatchObject({
    code: 'IDEMPOTENCY_CONFLICT',
  })
  const [request] = await requestsOf(tenantId)
  const ref = request?.type === 'SubmitJob' ? request.payloadRef : ''
  expect(handed).toEqual([`${ref} {"input":{"text":"first"},"params":{}}`])
})

test('a tenant whose keys are damaged fails alone; those that are written with it are as ever', async () => {
  const [one, damaged, two] = [newTenant(), newTenant(), newTenant()]
  await rig.vault.put([{ tenantId: damaged, ref: `of ${damaged}`, class: 'day', content: Buffer.from('text') }])
  await rig.database.asService((tx) =>
    tx.query('UPDATE vault_key SET wrapped = set_byte(wrapped, 0, get_byte(wrapped, 0) # 1) WHERE tenant_id = $1', [
      damaged,
    ]),
  )
  const handed: string[] = []
  const fresh = { keep: ({ tenantId }: { tenantId: string }) => void handed.push(tenantId) }
  const other = await openRig(rig.database) // As another process: it remembers no keys.
  const { submitter } = openDoor({ ...other, fresh })
  // The first is written by itself, because it is large, before the damage is met.
  const asked = [
    submitter.submitJob(caller, aJob(one, 'large', 'x'.repeat(9_000_000))),
    ...[one, damaged, two, damaged].map((tenantId) => submitter.submitJob(caller, aJob(tenantId, 'k'))),
  ]
  const settled = await Promise.allSettled(asked)
  expect(settled).toMatchObject([
    { value: { isNew: true } },
    { value: { isNew: true } },
    { reason: { code: 'VAULT_DAMAGED', facts: { tenantId: damaged } } },
    { value: { isNew: true } },
    { reason: { code: 'VAULT_DAMAGED' } },
  ])
  expect(handed).toEqual([one, one, two])
  expect(await rowsOf(damaged)).toEqual([])
  await submitter.settled()
  await other.log.close()
})

test('two tenants may use the same key; their rows show neither the other nor that the bodies are equal', async () => {
  const [one, two] = [newTenant(), newTenant()]
  const jobs = [one, two].map((tenantId) => aJob(tenantId, 'k', 'equal'))
  await Promise.all(jobs.map((job) => door.submitter.submitJob(caller, job)))
  const [rowsOfOne, rowsOfTwo] = [await rowsOf(one), await rowsOf(two)]
  expect([...rowsOfOne, ...rowsOfTwo].map((row) => row.job_id)).toEqual(jobs.map(({ jobId }) => jobId))
  expect(Buffer.from(rowsOfOne[0]?.body_mac ?? []).equals(Buffer.from(rowsOfTwo[0]?.body_mac ?? []))).toBe(false)
})

test.each(['', 'a\0b', 'ключ', 'x'.repeat(256)])(
  'a key the database or the header could not carry is refused: %j',
  async (key) => {
    await expect(door.submitter.submitJob(caller, aJob(newTenant(), key))).rejects.toMatchObject({
      code: 'REQUEST_INVALID',
    })
  },
)

test('the append fails after the row is written: the caller is told, and a retry makes exactly that job', async () => {
  const tenantId = newTenant()
  const failing = failingLog()
  failing.failNext()
  const broken = openDoor({ ...rig, log: failing.log })
  const { jobId, ...job } = aJob(tenantId, 'k')
  await expect(broken.submitter.submitJob(caller, { ...job, jobId })).rejects.toMatchObject({ code: 'LOG_UNAVAILABLE' })
  await broken.submitter.settled()
  const [row] = await rowsOf(tenantId)
  expect(row).toMatchObject({ job_id: jobId, appended_at_ms: null })
  expect(await requestsOf(tenantId)).toEqual([])

  const retried = await openDoor(rig).submitter.submitJob({ ...caller, correlationId: 'corr_2' }, aJob(tenantId, 'k'))
  expect(retried).toEqual({ jobId, isNew: false })
  const requests = await requestsOf(tenantId)
  expect(requests).toHaveLength(1)
  // The request is the one that was kept, not one made anew: the first caller's.
  expect(requests[0]).toMatchObject({ type: 'SubmitJob', correlationId: 'corr_1' })
  expect(Buffer.from(requests[0]?.stored.value ?? [])).toEqual(Buffer.from(row?.request ?? []))
})

test('the log had it but nobody was told: the retry appends the same request id again, for the owner to drop', async () => {
  const tenantId = newTenant()
  const log = simulatedLog({
    partitionCount: 2,
    clock: systemClock,
    random: systemRandom,
    faults: { appendUnacknowledged: 1 },
  })
  const unlucky = openDoor({ ...rig, log })
  await expect(unlucky.submitter.submitJob(caller, aJob(tenantId, 'k'))).rejects.toMatchObject({
    code: 'LOG_UNAVAILABLE',
  })
  log.setFaults({ appendUnacknowledged: 0 })
  const { jobId } = await unlucky.submitter.submitJob(caller, aJob(tenantId, 'k'))
  await unlucky.submitter.settled()
  await unlucky.submitter.submitJob(caller, aJob(tenantId, 'k'))
  const requests = await requestsOf(tenantId, log)
  expect(requests).toHaveLength(2)
  expect(new Set(requests.map((request) => (request.type === 'SubmitJob' ? request.jobId : '')))).toEqual(
    new Set([jobId]),
  )
  expect(new Set(requests.map(({ requestId }) => requestId)).size).toBe(1)
})

test('where the row of a key was lost, the job that is made then is appended, and only its own append marks it', async () => {
  const tenantId = newTenant()
  const failing = failingLog()
  const { submitter } = openDoor({ ...rig, log: failing.log })
  const first = await submitter.submitJob(caller, aJob(tenantId, 'k'))
  // Its mark has not been written yet. A database that was behind takes the place of this one.
  await rig.database.asService((tx) => tx.query('DELETE FROM submission WHERE tenant_id = $1', [tenantId]))
  failing.failNext()
  await expect(submitter.submitJob(caller, aJob(tenantId, 'k'))).rejects.toMatchObject({ code: 'LOG_UNAVAILABLE' })
  await submitter.settled()
  expect(await rowsOf(tenantId)).toMatchObject([{ appended_at_ms: null }])
  const second = await submitter.submitJob(caller, aJob(tenantId, 'k'))
  await submitter.settled()
  expect(await rowsOf(tenantId)).toMatchObject([{ job_id: second.jobId, request: null }])
  const asked = (await requestsOf(tenantId)).map((request) => request.type === 'SubmitJob' && request.jobId)
  expect(asked).toEqual([first.jobId, second.jobId])
  expect(second.jobId).not.toBe(first.jobId)
})

test('an unmarked row is appended again for 20 hours, then its key has expired; a marked one never expires', async () => {
  const tenantId = newTenant()
  let nowMs = Date.parse('2026-05-01T00:00:00Z')
  const clock: Clock = { ...systemClock, nowMs: () => nowMs }
  const log = simulatedLog({ partitionCount: 1, clock: systemClock, random: systemRandom, faults: { appendLost: 1 } })
  const late = openDoor({ ...rig, log, clock })
  await expect(late.submitter.submitJob(caller, aJob(tenantId, 'lost'))).rejects.toMatchObject({
    code: 'LOG_UNAVAILABLE',
  })
  log.setFaults({ appendLost: 0 })
  nowMs += appendAgainMsMax + 1
  await expect(late.submitter.submitJob(caller, aJob(tenantId, 'lost'))).rejects.toMatchObject({
    code: 'IDEMPOTENCY_EXPIRED',
  })
  nowMs -= 1
  const again = await late.submitter.submitJob(caller, aJob(tenantId, 'lost'))
  await late.submitter.settled()
  nowMs += 400 * 86_400_000
  expect(await late.submitter.submitJob(caller, aJob(tenantId, 'lost'))).toEqual(again)
  expect(await requestsOf(tenantId, log)).toHaveLength(1)
})

test('a full log answers LOG_BUSY, and one record that is too large does not take others with it', async () => {
  const tenantId = newTenant()
  const busy: Log = { ...rig.log, partitionCount: 4, append: () => Promise.reject(new PlatformError('LOG_BUSY')) }
  await expect(openDoor({ ...rig, log: busy }).submitter.submitJob(caller, aJob(tenantId, 'k'))).rejects.toMatchObject({
    code: 'LOG_BUSY',
  })

  const tenant = {
    type: 'IssueToken',
    tokenId: 't',
    role: 'reader',
    memberId: null,
    expiresAt: null,
    tenantId,
  } as const
  const [large, small] = await Promise.allSettled([
    door.appender.append(caller, { ...tenant, secretHash: 'x'.repeat(rig.log.recordBytesMax) }),
    door.appender.append(caller, { ...tenant, secretHash: 'x' }),
  ])
  expect(large).toMatchObject({ status: 'rejected', reason: { code: 'LOG_RECORD_TOO_LARGE' } })
  expect(small.status).toBe('fulfilled')
})

test('a job is found by its tenant and id before any view has it, and by no other tenant', async () => {
  const [tenantId, stranger] = [newTenant(), newTenant()]
  const { jobId } = await door.submitter.submitJob(caller, { ...aJob(tenantId, 'k'), memberId: 'ada', priority: 1 })
  const found = await rig.database.asService((tx) =>
    submittedJobs(tx, [
      { tenantId, jobId },
      { tenantId: stranger, jobId },
    ]),
  )
  expect(found).toHaveLength(1)
  expect(found[0]).toMatchObject({ tenantId, jobId, memberId: 'ada', priority: 1, capability: 'classify.sentiment' })
  expect(await rowsOf(stranger)).toEqual([])
})
