/** The work that is measured: a short text to classify, which takes the engine no time, so that what counts is the way. */
import { type ApiClient, inParallel } from '../bin/demo/api-client.ts'
import { type JobClient, jobClient, type WantedJob } from '../bin/demo/job-client.ts'

export const jobBody = (index: number): WantedJob['body'] => ({
  capability: 'classify.sentiment',
  input: { text: `A good day, number ${index}.` },
})

export const wantedJobs = (token: string, name: string, count: number): WantedJob[] =>
  Array.from({ length: count }, (_, index) => ({ token, key: `${name}-${index}`, body: jobBody(index) }))

/** Milliseconds of each. */
export async function oneByOne<Item>(items: Iterable<Item>, run: (item: Item) => Promise<unknown>): Promise<number[]> {
  const took: number[] = []
  for (const item of items) {
    const since = performance.now()
    await run(item)
    took.push(performance.now() - since)
  }
  return took
}

export const jobsOneByOne = (all: JobClient, token: string, name: string, count: number): Promise<number[]> =>
  oneByOne(wantedJobs(token, name, count), (wanted) => all.run(wanted))

/** Milliseconds until all of them have ended, with `inFlight` callers who wait for theirs. */
export async function jobsTogether(
  client: ApiClient,
  token: string,
  name: string,
  count: number,
  inFlight: number,
): Promise<number> {
  const all = jobClient(client)
  const since = performance.now()
  await inParallel(wantedJobs(token, name, count), inFlight, async (wanted) => void (await all.run(wanted)))
  return performance.now() - since
}

/** A tenant with caps of every metric, so that admission has something to decide. Resolves with a token. */
export async function benchTenant(client: ApiClient, rootToken: string): Promise<string> {
  const headers = { 'X-PF3-Justification': 'set-up of a measurement' }
  const ask = <Body>(method: 'POST' | 'PUT', path: string, body: object) =>
    client.mustAsk<Body>(rootToken, { method, path, body, headers })
  await ask('POST', '/v1/tenants', { id: 'bench', level: 'client', name: 'Bench', currency: 'USD', timeZone: 'UTC' })
  const { token } = await ask<{ token: string }>('POST', '/v1/tenants/bench/tokens', { role: 'tenant-admin' })
  await ask('PUT', '/v1/tenants/bench/caps/requests', { metric: 'requests', limit: 1_000_000_000, period: 'total' })
  await ask('PUT', '/v1/tenants/bench/caps/money', { metric: 'money', limit: '1000000', period: 'month' })
  return token
}
