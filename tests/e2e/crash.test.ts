/**
 * SIGKILL of the whole service (door, owner, projections and database are one process) at 50 random points under load
 * over HTTP. The seed brings the moments back, the load's own timing does not: a failure prints where every kill fell.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { serviceFigures } from '../../bin/demo/service-figures.ts'
import { sequence } from '../../providers/local/seeded-order.ts'
import { startScriptedProvider } from '../../providers/scripted/scripted-provider.ts'
import { expectNothingLost, exportedFacts } from './checks.ts'
import { moody, startLoad, wideTenants } from './load.ts'
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

test(`killed at ${services * killsPerService} random points: nothing lost, nothing charged twice, nothing held, every unknown outcome visible`, async () => {
  const runs = await Promise.all(Array.from({ length: services }, (_, index) => killAgainAndAgain(seed + index)))
  const kills = runs.flat()
  const inTheMiddle = kills.filter(({ calls, submissions }) => calls > 0 || submissions > 0)
  for (const [index, { seq, calls, submissions }] of kills.entries()) {
    console.log(`kill ${index + 1}: after fact ${seq}, ${calls} calls and ${submissions} submissions under way`)
  }
  console.log(`${inTheMiddle.length} of ${kills.length} in the middle of a call or a transaction`)
  expect(inTheMiddle.length).toBeGreaterThanOrEqual(killsInTheMiddleMin)
  expect(kills.filter(({ calls }) => calls > 0).length).toBeGreaterThan(0)
  expect(kills.filter(({ submissions }) => submissions > 0).length).toBeGreaterThan(0)
}, 900_000)

async function killAgainAndAgain(ofSeed: number): Promise<Kill[]> {
  const random = sequence(ofSeed)
  const provider = await startScriptedProvider({
    seed: ofSeed,
    script: moody,
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
  const tenants = await wideTenants(scene, ['left', 'right', 'middle'])
  const tokens = tenants.map(({ token }) => token)
  const load = startLoad(scene.client, tokens, random, { lanes, giveUpMs })
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

  const facts = await exportedFacts({ ...env, PF3_DATA_DIR: scene.dataDir })
  await expectNothingLost({ client: scene.client, facts, acknowledged, ends, tenants, provider })
  // Every call whose outcome nobody knows is in the log, and was found at the restart after its kill.
  const unknown = facts.filter((fact) => fact.type === 'AttemptFailed' && fact.indeterminate)
  expect(unknown.length).toBe(unknownOutcomes)
  expect(await scene.service().stop()).toBe(0)
  return kills
}

async function factCount({ client }: Stage): Promise<number> {
  const { body } = await client.ask('', { method: 'GET', path: '/metrics' })
  return [...String(body).matchAll(/^pf3_owner_seq\{[^}]*\} (\d+)$/gm)].reduce((sum, [, seq]) => sum + Number(seq), 0)
}
