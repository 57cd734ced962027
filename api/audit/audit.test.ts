/** Who did what, when and why: the trail of a tenant over HTTP, against the whole service and against its log. */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { z } from 'zod'
import { startOfFacts } from '../../platform/log/log.ts'
import { memoryCodec } from '../../producers/testing/rig.ts'
import { auditPage } from '../../projections/audit-trail/queries.ts'
import { type Fact, factTypesOfNoJob, streamOf } from '../../schemas/events.generated.ts'
import { isoFromMicros } from '../../schemas/units.ts'
import type { Client } from '../testing/client.ts'
import { openTenant, rootToken, type Service, startService } from '../testing/service.ts'
import { eventReply } from './convert.ts'

type Event = z.infer<typeof eventReply>
type Tenant = Awaited<ReturnType<typeof openTenant>>

let service: Service
let partner: Tenant
let harbor: Tenant
let quay: Tenant
/** Two admins of harbor. */
let ada: Client
let ben: Client
const cap = { metric: 'requests', limit: 1_000, period: 'day' }
const job = { capability: 'classify.sentiment', input: { text: 'fine' } }

beforeAll(async () => {
  service = await startService()
  partner = await openTenant(service, 'partner-1', { level: 'partner' })
  harbor = await openTenant(service, 'harbor', { parentId: 'partner-1' })
  quay = await openTenant(service, 'quay', { parentId: 'partner-1' })
  ada = service.as(await harbor.issue('tenant-admin', 'ada'))
  ben = service.as(await harbor.issue('tenant-admin', 'ben'))
  ;(await ada.put('/v1/tenants/harbor/caps/daily', cap)).expect(200)
  ;(await ben.put('/v1/tenants/harbor/members/eve', { kind: 'staff' })).expect(200)
  ;(await ben.put('/v1/tenants/harbor/caps/daily', { ...cap, limit: 900 })).expect(200)
  ;(await ada.delete('/v1/tenants/harbor/members/eve')).expect(204)
  for (const { submitter } of [harbor, quay]) (await submitter.post('/v1/jobs?wait=30', job)).expect(200)
  for (const { reader } of [harbor, quay]) await toldAll(reader)
})
afterAll(() => service.stop())

async function page(who: Client, query: string): Promise<{ events: Event[]; next: string | null }> {
  const { events, next } = (await who.get(`/v1/audit?${query}`)).expect(200)
  return { events: events as Event[], next: next as string | null }
}

const trail = async (who: Client, query = ''): Promise<Event[]> => (await page(who, `limit=1000&${query}`)).events

/** What ancestors are told comes by itself: waits until facts say that all of it is where it belongs. Then all is quiet. */
async function toldAll(who: Client): Promise<void> {
  for (const end = Date.now() + 20_000; ; await sleep(20)) {
    const events = await trail(who, 'stream=transfers')
    const sent = events.filter(({ type }) => type === 'TransferSent').length
    const forwarded = events.flatMap(({ body }) => body['transfers'] ?? []).length
    if (sent > 0 && sent === forwarded) return
    if (Date.now() > end) throw new Error(`told ${forwarded} of ${sent} in time`)
  }
}

async function actorOf(memberId: string): Promise<string> {
  const issued = await trail(harbor.reader, 'type=TokenIssued')
  return `token:${issued.find(({ body }) => body['memberId'] === memberId)?.body['tokenId']}`
}

test('what was asked for is there when the call returns: by whom, when, because of what, and what came of it', async () => {
  const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
  const headers = { 'X-Request-Id': 'case-4711', traceparent }
  const before = new Date().toISOString()
  ;(await ada.put('/v1/tenants/harbor/caps/weekly', { ...cap, period: 'week' }, { headers })).expect(200)
  ;(await ada.delete('/v1/tenants/harbor/caps/none', { headers })).problem(404, 'NOT_FOUND')
  const [refused, set] = await trail(harbor.reader, 'stream=accounts')
  expect(set).toEqual({
    id: expect.stringMatching(/^evt_/),
    type: 'CapSet',
    stream: 'accounts',
    seq: expect.stringMatching(/^\d+$/),
    occurredAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
    actor: await actorOf('ada'),
    causedBy: expect.stringMatching(/^req_/),
    correlationId: 'case-4711',
    traceparent,
    body: expect.objectContaining({ capId: 'weekly', metric: 'requests', limit: '1000', period: 'week' }),
  })
  expect([before <= (set?.occurredAt ?? ''), (set?.occurredAt ?? '') <= new Date().toISOString()]).toEqual([true, true])
  expect(refused).toMatchObject({
    type: 'RequestRefused',
    actor: await actorOf('ada'),
    correlationId: 'case-4711',
    body: { requestType: 'RemoveCap', reason: 'cap_unknown', subject: 'none' },
  })
})

test('a platform admin stands there with its reason', async () => {
  const [acted] = await trail(harbor.reader, 'type=AdminActed')
  expect(acted).toMatchObject({ actor: 'token:root', body: { justification: 'set-up of a test', method: 'POST' } })
})

/** The tenant's facts as they stand in the log, those about no job, newest first. */
async function logged(tenantId: string): Promise<Fact[]> {
  const all: Fact[] = []
  for (let partition = 0; partition < service.log.partitionCount; partition++) {
    const { facts } = await service.log.readFacts(partition, startOfFacts, { recordsMax: 10_000, waitMs: 0 })
    all.push(...facts.map(({ value }) => memoryCodec.decode(value) as Fact))
  }
  return all.filter((fact) => fact.tenantId === tenantId && !('jobId' in fact)).sort((a, b) => Number(b.seq - a.seq))
}

/** As JSON has it: what is more than a number holds is text. */
const asJson = (value: unknown): unknown =>
  JSON.parse(JSON.stringify(value, (_, inner) => (typeof inner === 'bigint' ? String(inner) : inner)))

test('it shows what the log has, fact by fact and field by field, but for the hash of a token', async () => {
  for (const { id, reader } of [harbor, quay, partner]) {
    const wanted = (await logged(id)).map(
      ({ eventId, type, seq, occurredAt, actor, causedBy, correlationId, traceparent, ...rest }) => {
        const { tenantId: _, intakeOffset: __, ...body } = rest
        return {
          id: eventId,
          type,
          stream: streamOf[type],
          seq: String(seq),
          occurredAt: isoFromMicros(occurredAt),
          actor,
          causedBy,
          correlationId,
          traceparent,
          body: asJson({ ...body, secretHash: undefined }),
        }
      },
    )
    expect(wanted.length).toBeGreaterThan(5)
    expect(await trail(reader)).toEqual(wanted)
  }
})

test('page by page everything once, and what happens between two pages shifts nothing', async () => {
  const before = await trail(harbor.reader)
  const seen: Event[] = []
  let [next, pages]: [string | null, number] = [null, 0]
  do {
    const read = await page(harbor.reader, `limit=3${next === null ? '' : `&cursor=${next}`}`)
    seen.push(...read.events)
    next = read.next
    pages += 1
    ;(await ben.put('/v1/tenants/harbor/caps/often', { ...cap, limit: pages })).expect(200)
  } while (next !== null)
  expect(seen).toEqual(before)
  expect(pages).toBe(Math.ceil(before.length / 3))
  expect((await trail(harbor.reader)).length).toBe(before.length + pages)
})

test('a last page that is full has no next', async () => {
  const all = await trail(harbor.reader, 'type=MemberAdded')
  expect((await page(harbor.reader, `type=MemberAdded&limit=${all.length}`)).next).toBeNull()
})

describe('filters', () => {
  test('each, and several together, give all that meet them and nothing else', async () => {
    const [all, byAda, byBen] = [await trail(harbor.reader), await actorOf('ada'), await actorOf('ben')]
    const half = all[Math.floor(all.length / 2)]?.occurredAt ?? ''
    const late = all[2]?.occurredAt ?? ''
    const cases: [query: string, meets: (event: Event) => boolean][] = [
      ['type=CapSet', ({ type }) => type === 'CapSet'],
      ['stream=accounts', ({ stream }) => stream === 'accounts'],
      ['stream=transfers', ({ stream }) => stream === 'transfers'],
      [`actor=${byAda}`, ({ actor }) => actor === byAda],
      ['actor=owner', ({ actor }) => actor === 'owner'],
      [`from=${half}`, ({ occurredAt }) => occurredAt >= half],
      [`to=${half}`, ({ occurredAt }) => occurredAt < half],
      [`from=${half}&to=${late}`, ({ occurredAt }) => occurredAt >= half && occurredAt < late],
      [`type=CapSet&actor=${byBen}`, ({ type, actor }) => type === 'CapSet' && actor === byBen],
      [`actor=${byBen}&stream=accounts&from=${half}`, (e) => e.actor === byBen && e.occurredAt >= half],
      [`type=TransferSent&actor=owner&to=${late}`, (e) => e.type === 'TransferSent' && e.occurredAt < late],
    ]
    for (const [query, meets] of cases) {
      const wanted = all.filter(meets)
      expect([query, wanted.length > 0 && wanted.length < all.length]).toEqual([query, true])
      expect([query, await trail(harbor.reader, query)]).toEqual([query, wanted])
    }
  })

  test.each([
    'type=ContentErased',
    'type=CapSet&stream=transfers',
    'stream=directory',
    'actor=token:nobody',
    'actor=keeper',
    'from=9999-12-31T23:59:59Z',
    'to=0001-01-01T00:00:00Z',
    'from=2026-11-01T00:00:00Z&to=2026-11-01T00:00:00Z',
  ])('%s: nothing meets it, and that is said as an empty page', async (query) => {
    expect(await page(harbor.reader, query)).toEqual({ events: [], next: null })
  })

  test('a page of filtered events goes on under the same filters', async () => {
    const query = `actor=${await actorOf('ben')}&stream=accounts`
    const all = await trail(harbor.reader, query)
    const first = await page(harbor.reader, `${query}&limit=1`)
    const rest = await page(harbor.reader, `${query}&limit=1000&cursor=${first.next}`)
    expect([...first.events, ...rest.events]).toEqual(all)
  })
})

describe('what is wrong is said, with what was expected and what to do', () => {
  const unknown = 'It is not one of the known values.'
  const noForm = 'It does not have the expected form.'
  const [types, streams] = [`One of ${factTypesOfNoJob.join(', ')}.`, 'One of directory, accounts, transfers.']
  const actors = 'owner, keeper, or token: and the id of a token'
  const aTime = 'a time in UTC, such as 2026-01-31T12:00:00Z'
  test.each([
    ['type=CapsSet', 'type', unknown, types, 'Choose one of them.'],
    ['type=JobRated', 'type', unknown, types, 'Choose one of them.'],
    ['stream=jobs', 'stream', unknown, streams, 'Choose one of them.'],
    ['actor=ada', 'actor', noForm, actors, 'Write it in that form.'],
    ['actor=tok_1', 'actor', noForm, actors, 'Write it in that form.'],
    ['actor=token:', 'actor', noForm, actors, 'Write it in that form.'],
    ['actor=token:a%20b', 'actor', noForm, actors, 'Write it in that form.'],
    ['from=2026-11-01', 'from', noForm, aTime, 'Write it in that form.'],
    ['to=2026-11-31T00:00:00Z', 'to', noForm, aTime, 'Write it in that form.'],
    [
      'from=2026-11-01T12:00:00.001Z&to=2026-11-01T12:00:00Z',
      'to',
      'It is before `from`.',
      'The same as `from`, or later.',
      'Exchange the two.',
    ],
    ['limit=0', 'limit', noForm, 'a whole number from 1 to 1000', 'Write it in that form.'],
    ['limit=1001', 'limit', noForm, 'a whole number from 1 to 1000', 'Write it in that form.'],
    [
      'memberId=ada',
      'memberId',
      'It is not a known field.',
      'Only the documented fields.',
      'Remove it, or correct its name.',
    ],
  ])('%s', async (query, field, problem, expected, remedy) => {
    const { errors } = (await harbor.reader.get(`/v1/audit?${query}`)).problem(400, 'REQUEST_INVALID')
    expect(errors).toEqual([{ where: `query.${field}`, problem, expected, remedy }])
  })

  test('a cursor that is none, of other filters, or of somebody else', async () => {
    const { next } = await page(harbor.reader, 'stream=accounts&limit=1')
    const made = Buffer.from('["1794312000000000","4"]').toString('base64url')
    const refused: [who: Client, query: string][] = [
      [harbor.reader, 'cursor=abc'],
      [harbor.reader, `cursor=${made}`],
      [harbor.reader, `cursor=${next}`],
      [harbor.reader, `stream=accounts&type=CapSet&cursor=${next}`],
      [harbor.reader, `stream=accounts&to=2099-01-01T00:00:00Z&cursor=${next}`],
      [quay.reader, `stream=accounts&cursor=${next}`],
    ]
    for (const [who, query] of refused)
      expect((await who.get(`/v1/audit?${query}`)).problem(400, 'REQUEST_INVALID').errors).toEqual([
        {
          where: 'query.cursor',
          problem: 'It is not a cursor of this list.',
          expected: 'The value of `next` from the page before, with the same filters.',
          remedy: 'Leave it out to begin at the first page.',
        },
      ])
  })
})

describe('who reads it', () => {
  test('admins and readers of the tenant, alike; who submits does not', async () => {
    expect(await trail(harbor.admin)).toEqual(await trail(harbor.reader))
    ;(await harbor.submitter.get('/v1/audit')).problem(403, 'FORBIDDEN')
  })

  test('nobody of another tenant, above or beside: neither over HTTP nor by a statement that names the tenant', async () => {
    const own = new Set((await trail(harbor.reader)).map(({ id }) => id))
    for (const { id, admin } of [partner, quay]) {
      expect((await trail(admin)).filter((event) => own.has(event.id))).toEqual([])
      const { items } = await service.database.asTenant(id, (tx) => auditPage(tx, 'harbor', { limit: 1_000 }))
      expect(items).toEqual([])
    }
  })

  test('an ancestor sees of it what it was told', async () => {
    const taken = await trail(partner.reader, 'type=TransferTaken')
    const sent = await trail(harbor.reader, 'type=TransferSent')
    const toPartner = sent.filter(({ body }) => body['toTenantId'] === 'partner-1')
    expect(toPartner.length).toBeGreaterThan(0)
    expect(
      taken
        .filter(({ body }) => body['fromTenantId'] === 'harbor')
        .map(({ causedBy, body }) => [causedBy, body['rollup']]),
    ).toEqual(toPartner.map(({ id, body }) => [id, body['rollup']]))
  })

  test('a platform admin the trail of the platform, without a reason, and without the text of price books', async () => {
    const admin = service.as(rootToken)
    const registered = await trail(admin, 'type=TenantRegistered')
    expect(registered.map(({ body }) => body['registeredTenantId'])).toEqual(['quay', 'harbor', 'partner-1'])
    const [published] = await trail(admin, 'type=PriceBookPublished')
    expect(Object.keys(published?.body ?? {})).toEqual(['hash', 'currency', 'effectiveFrom'])
    ;(await admin.get(`/v1/price-books/${published?.body['hash']}`)).expect(200)
    expect(new Set((await trail(admin)).map(({ body }) => body['justification']))).toEqual(new Set([undefined]))
  })
})

test('no token can be found in it, nor the hash of one', async () => {
  const secrets = [harbor, quay, partner]
    .flatMap(({ tokens }) => Object.values(tokens))
    .flatMap((token) => [token, createHash('sha256').update(token).digest('hex')])
  for (const { reader } of [harbor, quay, partner]) {
    const { text } = await reader.get('/v1/audit?limit=1000')
    expect(secrets.filter((secret) => text.includes(secret))).toEqual([])
    expect(text).not.toContain('secretHash')
  }
})

describe('docs/audit.md', () => {
  const text = readFileSync(join(import.meta.dirname, '../../docs/audit.md'), 'utf8')
  const block = (language: string) => new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``).exec(text)?.[1]?.trim() ?? ''

  test('its requests are taken as they stand', async () => {
    const lines = block('http').split('\n')
    expect(lines).toHaveLength(3)
    for (const line of lines) (await harbor.reader.get(line.replace('GET ', ''))).expect(200)
  })

  test('its answer looks like an answer', async () => {
    const shown = eventReply.parse(JSON.parse(block('json')))
    const [event] = await trail(harbor.reader, `type=${shown.type}`)
    expect([Object.keys(shown), Object.keys(shown.body)]).toEqual([
      Object.keys(event ?? {}),
      Object.keys(event?.body ?? {}),
    ])
  })
})

test('nothing of all this was a fault', () => {
  expect(service.logged).toEqual([])
})
