/**
 * Hostile text in every place that takes text: every operation's path, query, headers and every field of its body, made
 * from the route table. None of it reaches the text of a statement, changes what belongs to others, or is a fault.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Route } from '../../api/route.ts'
import { routeTable } from '../../api/route-table.ts'
import { openTenant, type Service, starterBook, startService } from '../../api/testing/service.ts'
import type { Database } from '../../platform/postgres/database.ts'
import { bodyOf, callOf, nameOf, pathNames, queryNames } from '../isolation/kinds.ts'
import { atRest, counting, furnish, type Owned } from '../isolation/world.ts'

/** Stands in every hostile text, and in nothing else: a statement with it in its text was made from input. */
const mark = 'zq9'
const hostile: readonly string[] = [
  `${mark}' OR '1'='1`,
  `${mark}'; DROP TABLE job_list; --`,
  `${mark}') UNION SELECT secret_hash FROM token_list --`,
  `${mark}'||(SELECT/**/pg_sleep(9))||'`,
  `${mark}"; UPDATE token_list SET role = "platform_admin" --`,
  `$1 ${mark} $$ \\'; RESET ROLE; SET pf3.tenant = "others"; --`,
  `${mark}\0x`,
  `${mark}\ud800`,
  `${mark}\r\nX-Injected: 1\r\n\r\n<b>`,
  `${mark}../../../../etc/passwd`,
  `${mark}\${7*7}{{7*7}}%s%n\u202e`,
  `${mark}${'x'.repeat(5_000)}`,
  '__proto__',
  'constructor',
  '',
]
const wrongTypes: readonly unknown[] = [null, true, -1, 1e300, 0.1, [], {}, [[]], { [mark]: 1 }]

const operations = routeTable.filter((route) => route.roles !== 'public')

let service: Service
let counted: ReturnType<typeof counting>
let url: string
let ours: Owned
let others: Owned
beforeAll(async () => {
  service = await startService()
  ours = await furnish(await openTenant(service, 'harbor'), 'ours')
  others = await furnish(await openTenant(service, 'others'), 'theirs')
  counted = counting(service.database)
  ;({ url } = await service.openDoor({ database: counted.database }))
}, 60_000)
afterAll(() => service.stop())

type Said = { status: number; type: string; text: string; headers: Headers }

async function send(method: string, path: string, headers: Record<string, string>, body?: string): Promise<Said> {
  const response = await fetch(`${url}${path}`, {
    method,
    headers: { ...(body !== undefined && { 'Content-Type': 'application/json' }), ...headers },
    ...(body !== undefined && { body }),
    redirect: 'manual',
  })
  const type = response.headers.get('content-type') ?? ''
  return { status: response.status, type, text: await response.text(), headers: response.headers }
}

/** Refused with problem details, or taken for what it is: text. */
function check(what: string, { status, type, text, headers }: Said): void {
  expect([what, status < 500, text.slice(0, 300)]).toEqual([what, true, expect.any(String)])
  expect([what, headers.get('x-injected')]).toEqual([what, null])
  if (status < 400) return
  const problem = JSON.parse(text) as { code?: string; title?: string; errors?: object[] }
  expect([what, type, typeof problem.code]).toEqual([what, 'application/problem+json', 'string'])
  if (status === 400 && problem.errors !== undefined)
    for (const error of problem.errors)
      expect([what, Object.keys(error).sort()]).toEqual([what, ['expected', 'problem', 'remedy', 'where']])
}

function checkStatements(what: string): void {
  expect([what, counted.take().filter((statement) => statement.includes(mark))]).toEqual([what, []])
}

const admin = () => ({ Authorization: `Bearer ${ours.tenant.tokens.admin}` })
const rootOr = (route: Route): Record<string, string> =>
  (route.roles as readonly string[]).includes('tenant-admin')
    ? admin()
    : { Authorization: 'Bearer pf3_root-for-tests', 'X-PF3-Justification': 'a hostile test' }

/** As it travels in an address, whatever it holds: a lone surrogate as the bytes it would be. */
const inAddress = (text: string): string =>
  [...text]
    .map((sign) => (/[\ud800-\udfff]/.test(sign) && sign.length === 1 ? '%ED%A0%80' : encodeURIComponent(sign)))
    .join('')

type Json = null | boolean | number | string | Json[] | { [name: string]: Json }

/** The value with each of its leaves, in turn, put in another's place; and where that was. */
function* replaced(value: Json, by: Json, at = 'body'): Iterable<{ at: string; body: Json }> {
  yield { at, body: by }
  if (typeof value !== 'object' || value === null) return
  for (const [name, field] of Object.entries(value)) {
    for (const inner of replaced(field, by, `${at}.${name}`)) {
      const copy = Array.isArray(value) ? [...value] : { ...value }
      Object.assign(copy, { [name]: inner.body })
      yield { at: inner.at, body: copy }
    }
  }
}

async function digest(database: Database): Promise<Record<string, string>> {
  const tables = await database.asOwner((tx) =>
    tx.query<{ name: string }>(`SELECT relname AS name FROM pg_class
      WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND relname <> 'token_use' ORDER BY 1`),
  )
  const found: Record<string, string> = {}
  for (const { name } of tables.rows) {
    const { rows } = await database
      .asOwner(async (tx) => {
        await tx.query('SET LOCAL ROLE pf3_service')
        return tx.query<{ hash: string }>(
          `SELECT md5(coalesce(string_agg(md5(t::text), '' ORDER BY md5(t::text)), '')) AS hash FROM ${name} t`,
        )
      })
      .catch(() => ({ rows: [{ hash: 'closed' }] }))
    found[name] = rows[0]?.hash ?? ''
  }
  return found
}

const credentials = hostile
  .flatMap((text) => [text, text.replaceAll(' ', '/**/')])
  .map((text) => text.replaceAll(/[^\x20-\x7e]/g, ''))
  .flatMap((text) => [
    `Bearer ${text}`,
    text,
    `Bearer pf3_${text}`,
    `Bearer ${Buffer.from(JSON.stringify({ alg: 'none', kid: text })).toString('base64url')}.${Buffer.from(JSON.stringify({ sub: text, tenant: 'harbor', role: text })).toString('base64url')}.`,
  ])

test('SQL in the credential of any operation is no credential, and not a byte of the database changes', async () => {
  // The jobs of the furniture end, and are told of upwards, on their own time.
  const before = await atRest(() => digest(service.database), 1_000)
  expect(Object.keys(before).length).toBeGreaterThan(15)
  counted.take()
  for (const route of operations) {
    const { method, path, body } = callOf(route, ours.ids)
    const share = credentials.filter((_, n) => n % operations.length === operations.indexOf(route) % 7 || n < 8)
    for (const authorization of share) {
      const said = await send(method, path, { Authorization: authorization }, body && JSON.stringify(body))
      expect([nameOf(route), authorization, said.status]).toEqual([nameOf(route), authorization, 401])
    }
  }
  checkStatements('credentials')
  expect(await digest(service.database)).toEqual(before)
}, 60_000)

describe.each(operations.map((route): [string, Route] => [nameOf(route), route]))('%s', (name, route) => {
  test('takes hostile text in its address for text, or refuses it', async () => {
    const { method, path, body } = callOf(route, ours.ids)
    const sound = body && JSON.stringify(body)
    const [bare = '', query = ''] = path.split('?')
    for (const text of hostile) {
      for (const [index, parameter] of pathNames(route).entries()) {
        const parts = route.path.split('/')
        const place = parts.indexOf(`{${parameter}}`)
        const address = bare.split('/').with(place, inAddress(text)).join('/')
        check(`${name} ${index} ${text}`, await send(method, `${address}?${query}`, rootOr(route), sound))
      }
      for (const parameter of [...queryNames(route), mark]) {
        const rest = query.split('&').filter((pair) => pair !== '' && !pair.startsWith(`${parameter}=`))
        const asked = [...rest, `${parameter}=${inAddress(text)}`].join('&')
        check(`${name} ${parameter} ${text}`, await send(method, `${bare}?${asked}`, rootOr(route), sound))
      }
    }
    checkStatements(name)
  })

  test('takes hostile text in its headers for text, or refuses it', async () => {
    const { method, path, body } = callOf(route, { ...ours.ids, job: 'job_none', token: 'tok_none', cap: 'none' })
    for (const header of [
      'Idempotency-Key',
      'X-Request-Id',
      'traceparent',
      'X-PF3-Justification',
      'If-None-Match',
      'Last-Event-ID',
    ]) {
      for (const text of hostile.slice(0, 6)) {
        const headers = { ...rootOr(route), [header]: text }
        check(`${name} ${header} ${text}`, await send(method, path, headers, body && JSON.stringify(body)))
      }
    }
    checkStatements(name)
  })
})

const withBody = operations.filter((route) => route.body !== undefined)
describe.each(withBody.map((route): [string, Route] => [nameOf(route), route]))('the body of %s', (name, route) => {
  test('may hold anything in any place: it is text, or refused where it is wrong', async () => {
    const { method, path } = callOf(route, ours.ids)
    const sound = (name === 'post /v1/price-books' ? starterBook() : bodyOf[name]?.(ours.ids)) as Json
    // A price book has many entries that are all alike.
    const example = trimmed(sound)
    for (const value of [...hostile, ...wrongTypes] as Json[]) {
      for (const { at, body } of replaced(example, value)) {
        const bytes = JSON.stringify(body).replaceAll('"__proto__":', '"x":')
        const said = await send(method, path.replace('wait=30', ''), rootOr(route), bytes)
        check(`${name} ${at} ${JSON.stringify(value)?.slice(0, 60)}`, said)
      }
    }
    checkStatements(name)
  }, 120_000)
})

const trimmed = (value: Json): Json =>
  Array.isArray(value)
    ? value.slice(0, 2).map(trimmed)
    : typeof value === 'object' && value !== null
      ? Object.fromEntries(Object.entries(value).map(([name, field]) => [name, trimmed(field)]))
      : value

test('what the others have is as it was, everybody is served, and nothing failed inside', async () => {
  const { tenant, ids } = others
  ;(await tenant.reader.get(`/v1/jobs/${ids.job}`)).expect(200)
  ;(await tenant.reader.get(`/v1/label-sets/${ids.labelSet}`)).expect(200)
  ;(await tenant.reader.get(`/v1/billing/lines/${ids.line}`)).expect(200)
  expect((await tenant.admin.get('/v1/jobs')).expect(200)['jobs']).toHaveLength(2)
  const job = { capability: 'classify.sentiment', input: { text: 'still here' } }
  expect((await ours.tenant.submitter.post('/v1/jobs?wait=30', job)).expect(200)).toMatchObject({ status: 'succeeded' })
  expect(service.logged).toEqual([])
})
