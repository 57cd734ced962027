/**
 * Every operation of the description, a thousand requests each, over real HTTP: none is answered with a fault, and every
 * answer is as described. What is sent is drawn from a seed; a failure names it (`PF3_FUZZ_SEED=… npx vitest run tests/contracts`).
 */
import { randomInt } from 'node:crypto'
import { Ajv2020 } from 'ajv/dist/2020.js'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openApiOf } from '../../api/openapi/document.ts'
import { routeTable } from '../../api/route-table.ts'
import { openTenant, type Service, starterBook, startService } from '../../api/testing/service.ts'
import { bodyOf } from '../isolation/kinds.ts'
import { furnish, type Owned } from '../isolation/world.ts'
import { addFormats } from './formats.ts'
import { asSaid, hostileText, mixed, rawBody, type Schema, spoilt } from './generate.ts'

const casesPerOperation = 1_000
const atOnce = 24
const seed = Number(process.env['PF3_FUZZ_SEED'] ?? randomInt(2 ** 31))

type Parameter = { name: string; in: string; required?: boolean; schema: Schema }
type Described = { content?: Record<string, { schema: Schema }> }
type Operation = {
  parameters: Parameter[]
  requestBody?: { content: { 'application/json': { schema: Schema } } }
  responses: Record<string, Described | { $ref: string }>
  security: object[]
}
const document = openApiOf(routeTable) as {
  paths: Record<string, Record<string, Operation>>
  components: { responses: Record<string, Described> }
}
const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({ name: `${method} ${path}`, method, path, operation })),
)

let service: Service
let ours: Owned
let bookHash: string
beforeAll(async () => {
  service = await startService()
  service.scripted.play([])
  ours = await furnish(await openTenant(service, 'harbor'), 'ours')
  const [book] = (await service.root.get('/v1/price-books')).expect(200)['priceBooks'] as { hash: string }[]
  bookHash = book?.hash ?? ''
}, 60_000)
afterAll(() => service.stop())

const ajv = addFormats(new Ajv2020({ strict: false, allErrors: false }))
const checkers = new Map<object, (value: unknown) => boolean>()
function fits(schema: Schema, value: unknown): boolean {
  const known = checkers.get(schema) ?? ajv.compile({ ...schema, components: document.components })
  checkers.set(schema, known)
  return known(value)
}

type Sent = { path: string; headers: Record<string, string>; body: string | undefined }

/** Ids that exist, so that more is reached than what refuses an unknown one. */
const knownId = (name: string): string | undefined =>
  ({
    t: ours.ids.tenant,
    jobId: ours.ids.job,
    tokenId: ours.ids.token,
    actor: ours.ids.actor,
    capId: ours.ids.cap,
    memberId: ours.ids.member,
    labelSetId: ours.ids.labelSet,
    lineId: ours.ids.line,
    erasureId: ours.ids.erasure,
    hash: bookHash,
  })[name]

function request({
  name,
  path,
  operation: { parameters, requestBody },
}: (typeof operations)[number]): fc.Arbitrary<Sent> {
  const place = (where: string) => parameters.filter((one) => one.in === where)
  const textFor = ({ name: parameter, schema }: Parameter): fc.Arbitrary<string> => {
    const said = asSaid(schema).map(String)
    const known = knownId(parameter)
    // A wait that nothing ends takes its time.
    if (parameter === 'cursor') return fc.oneof(said, hostileText)
    if (parameter === 'wait') return fc.oneof({ weight: 4, arbitrary: fc.constantFrom('0', '1') }, hostileText)
    const sound = known === undefined ? said : fc.oneof(said, fc.constant(known))
    return fc.oneof({ weight: 6, arbitrary: sound }, { weight: 1, arbitrary: hostileText })
  }
  const record = (some: Parameter[], isAll: boolean) =>
    fc.record(Object.fromEntries(some.map((one) => [one.name, textFor(one)])), {
      requiredKeys: isAll
        ? some.map(({ name }) => name)
        : some.filter(({ required }) => required).map(({ name }) => name),
    })
  // A cursor that was made up is refused whatever else is asked.
  const query = fc
    .tuple(record(place('query'), false), fc.nat(9))
    .map(([{ cursor, ...rest }, n]) => (n === 0 && cursor !== undefined ? { ...rest, cursor } : rest))
  // What takes nothing but a header can be refused for nothing else.
  const takesNothing = parameters.every((one) => one.in === 'header') && !requestBody
  const pair = fc.tuple(hostileText, hostileText)
  const extra = takesNothing ? fc.option(pair, { nil: undefined }) : rarely(pair)
  const schema = requestBody?.content['application/json'].schema
  const body = schema
    ? fc.oneof(
        { weight: 3, arbitrary: soundBody(name).map((value) => JSON.stringify(value)) },
        { weight: 4, arbitrary: spoilt(soundBody(name)).map((value) => JSON.stringify(value) ?? 'undefined') },
        { weight: 4, arbitrary: mixed(soundBody(name), asSaid(schema)).map((value) => JSON.stringify(value)) },
        { weight: 4, arbitrary: asSaid(schema).map((value) => JSON.stringify(value)) },
        { weight: 4, arbitrary: spoilt(asSaid(schema)).map((value) => JSON.stringify(value) ?? 'undefined') },
        { weight: 1, arbitrary: rawBody },
      )
    : rarely(fc.constant('{}'))
  return fc
    .record({
      params: record(place('path'), true),
      query,
      headers: record(place('header'), false),
      extra,
      body,
      who: fc.oneof(
        { weight: 8, arbitrary: fc.constant('best') },
        fc.constantFrom('root', 'admin', 'submitter', 'reader', 'none'),
      ),
    })
    .map(({ params, query, headers, extra: more, body: text, who }) => {
      const pairs = Object.entries(query).map(([name, value]) => `${name}=${inAddress(String(value))}`)
      if (more) pairs.push(`${inAddress(more[0])}=${inAddress(more[1])}`)
      const address = path.replaceAll(/\{(\w+)\}/g, (_, name: string) => inAddress(String(params[name] ?? '')) || '%20')
      return {
        path: pairs.length > 0 ? `${address}?${pairs.join('&')}` : address,
        headers: {
          ...Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, inHeader(String(value))])),
          ...(text !== undefined && { 'Content-Type': 'application/json' }),
          ...credential(path, who),
        },
        body: text,
      }
    })
}

/** A body that the operation takes as it is: what a schema cannot say, such as what a capability wants, is in it. */
const soundBody = (name: string): fc.Arbitrary<unknown> =>
  fc.constant(name === 'post /v1/price-books' ? starterBook() : (bodyOf[name]?.(ours.ids) ?? {}))

const inAddress = (text: string): string => encodeURIComponent(text.toWellFormed()).replaceAll('.', '%2E')
const rarely = <T>(some: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.oneof({ weight: 25, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: some })
const inHeader = (text: string): string => text.replaceAll(/[^\x20-\x7e]/g, '').trim()

function credential(path: string, who: string): Record<string, string> {
  const { admin, submitter, reader } = ours.tenant.tokens
  const best = path.startsWith('/v1/price-books') ? 'root' : 'admin'
  const tokens: Record<string, string> = { root: 'pf3_root-for-tests', admin, submitter, reader }
  const token = tokens[who === 'best' ? best : who]
  return token === undefined ? {} : { Authorization: `Bearer ${token}` }
}

const perOperation = new Map<string, Map<number, number>>()

describe.each(operations)('$name', ({ name, method, path, operation }) => {
  test(`is answered as described, ${casesPerOperation} times (seed ${seed})`, async () => {
    const counts = new Map<number, number>()
    perOperation.set(name, counts)
    const cases = fc.sample(request({ name, method, path, operation }), { numRuns: casesPerOperation, seed })
    for (let from = 0; from < cases.length; from += atOnce)
      await Promise.all(cases.slice(from, from + atOnce).map((sent) => checkOne(sent)))

    async function checkOne(sent: Sent): Promise<void> {
      const { status, type, text } = await say(method, sent)
      counts.set(status, (counts.get(status) ?? 0) + 1)
      const about = { seed, request: { method, ...sent }, status, text: text.slice(0, 500) }
      const wrong = wrongWith(operation, status, type, text)
      expect({ ...about, wrong }).toEqual({ ...about, wrong: undefined })
    }
  }, 180_000)
})

async function say(
  method: string,
  { path, headers, body }: Sent,
): Promise<{ status: number; type: string; text: string }> {
  const response = await fetch(`${service.url}${path}`, {
    method: method.toUpperCase(),
    headers,
    ...(body !== undefined && method !== 'get' && { body }),
    redirect: 'manual',
    signal: AbortSignal.timeout(60_000),
  })
  return { status: response.status, type: response.headers.get('content-type') ?? '', text: await response.text() }
}

const describedAs = (one: Operation['responses'][string] | undefined): Described | undefined =>
  one && '$ref' in one ? document.components.responses[one.$ref.split('/').at(-1) ?? ''] : one

function wrongWith({ responses }: Operation, status: number, type: string, text: string): string | undefined {
  if (status >= 500) return 'a fault'
  const described = describedAs(responses[status])
  if (!described) return 'a status that is not described'
  if (!described.content) return text === '' ? undefined : 'a body where none is described'
  const media = type.split(';')[0] ?? ''
  const said = described.content[media]
  if (!said) return `of type ${type}`
  return fits(said.schema, media.endsWith('json') ? JSON.parse(text) : text)
    ? undefined
    : 'a body that is not as described'
}

test('every operation was asked, was done at least once, and refused at least once', () => {
  const lacking = operations.filter(({ name }) => {
    const statuses = [...(perOperation.get(name)?.keys() ?? [])]
    return !statuses.some((status) => status < 400) || !statuses.some((status) => status >= 400)
  })
  expect(lacking.map(({ name }) => [name, [...(perOperation.get(name) ?? [])]])).toEqual([])
  for (const { name } of operations)
    expect([name, [...(perOperation.get(name)?.values() ?? [])].reduce((a, b) => a + b, 0)]).toEqual([
      name,
      casesPerOperation,
    ])
})

test('nothing failed inside', () => expect(service.logged).toEqual([]))
