/**
 * SIGKILL of the whole service (door, owner, projections and database are one process) at 50 random points under load
 * over HTTP. The seed brings the moments back, the load's own timing does not: a failure prints where every kill fell.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import type { ApiJob } from '../../api/jobs/convert.ts'
import { readConfig } from '../../bin/config.ts'
import { tenantFigures } from '../../bin/demo/figures.ts'
import { hasEnded, jobClient, type WantedJob } from '../../bin/demo/job-client.ts'
import { serviceFigures } from '../../bin/demo/service-figures.ts'
import { verifyExport } from '../../bin/demo/verify.ts'
import { exportFacts } from '../../bin/export-facts.ts'
import { borrowFoundation } from '../../bin/foundation.ts'
import { startScriptedProvider } from '../../providers/scripted/scripted-provider.ts'
import type { Fact } from '../../schemas/events.generated.ts'
import { type Stage, stage } from './stage.ts'

const seed = 20_261_101
const killsPerService = 25
const services = 2
const killsInTheMiddleMin = 40
const lanes = 24
const killAfterMsMax = 600
const giveUpMs = 600_000

type Kill = {
  /** Facts in the log when the service was back, and requests it had taken. */
  seq: number
  /** Calls to providers that the log shows as begun and not ended. */
  calls: number
  /** Submissions that were sent and not answered. */
  submissions: number
}
type Run = { kills: Kill[]; facts: Fact[]; acknowledged: Map<string, string>; ends: Map<string, ApiJob> }

test(`killed at ${services * killsPerService} random points: nothing lost, nothing charged twice, nothing held, every unknown outcome visible`, async () => {
  const runs = await Promise.all(Array.from({ length: services }, (_, index) => killAgainAndAgain(seed + index)))
  const kills = runs.flatMap((run) => run.kills)
  const inTheMiddle = kills.filter(({ calls, submissions }) => calls > 0 || submissions > 0)
  for (const [index, { seq, calls, submissions }] of kills.entries()) {
    console.log(`kill ${index + 1}: after fact ${seq}, ${calls} calls and ${submissions} submissions under way`)
  }
  console.log(`${inTheMiddle.length} of ${kills.length} in the middle of a call or a transaction`)
  expect(inTheMiddle.length).toBeGreaterThanOrEqual(killsInTheMiddleMin)
  expect(kills.filter(({ calls }) => calls > 0).length).toBeGreaterThan(0)
  expect(kills.filter(({ submissions }) => submissions > 0).length).toBeGreaterThan(0)
}, 900_000)

async function killAgainAndAgain(ofSeed: number): Promise<Run> {
  const random = sequence(ofSeed)
  const provider = await startScriptedProvider({
    seed: ofSeed,
    script: [
      { share: 0.05, status: 500 },
      { share: 0.05, status: 429, retryAfter: '0' },
      { share: 0.4, latencyMs: 20 },
      { share: 0.6, latencyMs: 120 },
      { latencyMs: 400 },
    ],
  })
  onTestFinished(() => provider.close())
  const env = {
    PF3_PARTITIONS: '2',
    PF3_LOCAL_THREADS: '1',
    PF3_SCRIPTED_URL: provider.baseUrl,
    PF3_SNAPSHOT_EVERY_FACTS: '500',
    PF3_RETRY_BASE_MS: '5',
    PF3_ATTEMPTS_MAX: '20',
  }
  const scene = await stage({ connectionsMax: 2 * lanes, env })
  const tenants = [await scene.tenant('left'), await scene.tenant('right'), await scene.tenant('middle')]
  for (const { id } of tenants) {
    await scene.setCap(id, 'requests', { metric: 'requests', limit: 1_000_000, period: 'total' })
    await scene.setCap(id, 'tokens', { metric: 'tokens', limit: 1_000_000_000, period: 'month' })
    await scene.setCap(id, 'money', { metric: 'money', limit: '1000000', period: 'month' })
  }
  const load = startLoad(
    scene,
    tenants.map(({ token }) => token),
    random,
  )
  const kills: Kill[] = []
  let unknownOutcomes = 0
  for (let kill = 0; kill < killsPerService; kill++) {
    await load.goesOn()
    await sleep(random() * killAfterMsMax)
    const submissions = load.unanswered()
    await scene.restart()
    const { indeterminate } = await serviceFigures(scene.client)
    unknownOutcomes += indeterminate
    kills.push({ seq: await factCount(scene), calls: indeterminate, submissions })
  }
  const { acknowledged, ends } = await load.finish()

  const facts = await exportedFacts(scene, env)
  // Nothing lost: every acknowledged job has ended, and no job exists that nobody asked for.
  expect([...acknowledged.keys()].filter((key) => !hasEndedWell(ends.get(key)))).toEqual([])
  const submitted = facts.filter((fact) => fact.type === 'JobSubmitted').map((fact) => fact.jobId)
  expect(new Set(submitted).size).toBe(submitted.length)
  expect(submitted.sort()).toEqual([...acknowledged.values()].sort())
  // Nothing charged twice.
  const rated = facts.filter((fact) => fact.type === 'JobRated')
  expect(rated.map((fact) => fact.jobId).sort()).toEqual(submitted)
  expect(new Set(rated.flatMap((fact) => fact.lines.map((line) => line.lineId))).size).toBe(
    rated.flatMap((fact) => fact.lines).length,
  )
  for (const { id, token } of tenants) {
    const own = rated.filter((fact) => fact.tenantId === id)
    const figures = await tenantFigures(scene.client, token, id, new Date().toISOString().slice(0, 10))
    expect(figures.ledgerJobs).toBe(own.length)
    expect(figures.ledgerPico).toBe(own.reduce((sum, fact) => sum + fact.chargedPico, 0n))
    expect(figures.caps.map(({ held }) => held)).toEqual(['0', '0', '0'])
  }
  // Every call whose outcome nobody knows is in the log, and was found at the restart after its kill.
  const unknown = facts.filter((fact) => fact.type === 'AttemptFailed' && fact.indeterminate)
  expect(unknown.length).toBe(unknownOutcomes)
  // The provider saw each attempt at most once, and none that was not committed before.
  const started = new Set(facts.flatMap((fact) => (fact.type === 'AttemptStarted' ? [fact.attemptId] : [])))
  const called = provider.calls().map(({ attemptId }) => attemptId)
  expect(called.length).toBe(provider.callCount())
  expect(new Set(called).size).toBe(called.length)
  expect(called.filter((attemptId) => !started.has(attemptId))).toEqual([])
  expect(await scene.service().stop()).toBe(0)
  return { kills, facts, acknowledged, ends }
}

const hasEndedWell = (job: ApiJob | undefined): boolean => job !== undefined && hasEnded(job)

/** Lanes that submit one job after another and wait for its end, each with its own key, until told to finish. */
function startLoad({ client }: Stage, tokens: readonly string[], random: () => number) {
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
    /** Resolves with the next job that is taken; rejects when the load has failed. */
    goesOn: () => Promise.race([new Promise<void>((resolve) => waiting.push(resolve)), running.then(() => undefined)]),
    async finish() {
      isFinishing = true
      await running
      return { acknowledged, ends }
    },
  }
}

async function factCount({ client }: Stage): Promise<number> {
  const { body } = await client.ask('', { method: 'GET', path: '/metrics' })
  return [...String(body).matchAll(/^pf3_owner_seq\{[^}]*\} (\d+)$/gm)].reduce((sum, [, seq]) => sum + Number(seq), 0)
}

/** All facts, after the verifier has found nothing wrong with them. */
async function exportedFacts({ dataDir }: Stage, env: Readonly<Record<string, string>>): Promise<Fact[]> {
  const dir = await mkdtemp(join(tmpdir(), 'pf3-e2e-export-'))
  const facts: Fact[] = []
  const foundation = await borrowFoundation(readConfig({ ...env, PF3_DATA_DIR: dataDir }))
  try {
    await exportFacts(foundation, {
      dir: join(dir, 'export'),
      pass: (fact) => {
        facts.push(fact)
        return fact
      },
    })
    const { problems } = await verifyExport(join(dir, 'export'))
    expect(problems).toEqual([])
  } finally {
    await foundation.close()
    await rm(dir, { recursive: true, force: true })
  }
  return facts
}

/** Mulberry32: small, and the same everywhere. */
function sequence(start: number): () => number {
  let state = start >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
