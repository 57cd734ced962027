/** A job's events are told in their order, once each, to whoever comes when and how often, until the last. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { z } from 'zod'
import { systemClock } from '../../platform/clock.ts'
import { openTenant, type Service, startService } from '../testing/service.ts'
import { jobEvent } from './job-events.ts'

let service: Service
let tenant: Awaited<ReturnType<typeof openTenant>>
beforeAll(async () => {
  service = await startService()
  tenant = await openTenant(service, 'harbor')
})
afterAll(() => service.stop())

const quick = { capability: 'classify.sentiment', input: { text: 'good' } }
const generate = (prompt: string) => ({
  capability: 'generate.text',
  input: { prompt },
})

type Told = { id: string; event: string; data: z.infer<typeof jobEvent> }

/** What the stream tells, as it comes, comments too; ends with the stream, or when the test has heard enough. */
async function* hear(
  jobId: string,
  { lastEventId, url = service.url }: { lastEventId?: string | undefined; url?: string } = {},
): AsyncGenerator<Told | 'comment'> {
  const enough = new AbortController()
  const response = await fetch(`${url}/v1/jobs/${jobId}/events`, {
    headers: { Authorization: `Bearer ${tenant.tokens.reader}`, ...(lastEventId && { 'Last-Event-ID': lastEventId }) },
    signal: enough.signal,
  })
  expect([response.status, response.headers.get('content-type')]).toEqual([200, 'text/event-stream; charset=utf-8'])
  let text = ''
  try {
    for await (const chunk of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
      const blocks = (text + chunk).split('\n\n')
      text = blocks.pop() ?? ''
      for (const block of blocks) {
        if (block.startsWith(':')) yield 'comment'
        const [, id = '', event = '', data = ''] = /^id: (.*)\nevent: (.*)\ndata: (.*)$/.exec(block) ?? []
        if (id) yield { id, event, data: jobEvent.parse(JSON.parse(data)) }
      }
    }
  } finally {
    enough.abort()
  }
}

async function all(jobId: string, lastEventId?: string): Promise<Told[]> {
  const told: Told[] = []
  for await (const one of hear(jobId, { lastEventId })) if (one !== 'comment') told.push(one)
  return told
}

const submit = async (job: object): Promise<string> =>
  (await tenant.submitter.post('/v1/jobs', job)).expect(202)['id'] as string

test('tells a job from its beginning to its end, which carries the job with its result', async () => {
  const id = await submit(quick)
  const told = await all(id)
  expect(told.map(({ event }) => event)).toEqual(['submitted', 'admitted', 'attempt-started', 'succeeded', 'rated'])
  expect(told.map(({ data }) => data.job === null)).toEqual([true, true, true, true, false])
  expect(told[2]?.data).toMatchObject({ jobId: id, attempt: 1, provider: 'local' })
  const seqs = told.map((one) => Number(one.id))
  expect(seqs).toEqual(seqs.toSorted((a, b) => a - b))
  expect(told.at(-1)?.data.job).toEqual((await tenant.reader.get(`/v1/jobs/${id}`)).expect(200))
})

test('goes on after the last event that was seen, wherever that was, and has nothing more to tell after the last', async () => {
  const id = await submit(quick)
  const told = await all(id)
  for (const [index, { id: lastEventId }] of told.slice(0, -1).entries())
    expect(await all(id, lastEventId)).toEqual(told.slice(index + 1))
  const last = { headers: { 'Last-Event-ID': told.at(-1)?.id ?? '' } }
  ;(await tenant.reader.get(`/v1/jobs/${id}/events`, last)).expect(204)
})

test('tells what happens while it is listened to: repetitions and a cancel, each once, over two connections', async () => {
  service.scripted.play([
    { promptHas: 'again', status: 500, times: 1 },
    { promptHas: 'again', breaks: 'hang' },
  ])
  const id = await submit(generate('again'))
  const told: Told[] = []
  for await (const one of hear(id)) {
    if (one !== 'comment') told.push(one)
    if (told.filter(({ event }) => event === 'attempt-started').length === 2) break
  }
  ;(await tenant.submitter.delete(`/v1/jobs/${id}`)).expect(202)
  told.push(...(await all(id, told.at(-1)?.id)))
  expect(told.map(({ event, data }) => [event, data.attempt, data.code])).toEqual([
    ['submitted', null, null],
    ['admitted', null, null],
    ['attempt-started', 1, null],
    ['attempt-failed', 1, 'PROVIDER_UNAVAILABLE'],
    ['attempt-started', 2, null],
    ['cancel-requested', null, null],
    ['attempt-failed', 2, 'CANCELLED'],
    ['cancelled', null, null],
    ['rated', null, null],
  ])
  expect(told[3]?.data.retryAt).toMatch(/^20/)
})

test('a refused job ends with its refusal', async () => {
  const id = await submit({ ...quick, maxCharge: '0.000000000001' })
  const told = await all(id)
  expect(told.map(({ event }) => event)).toEqual(['submitted', 'refused'])
  expect(told.at(-1)?.data.job).toMatchObject({ status: 'refused', refusal: { reason: 'over_max_charge' } })
})

test('shows that it stands while nothing happens, and ends in time for the client to come again', async () => {
  // A hundred times as fast, so that the 15 s between two signs of life and the 900 s of a stream pass in 9 s.
  const begin = systemClock.nowMs()
  const clock = {
    nowMs: () => begin + (systemClock.nowMs() - begin) * 100,
    after: (waitMs: number, wake: () => void) => systemClock.after(waitMs / 100, wake),
  }
  const door = await service.openDoor({ clock })
  service.scripted.play([{ promptHas: 'for ever', breaks: 'hang' }])
  const id = await submit(generate('for ever'))
  let comments = 0
  let lastEventId: string | undefined
  for await (const one of hear(id, { url: door.url })) {
    if (one === 'comment') comments += 1
    else lastEventId = one.id
  }
  expect(comments).toBeGreaterThan(10)
  ;(await tenant.submitter.delete(`/v1/jobs/${id}`)).expect(202)
  expect((await all(id, lastEventId)).at(-1)?.event).toBe('rated')
  await door.api.stop()
}, 30_000)

test('ends when the service stops, and every stream takes nothing with it when its client hangs up', async () => {
  const door = await service.openDoor()
  service.scripted.play([{ promptHas: 'for good', breaks: 'hang' }])
  const id = await submit(generate('for good'))
  const first = hear(id, { url: door.url })
  await first.next()
  await first.return(undefined)
  const second = hear(id, { url: door.url })
  await second.next()
  const stopped = door.api.stop()
  for await (const one of second) expect(one).toBeDefined()
  await stopped
  ;(await tenant.submitter.delete(`/v1/jobs/${id}?wait=30`)).expect(200)
  expect(service.logged).toEqual([])
})

test('refuses an id that no event has, and a job that is not there', async () => {
  const id = await submit(quick)
  for (const lastEventId of ['-1', 'x', '1e3', '9'.repeat(19)]) {
    const { errors = [] } = (
      await tenant.reader.get(`/v1/jobs/${id}/events`, { headers: { 'Last-Event-ID': lastEventId } })
    ).problem(400, 'REQUEST_INVALID')
    expect(errors.map(({ where }) => where)).toEqual(['header.Last-Event-ID'])
  }
  ;(await tenant.reader.get('/v1/jobs/job_none/events')).problem(404, 'NOT_FOUND')
})
