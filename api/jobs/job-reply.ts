/** A job with its result, as it stands. */
import { isSettled } from '../../projections/job-list/queries.ts'
import type { Parts } from '../parts.ts'
import type { FoundJob } from '../views.ts'
import { type ApiJob, toApiFoundJob } from './convert.ts'

/** Ended and rated, so that nothing of it changes any more. */
export const hasEnded = (found: FoundJob | undefined): boolean => found?.kind === 'job' && isSettled(found.job)

/** 200 for a job that has ended, 202 for one that goes on. */
export async function toJobReply(
  found: FoundJob,
  tenantId: string,
  { views }: Pick<Parts, 'views'>,
): Promise<{ status: 200 | 202; body: ApiJob }> {
  const status = hasEnded(found) ? 200 : 202
  const body = toApiFoundJob(found)
  if (found.kind !== 'job' || found.job.status !== 'succeeded' || found.job.resultRef === null) return { status, body }
  const content = await views.content({ tenantId, ref: found.job.resultRef })
  return { status, body: { ...body, ...toApiResult(content) } }
}

const toApiResult = (content: Uint8Array | undefined): Pick<ApiJob, 'result' | 'resultExpired'> =>
  content === undefined ? { resultExpired: true } : { result: JSON.parse(new TextDecoder().decode(content)) as unknown }
