import { createHash } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { systemRandom } from '../platform/clock.ts'
import { PlatformError } from '../platform/errors.ts'
import type { Log } from '../platform/log/log.ts'
import type { AskedRequest, Caller } from './append-request.ts'
import {
  issueToken,
  publishPrices,
  registerLabelSet,
  registerTenant,
  removeCap,
  requestCancel,
  revokeToken,
  setCap,
  tokenHash,
} from './index.ts'
import { caller, type Door, openDoor, openRig, type Rig, requestsIn } from './testing/rig.ts'

let rig: Rig
let door: Door
beforeAll(async () => {
  rig = await openRig()
  door = openDoor(rig)
})
afterAll(() => rig.close())

const requestOf = async (requestId: string) =>
  (await requestsIn(rig.log)).find((request) => request.requestId === requestId)

test('every request is in the log with its header when the call returns', async () => {
  const { appender } = door
  const tenantId = 'harbor'
  const follow = { ...caller, traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' }
  const cap = {
    capId: 'month',
    metric: 'money',
    limit: 5n,
    period: 'month',
    anchorDate: null,
    scopeMemberId: null,
    scopeCapability: null,
  } as const
  const asked = await Promise.all([
    setCap(appender, follow, { tenantId, ...cap }),
    removeCap(appender, follow, { tenantId, capId: 'month' }),
    requestCancel(appender, follow, { tenantId, jobId: 'job_1' }),
    revokeToken(appender, follow, { tenantId, tokenId: 'tok_1' }),
    publishPrices(appender, follow, { hash: 'h', book: '{}' }),
  ])
  const requests = await Promise.all(asked.map(({ requestId }) => requestOf(requestId)))
  expect(requests.map((request) => request?.type)).toEqual([
    'SetCap',
    'RemoveCap',
    'RequestCancel',
    'RevokeToken',
    'PublishPrices',
  ])
  expect(requests.map((request) => request?.tenantId)).toEqual([tenantId, tenantId, tenantId, tenantId, 'platform'])
  for (const request of requests) expect(request).toMatchObject({ ...follow, directoryVersion: 0n })
  expect(requests[0]).toMatchObject(cap)
  expect(asked.map(({ position }) => position.offset)).toEqual(requests.map((request) => request?.stored.offset))
})

test('where the directory ends is asked of the log once, by the caller or for it; when that fails nothing is written', async () => {
  let looks = 0
  const log: Log = {
    ...rig.log,
    async directoryEnd() {
      looks += 1
      return 7n
    },
  }
  const { appender } = openDoor({ ...rig, log })
  const cancel = (by: Caller) => requestCancel(appender, by, { tenantId: 'harbor', jobId: 'job_1' })
  const early = { ...caller, directoryEnd: appender.directoryEnd() }
  const asked = [await cancel(early), await cancel(early)]
  expect(looks).toBe(1)
  asked.push(await cancel(caller))
  expect(looks).toBe(2)
  const requests = await Promise.all(asked.map(({ requestId }) => requestOf(requestId)))
  expect(requests.map((request) => request?.directoryVersion)).toEqual([7n, 7n, 7n])

  const before = (await requestsIn(rig.log)).length
  const lost = cancel({ ...caller, directoryEnd: Promise.reject(new PlatformError('LOG_UNAVAILABLE', {})) })
  await expect(lost).rejects.toMatchObject({ code: 'LOG_UNAVAILABLE' })
  expect((await requestsIn(rig.log)).length).toBe(before)
})

test('a token is random, is given once, and only its hash is in the log', async () => {
  const wanted = { tenantId: 'harbor', role: 'reader', memberId: null, expiresAt: null } as const
  const [one, two] = await Promise.all([1, 2].map(() => issueToken(door.appender, systemRandom, caller, wanted)))
  expect(one?.token).toMatch(/^pf3_[A-Za-z0-9_-]{43}$/)
  expect(one?.token).not.toBe(two?.token)
  const request = await requestOf(one?.requestId ?? '')
  expect(request).toMatchObject({ type: 'IssueToken', tokenId: one?.tokenId, secretHash: tokenHash(one?.token ?? '') })
  expect(Buffer.from(request?.stored.value ?? []).includes(one?.token ?? '')).toBe(false)
})

test('a tenant gets an id when it has none, and is asked of the platform', async () => {
  const tenant = { level: 'client', parentId: 'platform', name: 'Harbor', currency: 'USD', timeZone: 'UTC' } as const
  const made = await registerTenant(door.appender, systemRandom, caller, tenant)
  expect(made.registeredTenantId).toMatch(/^ten_[0-9a-z]{26}$/)
  const named = await registerTenant(door.appender, systemRandom, caller, { ...tenant, registeredTenantId: 'harbor' })
  expect(await requestOf(named.requestId)).toMatchObject({ tenantId: 'platform', registeredTenantId: 'harbor' })
})

test('the content of a label set is in the vault, and the log has its place and size', async () => {
  const content = Buffer.from('{"examples":[],"labels":["a"]}')
  const hash = createHash('sha256').update(content).digest('hex')
  const labelSet = { tenantId: 'harbor', labelSetId: 'mails', hash, labelCount: 1, exampleCount: 0, content }
  const [first, again] = [
    await registerLabelSet(door.appender, rig.vault, caller, labelSet),
    await registerLabelSet(door.appender, rig.vault, caller, labelSet),
  ]
  const request = await requestOf(first.requestId)
  if (request?.type !== 'RegisterLabelSet') throw new Error('no RegisterLabelSet')
  expect(request.payloadBytes).toBe(BigInt(content.byteLength))
  expect(Buffer.from((await rig.vault.get('harbor', [request.payloadRef])).get(request.payloadRef) ?? [])).toEqual(
    content,
  )
  expect(await requestOf(again.requestId)).toMatchObject({ payloadRef: request.payloadRef })
})

test('requests that wait together are appended together', async () => {
  const sizes: number[] = []
  const counting: Log = {
    ...rig.log,
    partitionCount: rig.log.partitionCount,
    append(records) {
      sizes.push(records.length)
      return rig.log.append(records)
    },
  }
  const { appender } = openDoor({ ...rig, log: counting })
  const cancels = Array.from({ length: 300 }, (_, i) =>
    requestCancel(appender, caller, { tenantId: `t-${i % 7}`, jobId: `job_${i}` }),
  )
  const appended = await Promise.all(cancels)
  expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(300)
  expect(sizes.length).toBeLessThan(10)
  expect(new Set(appended.map(({ requestId }) => requestId)).size).toBe(300)
})

test('no door can hand over a transfer: that is the part of the owner of its sender', () => {
  // What a caller can ask for leaves it out: otherwise this would not compile.
  const isForCallers: [Extract<AskedRequest, { type: 'TransferArrived' }>] extends [never] ? false : true = false
  expect(isForCallers).toBe(false)
})
