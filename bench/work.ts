/** The work that is measured: a short text to classify, which takes the engine no time, so that what counts is the way. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { ApiJob } from '../api/jobs/convert.ts'
import { type ApiClient, inParallel } from '../bin/demo/api-client.ts'
import { hasEnded, type JobClient, jobClient, type WantedJob } from '../bin/demo/job-client.ts'

const setUpAtOnce = 32

export const jobBody = (index: number): WantedJob['body'] => ({
  capability: 'classify.sentiment',
  input: { text: `A good day, number ${index}.` },
})

/** With several tokens, each in turn. */
export function wantedJobs(token: string | readonly string[], name: string, count: number): WantedJob[] {
  const tokens = typeof token === 'string' ? [token] : token
  return Array.from({ length: count }, (_, index) => ({
    token: tokens[index % tokens.length] ?? '',
    key: `${name}-${index}`,
    body: jobBody(index),
  }))
}

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
  token: string | readonly string[],
  name: string,
  count: number,
  inFlight: number,
): Promise<number> {
  const all = jobClient(client)
  const since = performance.now()
  await inParallel(wantedJobs(token, name, count), inFlight, async (wanted) => void (await all.run(wanted)))
  return performance.now() - since
}

/** Milliseconds until all of them have ended, sent `batchSize` in a request that waits for its jobs, `inFlight` jobs at once. */
export async function jobsInBatches(
  client: ApiClient,
  token: string,
  name: string,
  count: number,
  { inFlight, batchSize }: { inFlight: number; batchSize: number },
): Promise<number> {
  const since = performance.now()
  await inParallel(Array(count / batchSize).keys(), inFlight / batchSize, async (batch) => {
    const jobs = Array.from({ length: batchSize }, (_, at) => ({
      key: `${name}-${batch}-${at}`,
      ...jobBody(batch * batchSize + at),
    }))
    const { results } = await client.mustAsk<{ results: { job?: ApiJob }[] }>(token, {
      method: 'POST',
      path: '/v1/jobs/batch?wait=60',
      body: { jobs },
    })
    const left = results.filter(({ job }) => !job || !hasEnded(job)).length
    if (left > 0) throw new Error(`${left} jobs of a batch have not ended.`)
  })
  return performance.now() - since
}

/** Submits each when it is due, whether or not what went before has ended; milliseconds from when each was due. */
export function jobsOnTime(
  client: ApiClient,
  token: string | readonly string[],
  name: string,
  { perS, forMs }: { perS: number; forMs: number },
): Promise<number[]> {
  const all = jobClient(client)
  return onTime(wantedJobs(token, name, Math.round((perS * forMs) / 1_000)), perS, (wanted) => all.run(wanted))
}

/** The same of anything. */
export async function onTime<Item>(
  items: Iterable<Item>,
  perS: number,
  run: (item: Item) => Promise<unknown>,
): Promise<number[]> {
  const beganMs = performance.now()
  const running: Promise<number>[] = []
  for (const item of items) {
    const dueMs = beganMs + (running.length * 1_000) / perS
    const leftMs = dueMs - performance.now()
    if (leftMs > 0) await sleep(leftMs)
    running.push(run(item).then(() => performance.now() - dueMs))
  }
  return Promise.all(running)
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

/** Tenants below the one of `benchTenant`, each with a cap; resolves with a token of each. `rootToken` as there. */
export async function benchTenants(client: ApiClient, rootToken: string, names: readonly string[]): Promise<string[]> {
  const headers = { 'X-PF3-Justification': 'set-up of a measurement' }
  const ask = <Body>(method: 'POST' | 'PUT', path: string, body: object) =>
    client.mustAsk<Body>(rootToken, { method, path, body, headers })
  const tokens: string[] = []
  await inParallel(names.entries(), setUpAtOnce, async ([index, id]) => {
    const tenant = { id, parentId: 'bench', level: 'merchant', name: id, currency: 'USD', timeZone: 'UTC' }
    await ask('POST', '/v1/tenants', tenant)
    const { token } = await ask<{ token: string }>('POST', `/v1/tenants/${id}/tokens`, { role: 'tenant-admin' })
    tokens[index] = token
    const cap = { metric: 'requests', limit: 1_000_000_000, period: 'total' }
    await ask('PUT', `/v1/tenants/${id}/caps/requests`, cap)
  })
  return tokens
}
