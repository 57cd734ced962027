/** Which jobs does a tenant have, and how do they stand? One row per job. */
import type { Fact, JobRefusedBody, UsageMeteredBody } from '../../schemas/events.generated.ts'
import { amount, bigint, int, type Json, json, nullable, projection, sqlFile, text } from '../projection.ts'

/**
 * `running` from the start of an attempt to its end; between two attempts a job is `admitted` again, with `retry_at`.
 * A job that has ended has its charge a fact or three later: whoever waits for its end is told at the charge.
 */
export const jobList = projection({
  name: 'job-list',
  version: 2,
  table: 'job_list',
  tableSql: sqlFile(import.meta.dirname),
  keyColumns: ['tenant_id', 'job_id'],
  columns: {
    tenant_id: text,
    job_id: text,
    status: text,
    capability: text,
    member_id: nullable(text),
    priority: int,
    resource_id: nullable(text),
    resource_hash: nullable(text),
    requested_model: nullable(text),
    submitted_by: text,
    correlation_id: text,
    input_ref: text,
    input_bytes: bigint,
    input_mac: text,
    max_charge_pico: nullable(amount),
    submitted_at: bigint,
    admitted_at: nullable(bigint),
    started_at: nullable(bigint),
    retry_at: nullable(bigint),
    cancel_requested_at: nullable(bigint),
    deadline_at: nullable(bigint),
    ended_at: nullable(bigint),
    rated_at: nullable(bigint),
    attempts: int,
    provider: nullable(text),
    model: nullable(text),
    result_ref: nullable(text),
    result_bytes: nullable(bigint),
    result_mac: nullable(text),
    failure_code: nullable(text),
    refusal: nullable(json),
    usage: nullable(json),
    currency: nullable(text),
    price_book_hash: nullable(text),
    billing_period: nullable(text),
    held_pico: nullable(amount),
    charged_pico: nullable(amount),
  },
  apply(fact) {
    switch (fact.type) {
      case 'JobSubmitted':
        return [
          {
            op: 'insert',
            key: keyOf(fact),
            values: {
              status: 'submitted',
              capability: fact.capability,
              member_id: fact.memberId,
              priority: fact.priority,
              resource_id: fact.resourceId,
              requested_model: fact.model,
              submitted_by: fact.actor,
              correlation_id: fact.correlationId,
              input_ref: fact.payloadRef,
              input_bytes: fact.payloadBytes,
              input_mac: fact.payloadMac,
              max_charge_pico: fact.maxCharge,
              submitted_at: fact.occurredAt,
              attempts: 0,
            },
          },
        ]
      case 'JobAdmitted':
        return [
          {
            op: 'set',
            key: keyOf(fact),
            values: {
              status: 'admitted',
              admitted_at: fact.occurredAt,
              deadline_at: fact.deadlineAt,
              resource_hash: fact.resourceHash,
              currency: fact.currency,
              price_book_hash: fact.priceBookHash,
              billing_period: fact.billingPeriod,
              held_pico: fact.heldPico,
            },
          },
        ]
      case 'JobRefused':
        return [
          {
            op: 'set',
            key: keyOf(fact),
            values: { status: 'refused', ended_at: fact.occurredAt, refusal: refusalOf(fact) },
          },
        ]
      case 'AttemptStarted': {
        const { provider, model, attemptNo: attempts } = fact
        const first = attempts === 1 ? { started_at: fact.occurredAt } : {}
        return [
          {
            op: 'set',
            key: keyOf(fact),
            values: { status: 'running', attempts, provider, model, retry_at: null, ...first },
          },
        ]
      }
      case 'AttemptFailed':
        // Without a retry the job's end follows at once; it stays `running` for that moment.
        return [
          {
            op: 'set',
            key: keyOf(fact),
            values: {
              failure_code: fact.code,
              ...(fact.retryAt !== null && { status: 'admitted', retry_at: fact.retryAt }),
            },
          },
        ]
      case 'CancelRequested':
        return [{ op: 'set', key: keyOf(fact), values: { cancel_requested_at: fact.occurredAt } }]
      case 'JobSucceeded': {
        const { provider, model, resultRef: result_ref, resultBytes: result_bytes, resultMac: result_mac } = fact
        const ended = { status: 'succeeded', ended_at: fact.occurredAt, failure_code: null, retry_at: null }
        return [
          { op: 'set', key: keyOf(fact), values: { ...ended, provider, model, result_ref, result_bytes, result_mac } },
        ]
      }
      case 'JobFailed':
        return [
          {
            op: 'set',
            key: keyOf(fact),
            values: {
              status: 'failed',
              ended_at: fact.occurredAt,
              attempts: fact.attempts,
              failure_code: fact.code,
              retry_at: null,
            },
          },
        ]
      case 'JobCancelled':
        return [
          {
            op: 'set',
            key: keyOf(fact),
            values: { status: 'cancelled', ended_at: fact.occurredAt, attempts: fact.attempts, retry_at: null },
          },
        ]
      case 'UsageMetered':
        return [{ op: 'set', key: keyOf(fact), values: { usage: usageOf(fact) } }]
      case 'JobRated':
        return [
          {
            op: 'set',
            key: keyOf(fact),
            values: { rated_at: fact.occurredAt, charged_pico: fact.chargedPico, currency: fact.currency },
          },
        ]
      default:
        return []
    }
  },
})

const keyOf = (fact: Fact & { jobId: string }) => ({ tenant_id: fact.tenantId, job_id: fact.jobId })

function refusalOf({ reason, cap, heldPico }: JobRefusedBody): Json {
  return {
    reason,
    neededPico: heldPico === null ? null : String(heldPico),
    cap: cap && {
      capId: cap.capId,
      metric: cap.metric,
      limit: String(cap.limit),
      free: String(cap.free),
      needed: String(cap.needed),
      periodStart: String(cap.periodStart),
      resetsAt: cap.resetsAt === null ? null : String(cap.resetsAt),
    },
  }
}

const usageOf = (fact: UsageMeteredBody): Json => ({
  source: fact.source,
  inputUncachedTokens: String(fact.inputUncachedTokens),
  inputCacheReadTokens: String(fact.inputCacheReadTokens),
  inputCacheWriteTokens: String(fact.inputCacheWriteTokens),
  outputTokens: String(fact.outputTokens),
  reasoningTokens: String(fact.reasoningTokens),
})
