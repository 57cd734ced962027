/**
 * Plays the story against a running service, as its users would: registers everybody, floods, submits the urgent jobs
 * in the middle, kills the service half-way while calls are under way, starts it again, and gets every answer in.
 */
import type { ApiJob } from '../../api/jobs/convert.ts'
import { type ApiClient, inParallel } from './api-client.ts'
import { jobClient, type WantedJob } from './job-client.ts'
import type { Plan, PlannedJob, PlannedTenant } from './plan.ts'
import { serviceFigures } from './service-figures.ts'
import type { ServiceProcess } from './service-process.ts'

export type Answer = { job: PlannedJob; end: ApiJob }
export type Tokens = { admin: string; submitter: string }
export type Story = {
  /** Of the partner only that of its admin. */
  tokens: { partner: string; flood: Tokens; urgent: Tokens }
  answers: { flood: Answer[]; urgent: Answer[] }
  urgentWait: {
    /** Jobs of the flood that had been taken and not answered when the urgent ones came. */
    floodOpen: number
    /** From the request to the answer in hand, per job, in milliseconds. */
    clientMs: number[]
  }
  kill: {
    /** Calls under way according to the service, a moment before SIGKILL. */
    running: number
    floodAnswered: number
    /** From SIGKILL to ready again, in milliseconds. */
    downMs: number
    /** Calls that the restored owner found under way in the log, and the facts it read. */
    indeterminate: number
    restoredFacts: number
  }
  /** Requests that clients had to repeat, each with its own key. */
  repeats: number
  /** From the first submission to the last answer, in milliseconds. */
  tookMs: number
}

export type StoryParts = {
  client: ApiClient
  rootToken: string
  /** Kills the service and starts it again at the same address. */
  restart(): Promise<ServiceProcess>
  say(text: string): void
  onProgress(answered: number, total: number): void
}

const submitAtOnceMax = 48
const answerAtOnceMax = 48
/** Shares of the flood that are answered when the urgent jobs come, and when the service is killed. */
const urgentFromShare = 0.1
const killFromShare = 0.5
const killLooksMax = 200
const killLookMs = 10

export async function playStory(plan: Plan, parts: StoryParts): Promise<Story> {
  const { client, onProgress, say } = parts
  const tokens = await register(plan, parts)
  const jobs = jobClient(client)
  const wanted =
    (by: Tokens) =>
    ({ key, body }: PlannedJob): WantedJob => ({ token: by.submitter, key, body })
  const total = plan.flood.jobs.length + plan.urgent.jobs.length
  const answers: Story['answers'] = { flood: [], urgent: [] }
  const report = () => onProgress(answers.flood.length + answers.urgent.length, total)
  const floodHas = (share: number) => answers.flood.length >= plan.flood.jobs.length * share
  let urgent: Promise<Story['urgentWait']> | undefined
  let kill: Promise<Story['kill']> | undefined
  let submitted = 0

  async function submitUrgent(): Promise<Story['urgentWait']> {
    const floodOpen = submitted - answers.flood.length
    say(
      `${plan.urgent.id} submits ${plan.urgent.jobs.length} urgent jobs beside ${floodOpen} open ones of ${plan.flood.id}`,
    )
    const clientMs: number[] = []
    await inParallel(plan.urgent.jobs, plan.urgent.jobs.length, async (job) => {
      const since = performance.now()
      const end = await jobs.run(wanted(tokens.urgent)(job))
      clientMs.push(performance.now() - since)
      answers.urgent.push({ job, end })
      report()
    })
    return { floodOpen, clientMs }
  }

  function tellStory(): void {
    report()
    if (!urgent && floodHas(urgentFromShare)) urgent = submitUrgent()
    if (!kill && floodHas(killFromShare)) kill = killHalfway(parts, answers.flood.length)
    // Whoever waits for them in the end meets their failures.
    urgent?.catch(() => undefined)
    kill?.catch(() => undefined)
  }

  const since = performance.now()
  say(`${plan.flood.id} submits ${plan.flood.jobs.length} jobs`)
  const taken = handOver<{ job: PlannedJob; jobId: string }>()
  const submitting = inParallel(plan.flood.jobs, submitAtOnceMax, async (job) => {
    const { id } = await jobs.submit(wanted(tokens.flood)(job))
    submitted += 1
    taken.put({ job, jobId: id })
  }).finally(taken.end)
  const answering = Array.from({ length: answerAtOnceMax }, async () => {
    for (let next = await taken.take(); next; next = await taken.take()) {
      const { job, jobId } = next
      answers.flood.push({ job, end: await jobs.end(wanted(tokens.flood)(job), jobId) })
      tellStory()
    }
  })
  await Promise.all([submitting, ...answering])
  const urgentWait = await (urgent ?? submitUrgent())
  if (!kill) throw new Error('The story was over before the service could be killed.')
  return { tokens, answers, urgentWait, kill: await kill, repeats: jobs.repeats(), tookMs: performance.now() - since }
}

async function register(plan: Plan, { client, rootToken, say }: StoryParts): Promise<Story['tokens']> {
  const root = <Body>(method: 'POST' | 'PUT', path: string, body: object) =>
    client.mustAsk<Body>(rootToken, { method, path, body })
  const { partner, currency, timeZone } = plan
  await root('POST', '/v1/price-books', plan.book)
  await root('POST', '/v1/tenants', { id: partner.id, level: 'partner', name: partner.name, currency, timeZone })
  const partnerAdmin = await client.mustAsk<{ token: string }>(rootToken, {
    method: 'POST',
    path: `/v1/tenants/${partner.id}/tokens`,
    body: { role: 'tenant-admin' },
    headers: { 'X-PF3-Justification': 'First token of a new partner' },
  })
  const byPartner = <Body>(method: 'POST' | 'PUT', path: string, body: object) =>
    client.mustAsk<Body>(partnerAdmin.token, { method, path, body })

  const join = async ({ id, name, caps }: PlannedTenant): Promise<Tokens> => {
    await byPartner('POST', '/v1/tenants', { id, level: 'client', parentId: partner.id, name, currency, timeZone })
    for (const cap of caps) await byPartner('PUT', `/v1/tenants/${id}/caps/${cap.id}`, cap.body)
    const token = async (role: string) =>
      (await byPartner<{ token: string }>('POST', `/v1/tenants/${id}/tokens`, { role })).token
    return { admin: await token('tenant-admin'), submitter: await token('submitter') }
  }
  const tokens = { partner: partnerAdmin.token, flood: await join(plan.flood), urgent: await join(plan.urgent) }
  const { id, labels, examples } = plan.labelSet
  await Promise.all(
    [tokens.flood, tokens.urgent].map(({ admin }) =>
      client.mustAsk(admin, { method: 'PUT', path: `/v1/label-sets/${id}`, body: { labels, examples } }),
    ),
  )
  say(
    `${partner.id} has opened ${plan.flood.id} and ${plan.urgent.id}, each with caps and ${examples.length} labelled mails`,
  )
  return tokens
}

/**
 * SIGKILL while calls are under way: looks first, so that it is not a kill of an idle process. Of local engines' calls only
 * those are found in the log that took longer than a moment; the others are made again, and nobody has to wonder.
 */
async function killHalfway({ client, restart, say }: StoryParts, floodAnswered: number): Promise<Story['kill']> {
  let running = 0
  for (let look = 0; look < killLooksMax && running === 0; look++) {
    running = (await serviceFigures(client)).running
    if (running === 0) await new Promise((resolve) => setTimeout(resolve, killLookMs))
  }
  const killedAt = performance.now()
  say(`SIGKILL with ${running} calls under way`)
  await restart()
  const downMs = performance.now() - killedAt
  const { indeterminate, restoredFacts } = await serviceFigures(client)
  say(
    `ready again after ${Math.round(downMs)} ms: ${restoredFacts} facts read, ${indeterminate} calls found whose outcome nobody knows`,
  )
  return { running, floodAnswered, downMs, indeterminate, restoredFacts }
}

/** Hands things from those who make them to those who wait for them, in order. */
function handOver<Thing>() {
  const things: Thing[] = []
  const waiting: ((thing: Thing | undefined) => void)[] = []
  let hasEnded = false
  return {
    put(thing: Thing): void {
      const taker = waiting.shift()
      if (taker) taker(thing)
      else things.push(thing)
    },
    /** Nothing more comes. */
    end(): void {
      hasEnded = true
      for (const taker of waiting.splice(0)) taker(undefined)
    },
    take(): Promise<Thing | undefined> {
      const thing = things.shift()
      if (thing !== undefined || hasEnded) return Promise.resolve(thing)
      return new Promise((resolve) => waiting.push(resolve))
    },
  }
}
