/** What a route is: one row of the table that requests are served by and the documentation is made from. */
import type { z } from 'zod'
import type { FailureCode } from '../platform/errors.ts'
import type { Caller } from '../producers/index.ts'
import type { Reach } from './auth/access.ts'
import { type Act, enterTenant } from './auth/enter-tenant.ts'
import type { Principal, Role } from './auth/principal.ts'
import type { Deprecation } from './http/deprecation.ts'
import { fieldErrors } from './http/field-errors.ts'
import { type ListAsked, openCursor, sealCursor } from './http/page-cursor.ts'
import { Problem } from './http/problem.ts'
import type { Parts } from './parts.ts'

export type Method = 'get' | 'post' | 'put' | 'delete'

export type Reply = {
  status: number
  /** Text, or bytes that are kept for everybody; all else is sent as JSON. */
  body?: unknown
  /** Instead of a body: parts that are sent as they come. */
  stream?: AsyncIterable<string>
  headers?: Readonly<Record<string, string>>
}

type Shape<Params, Query, Body> = {
  method: Method
  /** As in OpenAPI: `/v1/jobs/{jobId}`. */
  path: string
  /** One sentence for the documentation. */
  summary: string
  /** What a caller has to know besides, for the documentation. */
  description?: string
  params: z.ZodType<Params>
  query: z.ZodType<Query>
  /** Undefined: the request has none, and one that has is refused. */
  body?: z.ZodType<Body>
  /** A body as somebody may send it, for the documentation; a test sends it. */
  example?: unknown
  bodyBytesMax?: number
  /** Values in the body, as `jsonValueCounter` counts them: more than any request has that is as documented. */
  bodyValuesMax?: number
  /** Which tenants the request may name; checked before `handle`. Left out where it can name none. */
  reach?: Reach
  /** Whether the header Idempotency-Key is looked at. */
  takesIdempotencyKey?: boolean
  /** Whether the answer has an ETag, so that a caller who knows it is told so in a few bytes. */
  isRevalidated?: boolean
  /** Said in every answer of an operation that will go. */
  deprecated?: Deprecation
  /** Whether it takes no place, and so is answered also by a process that has more than enough to do. */
  isNeverTurnedAway?: boolean
  /** Whether the header Last-Event-ID is looked at. */
  takesLastEventId?: boolean
  /** By status: the schema of a JSON body, the media type of a text, or null for an answer without a body. */
  replies: Readonly<Record<number, z.ZodType | `text/${string}` | null>>
  /** Codes of problems beyond those that follow from the rest of the row; see `codesOf`. */
  codes?: readonly FailureCode[]
}

type Given<Params, Query, Body> = { params: Params; query: Query; body: Body }

export type Asked<Params, Query, Body> = Given<Params, Query, Body> & {
  who: Principal
  caller: Caller
  idempotencyKey: string | undefined
  lastEventId: string | undefined
  /**
   * From now on the request only waits, and is not counted among those that work. Before the answer goes out, and before
   * each part of a stream, its credential is looked at again.
   */
  rest(): void
  /** Aborts when nobody waits for the answer any more, or the service stops: waits then end at once. */
  gone: AbortSignal
}

export type RawAsked = {
  params: unknown
  query: unknown
  body: unknown
  who: Principal | undefined
  caller: Caller
  justification: string | undefined
  idempotencyKey: string | undefined
  lastEventId: string | undefined
  rest(): void
  gone: AbortSignal
}

export type Route = Shape<unknown, unknown, unknown> & {
  roles: readonly Role[] | 'public'
  /** Checks the request against the schemas and answers it. Throws Problem or PlatformError. */
  answer(asked: RawAsked, parts: Parts): Promise<Reply>
}

/** A route for callers with a token of one of the roles. */
export function route<Params, Query, Body>(
  row: Shape<Params, Query, Body> & {
    roles: readonly Role[]
    /** The tenant it names where that is not the path's `{t}`; undefined stands for the caller's own. */
    tenantOf?(given: Given<Params, Query, Body>): string | undefined
    handle(asked: Asked<Params, Query, Body>, parts: Parts): Promise<Reply>
  },
): Route {
  const { handle, tenantOf, ...shape } = row

  async function allowed(raw: RawAsked, list: ListAsked, parts: Parts): Promise<Asked<Params, Query, Body>> {
    const { who, caller, justification, idempotencyKey, lastEventId, rest, gone } = raw
    if (!who) throw new Problem('UNAUTHENTICATED')
    const given = checked(row, { ...raw, query: opened(list, parts) })
    if (row.reach) {
      const pathIds = raw.params as Readonly<Record<string, string>>
      const tenantId = (tenantOf ? tenantOf(given) : pathIds['t']) ?? who.tenantId
      const act = actOf(row, pathIds)
      await enterTenant(tenantId, row.reach, { who, caller, justification, act, gone }, parts)
    }
    return { ...given, who, caller, idempotencyKey, lastEventId, rest, gone }
  }

  return {
    ...shape,
    // No function that waits for the answer holds the body: of one that waits long, the handler can let it go.
    answer(raw, parts) {
      const { who, params, query } = raw
      const list = { tenantId: who?.tenantId ?? '', path: row.path, params, query: query as ListAsked['query'] }
      return allowed(raw, list, parts)
        .then((asked) => handle(asked, parts))
        .then((reply) => sealed(reply, list, parts))
    },
  }
}

/** Handlers see the cursors that they made themselves. */
function opened(list: ListAsked, { cursorKey }: Parts): ListAsked['query'] {
  const { cursor } = list.query
  return typeof cursor === 'string' ? { ...list.query, cursor: openCursor(cursorKey, list, cursor) } : list.query
}

function sealed(reply: Reply, list: ListAsked, { cursorKey }: Parts): Reply {
  const { body } = reply
  if (typeof body !== 'object' || body === null || !('next' in body) || typeof body.next !== 'string') return reply
  return { ...reply, body: { ...body, next: sealCursor(cursorKey, list, body.next) } }
}

const actOf = ({ method, path }: Pick<Route, 'method' | 'path'>, ids: Readonly<Record<string, string>>): Act => ({
  method: method.toUpperCase(),
  route: path,
  path: path.replaceAll(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(ids[name] ?? '')),
})

/** A route for everybody. */
export function publicRoute(
  row: Omit<Shape<unknown, unknown, unknown>, 'body'> & { handle(parts: Parts): Promise<Reply> },
): Route {
  const { handle, ...shape } = row
  return { ...shape, roles: 'public', answer: (_, parts) => handle(parts) }
}

function checked<Params, Query, Body>(
  shape: Shape<Params, Query, Body>,
  raw: RawAsked,
): { params: Params; query: Query; body: Body } {
  const params = shape.params.safeParse(raw.params, reporting)
  const query = shape.query.safeParse(raw.query, reporting)
  const body = shape.body?.safeParse(raw.body, reporting)
  if (params.success && query.success && (body === undefined || body.success)) {
    return { params: params.data, query: query.data, body: body?.data as Body }
  }
  const errors = [
    ...(params.error ? fieldErrors('path', params.error) : []),
    ...(query.error ? fieldErrors('query', query.error) : []),
    ...(body?.error ? fieldErrors('body', body.error) : []),
  ]
  throw new Problem('REQUEST_INVALID', {
    detail: `${errors.length} ${errors.length === 1 ? 'thing is' : 'things are'} wrong with the request.`,
    errors,
  })
}

// The input is looked at for one thing only: whether a field is missing or has another type.
const reporting = { reportInput: true }
