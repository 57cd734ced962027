/** The result of a job by itself, for callers who want to know whether it is still kept. */
import { z } from 'zod'
import { id, none } from '../http/forms.ts'
import { notFound, Problem } from '../http/problem.ts'
import { type Route, route } from '../route.ts'
import type { FoundJob } from '../views.ts'
import type { ApiJob } from './convert.ts'

export const jobResultRoute: Route = route({
  method: 'get',
  path: '/v1/jobs/{jobId}/result',
  summary:
    'The result of a job that succeeded; 410 VAULT_MISSING once it is no longer kept, 404 with the reason where the job has none.',
  roles: ['tenant-admin', 'submitter', 'reader'],
  params: z.strictObject({ jobId: id }),
  query: none,
  replies: { 200: z.strictObject({ result: z.unknown() }) },
  codes: ['VAULT_MISSING'],
  async handle({ params, who: { tenantId } }, { views }) {
    const found = await views.job({ tenantId, jobId: params.jobId })
    if (!found) throw notFound('job')
    if (found.kind !== 'job' || found.job.resultRef === null) throw withoutResult(found)
    const content = await views.content({ tenantId, ref: found.job.resultRef })
    if (content === undefined) throw new Problem('VAULT_MISSING')
    return { status: 200, body: { result: JSON.parse(new TextDecoder().decode(content)) as unknown } }
  },
})

const whyNone: Partial<Record<ApiJob['status'], string>> = {
  refused: 'it was refused',
  failed: 'it failed',
  cancelled: 'it was cancelled',
}

function withoutResult(found: FoundJob): Problem {
  const why = whyNone[found.kind === 'job' ? found.job.status : 'submitted'] ?? 'it has not ended yet'
  return new Problem('NOT_FOUND', { detail: `The job has no result: ${why}.` })
}
