/** given / when / then over the whole fold of a partition: past facts, one request or outcome, the exact drafts. */
import { serialize } from 'node:v8'
import { expect } from 'vitest'
import { parsePriceBook } from '../../pricing/index.ts'
import type { Fact, FactBody, FactHeader, Request, RequestBody } from '../../schemas/events.generated.ts'
import { decideRequest, type RequestContext } from '../deciders.ts'
import { type Directory, emptyDirectory, evolveDirectory } from '../directory/state.ts'
import type { Decided } from '../execution/decide.ts'
import type { RouteStep } from '../execution/state.ts'
import { emptyPartitionState, evolve, type PartitionState } from '../partition-state.ts'

export const tenantId = 'harbor'
/** 2026-11-10T12:00:00Z */
export const noon = 1_794_312_000_000_000n
const secondMicros = 1_000_000n

const rates = (perRequest: string, perMillion: string) => ({
  perRequest,
  perMillionInputTokens: perMillion,
  perMillionCacheReadTokens: perMillion,
  perMillionCacheWriteTokens: perMillion,
  perMillionOutputTokens: perMillion,
})
const bookText = JSON.stringify({
  currency: 'USD',
  effectiveFrom: '2026-01-01T00:00:00Z',
  entries: [
    {
      capability: 'classify.category',
      cost: null,
      model: '*',
      ownKeyPrice: rates('0.1', '0'),
      price: rates('1', '1'),
      provider: 'local',
    },
  ],
  name: 'test',
})

const parsed = parsePriceBook(bookText)
if (!parsed.ok) throw new Error(parsed.problems.join('; '))
/** Canonical text of the one price book of these tests: 1 USD a request, 1 USD a million tokens. */
export const book = { hash: parsed.book.hash, text: bookText }

export const local: RouteStep = {
  provider: 'local',
  model: 'linear-1',
  keyOwner: 'platform',
  keyId: null,
  pool: 'local',
}

/** A state, and the time of its last fact: what later decisions build on. */
export class Scene {
  readonly state: PartitionState = emptyPartitionState()
  readonly directory: Directory = emptyDirectory()
  now = noon
  #id = 0

  constructor(timeZone = 'UTC') {
    this.take({
      type: 'TenantRegistered',
      registeredTenantId: tenantId,
      level: 'client',
      parentId: 'platform',
      name: 'Harbor',
      currency: 'USD',
      timeZone,
    })
    this.take({ type: 'PriceBookPublished', hash: book.hash, currency: 'USD', effectiveFrom: 0n, book: book.text })
  }

  take(body: FactBody & Partial<FactHeader>, eventId = `evt_${this.#id}`): Fact {
    this.#id += 1
    this.now += secondMicros
    const fact: Fact = {
      tenantId,
      seq: this.state.seq + 1n,
      occurredAt: this.now,
      actor: 'owner',
      correlationId: 'c',
      causedBy: `cause_${this.#id}`,
      intakeOffset: null,
      traceparent: null,
      ...body,
      eventId,
    }
    evolveDirectory(this.directory, fact)
    evolve(this.state, fact)
    return fact
  }

  /** Decides a request one second later, and takes in what was decided. */
  ask(body: RequestBody, more: Partial<RequestContext> = {}): FactBody[] {
    this.#id += 1
    const request: Request = {
      tenantId,
      requestId: `req_${this.#id}`,
      requestedAt: this.now,
      actor: 'token:t',
      correlationId: 'c',
      directoryVersion: 0n,
      traceparent: null,
      ...body,
    }
    const context: RequestContext = {
      now: this.now + secondMicros,
      directory: this.directory,
      directoryVersion: 2n,
      routeFor: () => [local],
      openJobsPerTenantMax: 100,
      openJobsPerPartitionMax: 100_000,
      attemptsMax: 3,
      weightOf: () => 1,
      ...more,
    }
    const before = serialize(this.state)
    const decided = decideRequest(request, this.state, context)
    // A decision that changed what it looked at would make a live owner differ from a restored one.
    expect(serialize(this.state).equals(before)).toBe(true)
    return this.settle(decided)
  }

  settle(decided: Decided): FactBody[] {
    const drafts = [...decided.facts, ...(decided.ending ? [decided.ending.end] : [])]
    for (const draft of drafts) this.take(draft, draft.eventId)
    return drafts
  }
}

export const submit = (
  jobId: string,
  more: Partial<Extract<RequestBody, { type: 'SubmitJob' }>> = {},
): RequestBody => ({
  type: 'SubmitJob',
  jobId,
  memberId: null,
  capability: 'classify.category',
  resourceId: null,
  model: null,
  payloadRef: 'p',
  payloadBytes: 10n,
  payloadMac: 'm',
  priority: 3,
  inputTokensMax: 90n,
  outputTokensMax: 10n,
  maxCharge: null,
  deadlineMs: 60_000n,
  ...more,
})

export const cap = (capId: string, more: Partial<Extract<RequestBody, { type: 'SetCap' }>> = {}): RequestBody => ({
  type: 'SetCap',
  capId,
  metric: 'requests',
  limit: 2n,
  period: 'month',
  anchorDate: null,
  scopeMemberId: null,
  scopeCapability: null,
  ...more,
})

/** The answer to a submission: its last draft. */
export const answerOf = (drafts: FactBody[]): FactBody => {
  const last = drafts.at(-1)
  expect(last).toBeDefined()
  return last as FactBody
}
