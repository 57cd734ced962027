/** How a careful client gets its answer: one idempotency key per job, and the same request again until there is an end. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { ApiJob } from '../../api/jobs/convert.ts'
import type { ApiClient, Asked, Reply } from './api-client.ts'

export type WantedJob = {
  token: string
  /** Idempotency-Key. */
  key: string
  body: {
    capability: string
    input: unknown
    params?: unknown
    priority?: number
    deadlineMs?: number
    maxCharge?: string
  }
}

export type JobClient = {
  /** Resolves once the service has taken the job. Safe to repeat. */
  submit(wanted: WantedJob): Promise<ApiJob>
  /** Waits for the end of a job. When the connection breaks, asks for the job again by its key: nobody knows what was taken. */
  end(wanted: WantedJob, jobId: string): Promise<ApiJob>
  /** submit and end in one request. */
  run(wanted: WantedJob): Promise<ApiJob>
  /** Requests that had to be repeated. */
  repeats(): number
}

const waitS = 30
const repeatMsFirst = 20
const repeatMsMax = 500
/** A service that does not come back within this time is down. */
const giveUpMsDefault = 90_000

/** A job that no longer changes: refused, or rated. */
export const hasEnded = (job: ApiJob): boolean => job.status === 'refused' || job.charged !== null

/** `giveUpMs`: how long one request is repeated while the service is not there. */
export function jobClient(client: Pick<ApiClient, 'ask'>, giveUpMs = giveUpMsDefault): JobClient {
  let repeats = 0

  /** Repeats on broken connections and on 503, as the API asks for; every other refusal is the caller's mistake. */
  async function persist(token: string, asked: Asked, hasBroken?: () => Asked): Promise<ApiJob> {
    const since = performance.now()
    let next = asked
    for (let waitMs = repeatMsFirst; ; waitMs = Math.min(repeatMsMax, waitMs * 2)) {
      const reply = await client.ask(token, next).catch((error: unknown) => error)
      if (isReply(reply) && reply.status >= 200 && reply.status < 300) return reply.body as ApiJob
      if (isReply(reply) && reply.status < 500)
        throw new Error(
          `${asked.method} ${asked.path} was answered with ${reply.status}: ${JSON.stringify(reply.body)}`,
        )
      if (performance.now() - since > giveUpMs)
        throw new Error(`${asked.method} ${asked.path} was not answered within ${giveUpMs} ms.`, { cause: reply })
      repeats += 1
      if (hasBroken) next = hasBroken()
      await sleep(waitMs)
    }
  }

  const submission = ({ key, body }: WantedJob, seconds: number): Asked => ({
    method: 'POST',
    path: seconds === 0 ? '/v1/jobs' : `/v1/jobs?wait=${seconds}`,
    body,
    headers: { 'idempotency-key': key },
  })

  async function end(wanted: WantedJob, jobId: string): Promise<ApiJob> {
    const asked: Asked = { method: 'GET', path: `/v1/jobs/${jobId}?wait=${waitS}` }
    const since = performance.now()
    for (;;) {
      const job = await persist(wanted.token, asked, () => submission(wanted, waitS))
      if (hasEnded(job)) return job
      if (performance.now() - since > giveUpMs) throw new Error(`Job ${jobId} did not end within ${giveUpMs} ms.`)
    }
  }

  return {
    submit: (wanted) => persist(wanted.token, submission(wanted, 0)),
    end,
    async run(wanted) {
      const job = await persist(wanted.token, submission(wanted, waitS))
      return hasEnded(job) ? job : end(wanted, job.id)
    },
    repeats: () => repeats,
  }
}

const isReply = (value: unknown): value is Reply =>
  typeof value === 'object' && value !== null && 'status' in value && !(value instanceof Error)
