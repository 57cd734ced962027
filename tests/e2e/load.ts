/** Careful clients who submit one job after another for as long as they are let, while services die under them. */
import type { ApiJob } from '../../api/jobs/convert.ts'
import type { ApiClient } from '../../bin/demo/api-client.ts'
import { type JobClient, jobClient, type WantedJob } from '../../bin/demo/job-client.ts'
import type { ScriptedProviderOptions } from '../../providers/scripted/scripted-provider.ts'
import type { Actors } from './stage.ts'

export type Load = {
  /** Submissions that are sent and not answered. */
  unanswered(): number
  /** Jobs that have ended, so far. */
  ended(): number
  /** Resolves with the next job that is taken; rejects when the load has failed. */
  goesOn(): Promise<void>
  /** Lets what is under way come to its end. By key: the id of every job that was acknowledged, and its end. */
  finish(): Promise<{ acknowledged: Map<string, string>; ends: Map<string, ApiJob> }>
}

/** Lanes that submit one job after another and wait for its end, each with its own key, until told to finish. */
export function startLoad(
  client: Pick<ApiClient, 'ask'>,
  tokens: readonly string[],
  random: () => number,
  { lanes, giveUpMs }: { lanes: number; giveUpMs: number },
): Load {
  const jobs = jobClient(client, giveUpMs)
  const acknowledged = new Map<string, string>()
  const ends = new Map<string, ApiJob>()
  let unanswered = 0
  let isFinishing = false
  let made = 0
  const waiting: (() => void)[] = []

  async function lane(): Promise<void> {
    while (!isFinishing) {
      const wanted = nextJob()
      unanswered += 1
      const { id } = await jobs.submit(wanted).finally(() => (unanswered -= 1))
      acknowledged.set(wanted.key, id)
      for (const go of waiting.splice(0)) go()
      ends.set(wanted.key, await jobs.end(wanted, id))
    }
  }

  function nextJob(): WantedJob {
    made += 1
    const token = tokens[made % tokens.length] ?? ''
    const text = `Message ${made} of a busy day.`
    const body =
      random() < 0.6
        ? { capability: 'generate.text', input: { prompt: text }, params: { maxOutputTokens: 64 } }
        : { capability: 'classify.sentiment', input: { text } }
    return { token, key: `job-${made}`, body }
  }

  const running = Promise.all(Array.from({ length: lanes }, lane))
  running.catch(() => undefined) // Met by finish.
  return {
    unanswered: () => unanswered,
    ended: () => ends.size,
    goesOn: () => Promise.race([new Promise<void>((resolve) => waiting.push(resolve)), running.then(() => undefined)]),
    async finish() {
      isFinishing = true
      await running
      return { acknowledged, ends }
    },
  }
}

/** Of a provider that fails, asks for patience, and takes its time. */
export const moody: NonNullable<ScriptedProviderOptions['script']> = [
  { share: 0.05, status: 500 },
  { share: 0.05, status: 429, retryAfter: '0' },
  { share: 0.4, latencyMs: 20 },
  { share: 0.6, latencyMs: 120 },
  { latencyMs: 400 },
]

/** Tenants that no cap holds back, though they have one of every metric. */
export async function wideTenants(actors: Actors, names: readonly string[]): Promise<{ id: string; token: string }[]> {
  const tenants: { id: string; token: string }[] = []
  for (const name of names) {
    const tenant = await actors.tenant(name)
    await setWideCaps(actors, tenant.id)
    tenants.push(tenant)
  }
  return tenants
}

/** Caps of every metric that no load of these tests reaches. */
async function setWideCaps({ setCap }: Pick<Actors, 'setCap'>, tenantId: string): Promise<void> {
  await setCap(tenantId, 'requests', { metric: 'requests', limit: 1_000_000, period: 'total' })
  await setCap(tenantId, 'tokens', { metric: 'tokens', limit: 1_000_000_000, period: 'month' })
  await setCap(tenantId, 'money', { metric: 'money', limit: '1000000', period: 'month' })
}

/** So many jobs of one tenant at the same time; resolves with the end of each. */
export async function submitAtOnce(jobs: JobClient, token: string, count: number): Promise<ApiJob[]> {
  const wanted = Array.from({ length: count }, (_, index) => ({
    token,
    key: `job-${index}`,
    body: { capability: 'classify.sentiment', input: { text: `A good day, number ${index}.` } },
  }))
  const taken = await Promise.all(wanted.map((one) => jobs.submit(one)))
  return Promise.all(wanted.map((one, index) => jobs.end(one, taken[index]?.id ?? '')))
}
