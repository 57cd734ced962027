/** The OpenAPI 3.1 description of the API, made from the table that requests are served by. */
import { z } from 'zod'
import { type FailureCode, failures } from '../../platform/errors.ts'
import { justificationHeader } from '../auth/enter-tenant.ts'
import { givenIdForm } from '../http/follow.ts'
import { bare, inputSchema } from '../http/json-schema.ts'
import { jobEvent, jobEventNames } from '../jobs/job-events.ts'
import type { Route } from '../route.ts'
import { codesOf } from './codes.ts'

type Json = { [name: string]: unknown }

export function openApiOf(routes: readonly Route[]): Json {
  const paths: Record<string, Json> = {}
  for (const route of routes) paths[route.path] = { ...paths[route.path], [route.method]: operationOf(route) }
  return {
    openapi: '3.1.1',
    jsonSchemaDialect: 'https://json-schema.org/draft/2020-12/schema',
    info: {
      title: 'PF-3',
      version: '1',
      summary: 'AI jobs of many tenants: capped, run, metered, priced and proven.',
      description:
        'Amounts of money are decimals as text, in main units of the currency. Times are UTC. What is wrong is told as problem details (RFC 9457) with a code that does not change.',
    },
    servers: [{ url: '/' }],
    paths,
    components: {
      securitySchemes: {
        bearer: {
          type: 'http',
          scheme: 'bearer',
          description: 'A token of PF-3, or a JWT of the configured issuer.',
        },
      },
      parameters: { RequestId: requestId },
      schemas: { Problem: problemSchema(), JobEvent: bare(z.toJSONSchema(jobEvent)) },
      responses: {
        Problem: {
          description: 'What is wrong, and whether trying again can help.',
          content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
        },
        ...Object.fromEntries(
          routes.flatMap(problemsOf).map(([status, codes]) => [nameOf(codes), problemOf(status, codes)]),
        ),
      },
    },
  }
}

/** Such as `getJobsByJobId`. */
export const operationIdOf = ({ method, path }: Pick<Route, 'method' | 'path'>): string => {
  const words = path
    .replace(/^\/v1\//, '/')
    .split('/')
    .filter((part) => part !== '')
    .map((part) => part.replace(/^\{(\w+)\}$/, 'by-$1').split(/[-.]/))
  return method + words.flat().map(capital).join('')
}
const capital = (word: string): string => word.charAt(0).toUpperCase() + word.slice(1)

function operationOf(route: Route): Json {
  const { method, path, summary, roles, body, example, deprecated } = route
  const description = [route.description, deprecated && `Goes on ${deprecated.sunset}.`].filter(Boolean).join(' ')
  return {
    operationId: operationIdOf({ method, path }),
    summary,
    tags: [path.split('/')[path.startsWith('/v1/') ? 2 : 1]],
    ...(description !== '' && { description }),
    ...(deprecated && { deprecated: true }),
    ...(roles === 'public' ? { security: [] } : { security: [{ bearer: [] }], 'x-roles': roles }),
    parameters: [
      ...parametersIn('path', route.params),
      ...parametersIn('query', route.query),
      ...headersOf(route),
      ...followed(route),
    ],
    ...(body && {
      requestBody: { required: true, content: { 'application/json': { schema: inputSchema(body), example } } },
    }),
    responses: { ...repliesOf(route), default: { $ref: '#/components/responses/Problem' } },
  }
}

function parametersIn(place: 'path' | 'query', form: z.ZodType): Json[] {
  const { properties = {}, required = [] } = inputSchema(form) as { properties?: Json; required?: string[] }
  return Object.entries(properties).map(([name, schema]) => ({
    name,
    in: place,
    required: place === 'path' || required.includes(name),
    schema,
  }))
}

function headersOf({ takesIdempotencyKey, takesLastEventId, isRevalidated, reach }: Route): Json[] {
  const header = (name: string, description: string, schema: Json) => ({ name, in: 'header', description, schema })
  const printable = { type: 'string', pattern: '^[\\x20-\\x7e]{1,255}$' }
  return [
    ...(takesIdempotencyKey
      ? [
          header(
            'Idempotency-Key',
            'The same key for the same request, however often it is sent; keys are per tenant, and the member a job is for counts as part of the body.',
            printable,
          ),
        ]
      : []),
    ...(takesLastEventId
      ? [header('Last-Event-ID', 'Id of the last event that was seen.', { type: 'string', pattern: '^\\d{1,18}$' })]
      : []),
    ...(isRevalidated ? [header('If-None-Match', 'ETag of the answer that is known.', { type: 'string' })] : []),
    ...(reach
      ? [
          header(justificationHeader, 'Why a platform admin acts in a tenant; recorded before the act.', {
            type: 'string',
            minLength: 10,
            maxLength: 500,
          }),
        ]
      : []),
  ]
}

/** Public routes lead to nothing that could be followed. */
const followed = ({ roles }: Route): Json[] =>
  roles === 'public' ? [] : [{ $ref: '#/components/parameters/RequestId' }]
const requestId = {
  name: 'X-Request-Id',
  in: 'header',
  required: false,
  description:
    'An id of the caller by which the request is found in facts, as correlationId, in the log and in problems. One that has another form is replaced by one made here, not refused. The answer has it in the same header.',
  schema: { type: 'string', pattern: givenIdForm.source },
}

function repliesOf(route: Route): Json {
  const { replies, isRevalidated } = route
  const described: Record<number, Json> = Object.fromEntries(
    problemsOf(route).map(([status, codes]) => [status, { $ref: `#/components/responses/${nameOf(codes)}` }]),
  )
  for (const [text, form] of Object.entries(replies)) {
    const status = Number(text)
    const reply = replyOf(status, form)
    const codes = problemsOf(route).find(([one]) => one === status)?.[1] ?? []
    const content = {
      ...(reply['content'] as Json),
      ...(codes.length > 0 && (problemOf(status, codes)['content'] as Json)),
    }
    described[status] = {
      ...reply,
      ...(isRevalidated && { headers: etag }),
      ...(Object.keys(content).length > 0 && { content }),
    }
  }
  return { ...described, ...(isRevalidated && { 304: { description: 'What is known still holds.', headers: etag } }) }
}

const problemsOf = (route: Route) => [...Map.groupBy(codesOf(route), (code) => failures[code].httpStatus)]
/** Many operations have the same problems of a status, so each such answer is described once. */
const nameOf = (codes: readonly FailureCode[]): string => codes.join('.')

const etag = { ETag: { description: 'For If-None-Match.', schema: { type: 'string' } } }
const retryAfter = { 'Retry-After': { description: 'Seconds.', schema: { type: 'string', pattern: '^\\d+$' } } }

const problemOf = (status: number, codes: readonly FailureCode[]): Json => ({
  description: codes.map((code) => `${code}: ${failures[code].means}`).join(' '),
  ...((status === 429 || status === 503) && { headers: retryAfter }),
  content: {
    'application/problem+json': {
      schema: {
        allOf: [{ $ref: '#/components/schemas/Problem' }],
        properties: { status: { const: status }, code: { enum: codes } },
      },
    },
  },
})

function replyOf(status: number, form: Route['replies'][number]): Json {
  const description = status === 202 ? 'Taken; it goes on.' : 'Done.'
  if (form === null || form === undefined) return { description }
  if (form === 'text/event-stream') return { description, content: { [form]: { schema: eventStream } } }
  if (typeof form === 'string') return { description, content: { [form]: { schema: { type: 'string' } } } }
  return { description, content: { 'application/json': { schema: bare(z.toJSONSchema(form)) } } }
}

/** OpenAPI 3.1 has no schema for the parts of a stream, so names and data of events stand in words and beside it. */
const eventStream = {
  type: 'string',
  description: `Server-sent events. Each has an \`id\`, to be sent as Last-Event-ID by a client that comes again; a name in \`event\`, one of ${jobEventNames.join(', ')}; and in \`data\` a JobEvent as JSON. The last is named rated or refused. Lines that begin with a colon are signs of life. Names may be added: pass over those that are not known.`,
  'x-event-names': jobEventNames,
  'x-event-data': { $ref: '#/components/schemas/JobEvent' },
}

const problemSchema = (): Json => ({
  type: 'object',
  required: ['type', 'title', 'status', 'code', 'canRetry', 'instance'],
  properties: {
    type: { type: 'string', pattern: '^urn:pf3:problem:' },
    title: { type: 'string' },
    status: { type: 'integer' },
    code: { enum: Object.keys(failures), description: 'Stable: see docs/reference/errors.md.' },
    canRetry: { type: 'boolean', description: 'Whether the same request may succeed later.' },
    detail: { type: 'string' },
    instance: { type: 'string', pattern: '^urn:pf3:request:' },
    errors: {
      type: 'array',
      items: {
        type: 'object',
        required: ['where', 'problem', 'expected', 'remedy'],
        properties: Object.fromEntries(
          ['where', 'problem', 'expected', 'remedy'].map((name) => [name, { type: 'string' }]),
        ),
        additionalProperties: false,
      },
    },
  },
})
