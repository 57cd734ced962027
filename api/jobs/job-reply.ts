/** A job with its result, as it stands. */
import { isSettled } from '../../projections/job-list/queries.ts'
import type { Parts } from '../parts.ts'
import type { FoundJob } from '../views.ts'
import { type ApiJob, toApiFoundJob } from './convert.ts'

/** Ended and rated, so that nothing of it changes any more. */
export const hasEnded = (found: FoundJob | undefined): boolean => found?.kind === 'job' && isSettled(found.job)

/** 200 for a job that has ended, 202 for one that goes on. `isAwaited` as for `views.content`. */
export async function toJobReply(
  found: FoundJob,
  tenantId: string,
  parts: Pick<Parts, 'views'>,
  isAwaited = false,
): Promise<{ status: 200 | 202; body: ApiJob }> {
  const { job } = await withResult(found, tenantId, parts, isAwaited)
  return { status: hasEnded(found) ? 200 : 202, body: job }
}

/** `resultBytes`: how large the result is that was added. */
export async function withResult(
  found: FoundJob,
  tenantId: string,
  { views }: Pick<Parts, 'views'>,
  isAwaited = false,
): Promise<{ job: ApiJob; resultBytes: number }> {
  const job = toApiFoundJob(found)
  if (found.kind !== 'job' || found.job.status !== 'succeeded' || found.job.resultRef === null)
    return { job, resultBytes: 0 }
  const content = await views.content({ tenantId, ref: found.job.resultRef }, isAwaited)
  return { job: { ...job, ...toApiResult(content) }, resultBytes: content?.byteLength ?? 0 }
}

const toApiResult = (content: Uint8Array | undefined): Pick<ApiJob, 'result' | 'resultExpired'> =>
  content === undefined ? { resultExpired: true } : { result: JSON.parse(new TextDecoder().decode(content)) as unknown }
