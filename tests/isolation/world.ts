/** Tenants above, beside, below and far from one of ours, each with something of every kind, behind a door that counts. */
import { setTimeout as sleep } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import type { Role } from '../../api/auth/principal.ts'
import type { Route } from '../../api/route.ts'
import type { openTenant, Service } from '../../api/testing/service.ts'
import type { Clock } from '../../platform/clock.ts'
import type { Database, Tx } from '../../platform/postgres/database.ts'
import { callOf, type Ids, jobBody } from './kinds.ts'

export type Tenant = Awaited<ReturnType<typeof openTenant>>
/** `tag` is in every name that the tenant gives. */
export type Owned = { tenant: Tenant; ids: Ids; tag: string; secrets: string[] }

const labelSet = (tag: string) => ({
  labels: [`${tag}-yes`, `${tag}-no`],
  examples: [
    { text: 'one', label: `${tag}-yes` },
    { text: 'two', label: `${tag}-no` },
  ],
})

/** Gives the tenant a cap, a token, a label set, two ended jobs and ledger lines, all of a member of its own. */
export async function furnish(tenant: Tenant, tag: string): Promise<Owned> {
  const { id, admin } = tenant
  const ids = { tenant: id, member: `${tag}-member`, cap: `${tag}-cap0`, labelSet: `${tag}-set0` }
  const scope = { memberId: ids.member }
  const cap = { metric: 'requests', limit: 1_000, period: 'day', scope }
  ;(await admin.put(`/v1/tenants/${id}/caps/${ids.cap}`, cap)).expect(200)
  ;(await admin.put(`/v1/label-sets/${ids.labelSet}`, labelSet(tag))).expect(200)
  const token = (await admin.post(`/v1/tenants/${id}/tokens`, { role: 'reader', memberId: ids.member })).expect(201)
  const jobs: Record<string, unknown>[] = []
  for (let i = 0; i < 2; i++) jobs.push((await admin.post('/v1/jobs?wait=30', jobBody(ids))).expect(200))
  const period = new Date().toISOString().slice(0, 7)
  const ledger = (await admin.get(`/v1/billing/ledger?period=${period}`)).expect(200)
  const [line] = ledger['lines'] as { id: string }[]
  const erasure = (await admin.post(`/v1/tenants/${id}/erasures`, undefined)).expect(202)
  const [set] = (await admin.get('/v1/audit?type=CapSet')).expect(200)['events'] as { actor: string }[]
  const [job, another] = jobs.map((one) => String(one['id']))
  const all: Ids = {
    ...ids,
    token: String(token['id']),
    actor: set?.actor ?? '',
    erasure: String(erasure['id']),
    job: job ?? '',
    line: line?.id ?? '',
    priceBook: '0'.repeat(64),
  }
  const { priceBook: _, tenant: __, ...own } = all
  const secrets = [...Object.values(own), another ?? '', String(token['token']), `Tenant ${id}`, `${tag}-yes`]
  return { tenant, ids: all, tag, secrets }
}

export type Said = { status: number; headers: string; text: string }

/** One call, whatever it is answered. */
export async function say(
  url: string,
  authorization: string | undefined,
  route: Route,
  ids: Ids,
  more: { body?: unknown } = {},
): Promise<Said> {
  const { method, path, body } = callOf(route, ids)
  const sent = 'body' in more ? more.body : body
  const response = await fetch(`${url}${path}`, {
    method,
    headers: {
      ...(authorization !== undefined && { Authorization: authorization }),
      ...(sent !== undefined && { 'Content-Type': 'application/json' }),
    },
    ...(sent !== undefined && { body: JSON.stringify(sent) }),
    signal: AbortSignal.timeout(30_000),
  })
  const headers = [...response.headers].map(([name, value]) => `${name}: ${value}`).join('\n')
  return { status: response.status, headers, text: await response.text() }
}

/** What differs from one call to the next by itself: when it was, which call it was, how often our own was set. */
const passing: readonly [RegExp, string][] = [
  [/^ratelimit: .*$/gm, 'ratelimit: <n>'],
  [/"\d+\.\d{13}\.[\w-]{43}"/g, '<quote>'],
  [/\b(job|req|tok|line|evt|att|ten)_[0-9a-z]{26,27}\b/g, '<$1>'],
  [/\bpf3_[\w-]{20,}/g, '<secret>'],
  [/\b[0-9a-f]{32}\b/g, '<id>'],
  [/\d{4}-\d\d-\d\dT[\d:.]+Z/g, '<time>'],
  [/^date: .*$/gm, ''],
  [/"version":\d+/g, '"version":<n>'],
  [/^(x-)?ratelimit[\w-]*: .*$/gm, ''],
]

/** The answer without the ids that were asked for and without what differs by itself: byte for byte otherwise. */
export function bare({ status, headers, text }: Said, asked: Ids): string {
  const whole = `${status}\n${headers}\n\n${text}`
  const named = Object.entries(asked).reduce((said, [kind, id]) => said.replaceAll(id, `<${kind}>`), whole)
  return passing.reduce((said, [form, to]) => said.replaceAll(form, to), named)
}

/** Done after an answer, whenever there is time, for several requests at once. */
const afterwards = /SET appended|INTO token_use/

/** What a door asks of the database, statement by statement; polls that repeat what was asked last count once. */
export function counting(real: Database): { database: Database; take: () => string[] } {
  const seen: string[] = []
  const note = (what: string) => {
    if (seen.at(-1) !== what && !afterwards.test(what)) seen.push(what)
  }
  const noted = <T>(as: string, run: (tx: Tx) => Promise<T>) => {
    const notedTx = (tx: Tx): Tx => ({
      query: (text, values) => {
        note(`${as}: ${text}`)
        return tx.query(text, values)
      },
      get last() {
        return notedTx(tx.last)
      },
    })
    return (tx: Tx) => run(notedTx(tx))
  }
  return {
    database: {
      ...real,
      asTenant: (id, run) => real.asTenant(id, noted('tenant', run)),
      asService: (run) => real.asService(noted('service', run)),
    },
    take: () => seen.splice(0),
  }
}

/** The same clock, further on. */
export const ahead = (clock: Clock, byMs: number): Clock => ({ ...clock, nowMs: () => clock.nowMs() + byMs })

/** Tokens of the tenant that no longer work: revoked ones, and ones that have expired an hour from now. */
export async function deadTokens(service: Service, { id, admin }: Tenant, role: Role) {
  const path = `/v1/tenants/${id}/tokens`
  const revoked = (await admin.post(path, { role })).expect(201)
  ;(await admin.delete(`${path}/${revoked['id']}`)).expect(204)
  const expiresAt = new Date(Date.now() + 3_600_000).toISOString()
  const expired = (await admin.post(path, { role, expiresAt })).expect(201)
  ;(await service.as(String(expired['token'])).get(`/v1/tenants/${id}`)).expect(200)
  return { revoked: String(revoked['token']), expired: String(expired['token']) }
}

/** How many facts each tenant has: what any act on it would raise. Transfers come by themselves, from below. */
export async function factCounts(database: Database): Promise<Record<string, number>> {
  const { rows } = await database.asService((tx) =>
    tx.query<{ tenant_id: string; n: number }>(
      `SELECT tenant_id, sum(n)::int AS n FROM (
         SELECT tenant_id, 1 AS n FROM audit_trail WHERE stream <> 'transfers'
         UNION ALL SELECT tenant_id, cardinality(string_to_array(facts, E'\\n')) FROM job_trail) facts
       GROUP BY 1`,
    ),
  )
  return Object.fromEntries(rows.map(({ tenant_id, n }) => [tenant_id, n]))
}

/** The same once no job that was asked for before goes on any more. */
export const factCountsAtRest = (database: Database) => atRest(() => factCounts(database))

/** What is read once two readings, `quietMs` apart, say the same. Whoever never rests runs into the limit of the test. */
export async function atRest<T>(read: () => Promise<T>, quietMs = 100): Promise<T> {
  for (let before = await read(); ; ) {
    await sleep(quietMs)
    const after = await read()
    if (isDeepStrictEqual(before, after)) return after
    before = after
  }
}
