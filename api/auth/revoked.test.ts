/** A credential that ends while a request is under way: nothing that comes later is told to it, or done for it. */
import { request as httpRequest } from 'node:http'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { sleep, systemClock } from '../../platform/clock.ts'
import { PlatformError } from '../../platform/errors.ts'
import { clientOf } from '../testing/client.ts'
import { openTenant, type Service, startService } from '../testing/service.ts'

let service: Service
let tenant: Awaited<ReturnType<typeof openTenant>>
beforeAll(async () => {
  service = await startService()
  tenant = await openTenant(service, 'harbor')
  service.scripted.play([{ promptHas: 'for ever', breaks: 'hang' }])
})
afterAll(() => service.stop())

const endless = { capability: 'generate.text', input: { prompt: 'for ever' } }
const tokens = '/v1/tenants/harbor/tokens'
const members = '/v1/tenants/harbor/members'
/** From then on a request looks at its credential again. */
const long = () => sleep(systemClock, 1_100)
const submit = async () => String((await tenant.submitter.post('/v1/jobs', endless)).expect(202)['id'])
const cancel = async (jobId: string) => (await tenant.submitter.delete(`/v1/jobs/${jobId}?wait=30`)).expect(200)

/** A token of its own, and how it ends. */
async function issue(role: string): Promise<{ token: string; revoke(): Promise<void> }> {
  const { id, token } = (await tenant.admin.post(tokens, { role })).expect(201)
  return {
    token: String(token),
    revoke: async () => void (await tenant.admin.delete(`${tokens}/${String(id)}`)).expect(204),
  }
}

async function ofMember(role: string): Promise<{ token: string; revoke(): Promise<void> }> {
  const memberId = `leaving-${role}`
  ;(await tenant.admin.put(`${members}/${memberId}`, { kind: 'agent' })).expect(200)
  const { token } = (await tenant.admin.post(tokens, { role, memberId })).expect(201)
  return {
    token: String(token),
    revoke: async () => void (await tenant.admin.delete(`${members}/${memberId}`)).expect(204),
  }
}

describe.each([
  ['a token that is revoked', issue],
  ['a token whose member is removed', ofMember],
])('%s', (_, make) => {
  test('hears no further event of a stream that it had opened', async () => {
    const jobId = await submit()
    const { token, revoke } = await make('reader')
    const response = await fetch(`${service.url}/v1/jobs/${jobId}/events`, {
      headers: { Authorization: `Bearer ${token}` },
    })
    const parts = response.body?.pipeThrough(new TextDecoderStream())[Symbol.asyncIterator]()
    let heard = ''
    while (!heard.includes('event: attempt-started')) heard += (await parts?.next())?.value ?? ''
    await revoke()
    await cancel(jobId)
    await expect(parts?.next()).rejects.toThrow('terminated')
  })

  test('is not told the end that it waits for', async () => {
    const jobId = await submit()
    const { token, revoke } = await make('reader')
    const waiting = service.as(token).get(`/v1/jobs/${jobId}?wait=60`)
    await long()
    await revoke()
    await cancel(jobId)
    ;(await waiting).problem(401, 'UNAUTHENTICATED')
  })

  test.each([
    ['/v1/jobs?wait=60', endless],
    ['/v1/jobs/batch?wait=60', { jobs: [endless] }],
  ])('is not told the end of what it submits: %s', async (path, body) => {
    const { token, revoke } = await make('submitter')
    const waiting = service.as(token).post(path, body)
    await long()
    await revoke()
    const [job] = (await tenant.reader.get('/v1/jobs?status=running')).expect(200)['jobs'] as { id: string }[]
    await cancel(String(job?.id))
    ;(await waiting).problem(401, 'UNAUTHENTICATED')
  })

  test('submits nothing with a body that comes in later', async () => {
    const { token, revoke } = await make('submitter')
    const before = (await tenant.reader.get('/v1/jobs')).expect(200)
    const text = JSON.stringify(endless)
    const answered = Promise.withResolvers<number | undefined>()
    const late = httpRequest(`${service.url}/v1/jobs`, {
      method: 'POST',
      headers: {
        Authorization: `Bearer ${token}`,
        'Content-Type': 'application/json',
        'Content-Length': text.length,
      },
    })
    late.on('response', (response) => answered.resolve(response.resume().statusCode)).on('error', answered.reject)
    late.write(text.slice(0, 10))
    await long()
    await revoke()
    late.end(text.slice(10))
    expect(await answered.promise).toBe(401)
    expect((await tenant.reader.get('/v1/jobs')).expect(200)).toEqual(before)
  })
})

test('who has submitted a job is told of it also where nobody can say any more whether the token is good', async () => {
  let isAway = false
  const away = () => Promise.reject(new PlatformError('DATABASE_UNAVAILABLE', { during: 'connect' }))
  const { database } = service
  const { api, url } = await service.openDoor({
    database: { ...database, asService: (run) => (isAway ? away() : database.asService(run)) },
  })
  const waiting = clientOf(url, tenant.tokens.submitter).post('/v1/jobs?wait=2', endless)
  await long()
  isAway = true
  const { id } = (await waiting).expect(202)
  isAway = false
  await cancel(String(id))
  await api.stop()
})

test('none of this was a fault', () => expect(service.logged).toEqual([]))
