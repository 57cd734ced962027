/** What rating has to know of a job, gathered from where execution keeps it. Pure. */
import type { Ending } from './execution/decide.ts'
import type { OpenJob } from './execution/state.ts'
import type { EndedJob } from './rating/decide.ts'

const outcomes = { JobSucceeded: 'succeeded', JobFailed: 'failed', JobCancelled: 'cancelled' } as const

export function toEndedJob(job: OpenJob, { end, usage, durationMs }: Ending): EndedJob {
  const { admitted, submitted, lastAttempt } = job
  return {
    ...admitted,
    admittedAt: admitted.occurredAt,
    outcome: outcomes[end.type],
    attempt: lastAttempt && {
      attemptNo: lastAttempt.attemptNo,
      attemptId: lastAttempt.attemptId,
      provider: lastAttempt.provider,
      model: lastAttempt.model,
      keyOwner: lastAttempt.keyOwner,
      keyId: lastAttempt.keyId,
      usage,
      inputBytes: submitted.payloadBytes,
      outputBytes: end.type === 'JobSucceeded' ? end.resultBytes : 0n,
      durationMs: BigInt(durationMs),
    },
  }
}
