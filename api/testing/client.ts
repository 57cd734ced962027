/** A client for tests: checks every answer against the route table, and every problem against its documented form. */
import { request as httpRequest } from 'node:http'
import { z } from 'zod'
import { type FailureCode, failures } from '../../platform/errors.ts'
import { jobEvent, jobEventNames } from '../jobs/job-events.ts'
import { codesOf } from '../openapi/codes.ts'
import type { Route } from '../route.ts'
import { routeTable } from '../route-table.ts'

export type Answer = {
  status: number
  headers: Headers
  text: string
  body: Record<string, unknown>
  /** The body, after making sure of the status. */
  expect(status: number): Record<string, unknown>
  /** The problem, after making sure of status and code. */
  problem(status: number, code: string): Problem
}

export type Problem = z.infer<typeof problemForm>
const problemForm = z.looseObject({
  type: z.string().startsWith('urn:pf3:problem:'),
  title: z.string().min(1),
  status: z.int(),
  code: z.enum(Object.keys(failures) as FailureCode[]),
  canRetry: z.boolean(),
  detail: z.string().optional(),
  instance: z.string().startsWith('urn:pf3:request:'),
  errors: z
    .array(z.strictObject({ where: z.string(), problem: z.string(), expected: z.string(), remedy: z.string() }))
    .optional(),
})

export type Sent = { headers?: Record<string, string>; signal?: AbortSignal }
export type Client = {
  get(path: string, sent?: Sent): Promise<Answer>
  delete(path: string, sent?: Sent): Promise<Answer>
  post(path: string, body: unknown, sent?: Sent): Promise<Answer>
  put(path: string, body: unknown, sent?: Sent): Promise<Answer>
}

/** `always`: headers of every call. */
export function clientOf(url: string, token: string | undefined, always: Record<string, string> = {}): Client {
  const call = async (method: string, path: string, body: unknown, sent: Sent = {}): Promise<Answer> => {
    const headers = {
      ...(token !== undefined && { Authorization: `Bearer ${token}` }),
      ...(body !== undefined && { 'Content-Type': 'application/json' }),
      ...always,
      ...sent.headers,
    }
    const init = {
      method,
      headers,
      ...(body !== undefined && { body: JSON.stringify(body) }),
      ...(sent.signal && { signal: sent.signal }),
    }
    const response = await fetch(`${url}${path}`, init)
    return checkedAnswer(method, path, response.status, response.headers, await response.text())
  }
  return {
    get: (path, sent) => call('GET', path, undefined, sent),
    delete: (path, sent) => call('DELETE', path, undefined, sent),
    post: (path, body, sent) => call('POST', path, body, sent),
    put: (path, body, sent) => call('PUT', path, body, sent),
  }
}

/** For what fetch would not send: raw bytes, odd headers. */
export function rawCall(
  url: string,
  {
    method,
    path,
    headers = {},
    body,
  }: { method: string; path: string; headers?: Record<string, string>; body?: Buffer | string },
): Promise<Answer> {
  const { hostname, port } = new URL(url)
  return new Promise((resolve, reject) => {
    const request = httpRequest({ hostname, port, method, path, headers, agent: false }, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('end', () => {
        const given = Object.entries(response.headers).map(([name, value]): [string, string] => [name, String(value)])
        try {
          resolve(
            checkedAnswer(
              method,
              path,
              response.statusCode ?? 0,
              new Headers(given),
              Buffer.concat(chunks).toString('utf8'),
            ),
          )
        } catch (error) {
          reject(error)
        }
      })
    })
    request.on('error', reject)
    request.end(body)
  })
}

function checkedAnswer(method: string, path: string, status: number, headers: Headers, text: string): Answer {
  const isProblem = headers.get('content-type') === 'application/problem+json'
  const isJson = isProblem || headers.get('content-type') === 'application/json'
  const body = (isJson && text !== '' ? JSON.parse(text) : {}) as Record<string, unknown>
  const complain = (what: string) => new Error(`${method} ${path} answered ${status} ${text.slice(0, 1_000)}: ${what}`)
  if (!headers.get('x-request-id')) throw complain('no X-Request-Id')
  if (isProblem) {
    const problem = problemForm.parse(body)
    if (problem.status !== status) throw complain('status and document disagree')
    if (status === 503 && !headers.get('retry-after')) throw complain('503 without Retry-After')
    checkCode(method, path, problem.code, complain)
  } else {
    checkReply(method, path, status, isJson ? body : text, complain)
  }
  return {
    status,
    headers,
    text,
    body,
    expect(wanted) {
      if (status !== wanted) throw complain(`expected ${wanted}`)
      return body
    },
    problem(wanted, code) {
      if (!isProblem || status !== wanted || body['code'] !== code) throw complain(`expected ${wanted} ${code}`)
      return problemForm.parse(body)
    },
  }
}

/** What the router itself refuses is of no route. */
function checkCode(method: string, path: string, code: FailureCode, complain: (what: string) => Error): void {
  const route = routeOf(method, path)
  if (route && !codesOf(route).includes(code)) throw complain('a code that the description of the route does not list')
}

const routeOf = (method: string, path: string): Route | undefined => {
  const bare = path.split('?')[0] ?? ''
  return routeTable.find((r) => r.method === method.toLowerCase() && formOf(r.path).test(bare))
}

function checkReply(
  method: string,
  path: string,
  status: number,
  body: unknown,
  complain: (what: string) => Error,
): void {
  const route = routeOf(method, path)
  if (!route) throw complain('no route of the table has this address')
  if (status === 304 && route.isRevalidated && body === '') return
  const schema = route.replies[status]
  if (schema === undefined) throw complain('a status the route table does not list')
  if (schema === null) {
    if (body !== '') throw complain('a body where the route table lists none')
    return
  }
  if (typeof schema === 'string') {
    if (schema === 'text/event-stream') checkEvents(String(body), complain)
    return
  }
  const checked = schema.safeParse(body)
  if (!checked.success) throw complain(z.prettifyError(checked.error))
}

/** Every event has an id, a name, and data of the one form. */
function checkEvents(text: string, complain: (what: string) => Error): void {
  for (const block of text.split('\n\n').filter((part) => !/^(retry: \d+|: .*|)$/.test(part))) {
    const [, name, data] = /^id: \d+\nevent: ([a-z-]+)\ndata: (.+)$/.exec(block) ?? []
    if (!jobEventNames.some((known) => known === name)) throw complain(`${block}: a name that is not described`)
    const checked = jobEvent.safeParse(data && JSON.parse(data))
    if (!checked.success) throw complain(`${block}: ${z.prettifyError(checked.error)}`)
  }
}

const formOf = (path: string): RegExp => new RegExp(`^${path.replaceAll('.', '\\.').replaceAll(/\{\w+\}/g, '[^/]+')}$`)
