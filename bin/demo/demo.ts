/**
 * `pf3 demo`: the help-desk story on real mails, end to end. A service is started as anybody starts it, two clients use
 * it over HTTP, it is killed half-way, and then every figure is held against what separate code finds in the events.
 */
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ConfigError } from '../config.ts'
import { progress } from '../print.ts'
import { apiClient } from './api-client.ts'
import { type Check, checksOf, type Evidence } from './checks.ts'
import { readCorpus } from './corpus.ts'
import { fairnessOf } from './fairness.ts'
import { tenantFigures } from './figures.ts'
import { planOf } from './plan.ts'
import { isPlant, type Plant, plants } from './plant.ts'
import { exportAndVerify, rebuildAllViews, replayAll } from './proofs.ts'
import { qualityOf } from './quality.ts'
import { type ServiceProcess, startServiceProcess } from './service-process.ts'
import { playStory } from './story.ts'
import { printJson, showSummary } from './summary.ts'
import { toldFigures } from './told.ts'

type Given = { mails?: string; plant?: string; json?: boolean }
type Wanted = { mailsMax: number; plant: Plant | undefined; isJson: boolean }

const mailsMin = 100
const connectionsMax = 256

/** Ends with 1 when any check fails. Everything it writes is in a directory of its own, which it removes. */
export async function demo(given: Given): Promise<void> {
  const wanted = wantedFrom(given)
  const dir = await mkdtemp(join(tmpdir(), 'pf3-demo-'))
  let service: ServiceProcess | undefined
  const cleanUp = async () => {
    await service?.kill()
    await rm(dir, { recursive: true, force: true })
  }
  const onSignal = () => void cleanUp().then(() => process.exit(130))
  process.once('SIGINT', onSignal)
  process.once('SIGTERM', onSignal)
  try {
    const checks = await play(wanted, dir, (started) => (service = started))
    if (checks.some((check) => !check.isTrue)) process.exitCode = 1
  } finally {
    process.off('SIGINT', onSignal)
    process.off('SIGTERM', onSignal)
    await cleanUp()
  }
}

function wantedFrom({ mails, plant, json }: Given): Wanted {
  const wrong: string[] = []
  const mailsMax = mails === undefined ? Number.POSITIVE_INFINITY : Number(mails)
  if (mails !== undefined && !(/^\d+$/.test(mails) && mailsMax >= mailsMin))
    wrong.push(`--mails: a whole number of at least ${mailsMin} was expected, not ${JSON.stringify(mails)}`)
  if (plant !== undefined && !isPlant(plant))
    wrong.push(`--plant: one of ${Object.keys(plants).join(', ')} was expected, not ${JSON.stringify(plant)}`)
  if (wrong.length > 0) throw new ConfigError(wrong)
  return { mailsMax, plant: plant !== undefined && isPlant(plant) ? plant : undefined, isJson: json ?? false }
}

async function play(
  { mailsMax, plant, isJson }: Wanted,
  dir: string,
  keep: (service: ServiceProcess) => void,
): Promise<Check[]> {
  const since = performance.now()
  const say = narrator(since)
  const env = { PF3_DATA_DIR: join(dir, 'data'), PF3_LOG_LEVEL: 'error' }
  const rootToken = `pf3_${randomBytes(32).toString('base64url')}`
  const reading = readCorpus()
  // Whoever waits for it meets its failure.
  reading.catch(() => undefined)
  let service = await startServiceProcess({ dataDir: env.PF3_DATA_DIR, port: 0, rootToken })
  keep(service)
  const coldStartMs = service.readyMs
  say(`ready after ${Math.round(coldStartMs)} ms at ${service.url}`)
  const port = Number(new URL(service.url).port)
  const corpus = await reading
  const plan = planOf(corpus, mailsMax)
  const isWhole = mailsMax >= corpus.heldOut.length
  const client = apiClient(() => service.url, connectionsMax)
  const bar = progress('answers')
  try {
    const story = await playStory(plan, {
      client,
      rootToken,
      say,
      onProgress: bar.to,
      async restart() {
        await service.kill()
        service = await startServiceProcess({ dataDir: env.PF3_DATA_DIR, port, rootToken })
        keep(service)
        return service
      },
    })
    bar.end()
    say('every answer is in')
    const day = new Date().toISOString().slice(0, 10)
    const figures = {
      flood: await tenantFigures(client, story.tokens.flood.admin, plan.flood.id, day),
      urgent: await tenantFigures(client, story.tokens.urgent.admin, plan.urgent.id, day),
    }
    const jobs = figures.flood.ledgerJobs + figures.urgent.ledgerJobs
    const told = await toldFigures(client, story.tokens.partner, plan.partner.id, { day, jobs })
    say('verifying the exported events by separate code, deriving every charge again, rebuilding every view from zero')
    const [{ verified, facts }, replayed, rebuilt] = await Promise.all([
      exportAndVerify({ env, dir, book: plan.book, plant }),
      replayAll(
        env,
        [figures.flood, figures.urgent].map((one) => ({ tenantId: one.tenantId, periods: one.billingPeriods })),
      ),
      rebuildAllViews(env),
    ])
    await service.stop()
    const ours = facts.filter(({ tenantId }) => tenantId === plan.flood.id || tenantId === plan.urgent.id)
    const evidence: Evidence = {
      plan,
      story,
      figures,
      told,
      verified,
      replayed,
      rebuilt,
      isWhole,
      fairness: fairnessOf(ours, plan.urgent.id),
      quality: qualityOf(
        story.answers.flood
          .filter(({ job }) => job.body.capability === 'classify.category')
          .map(({ job, end }) => ({ truth: job.mail.label, label: labelOf(end.result) })),
      ),
    }
    const checks = checksOf(evidence)
    const times = { totalMs: performance.now() - since, coldStartMs }
    if (isJson) printJson(checks, evidence, times)
    else showSummary(checks, evidence, times)
    return checks
  } finally {
    bar.end()
    client.close()
  }
}

const labelOf = (result: unknown): string | undefined =>
  typeof result === 'object' && result !== null && 'label' in result && typeof result.label === 'string'
    ? result.label
    : undefined

/** What happens, for whoever watches; the summary alone goes to standard output. */
const narrator =
  (since: number) =>
  (text: string): void =>
    void process.stderr.write(`${((performance.now() - since) / 1_000).toFixed(1).padStart(5)} s  ${text}\n`)
