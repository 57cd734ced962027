/** Owners in three processes tell tenants in each other's partitions, while processes die: every ancestor knows every ledger. */
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { sequence } from '../../providers/local/seeded-order.ts'
import { startScriptedProvider } from '../../providers/scripted/scripted-provider.ts'
import { exportedFacts } from '../e2e/checks.ts'
import { moody, startLoad } from '../e2e/load.ts'
import { atRestMs, expectTold, partnerOf } from '../transfers/told.ts'
import { startFleet, troubled } from './fleet.ts'

const seed = 20_261_126
const kills = 5
const lanes = 12
const whole = 'api,owner,projections'

test(`${kills} kills among three processes: the partner and the platform are told of exactly what the clients' ledgers say`, async () => {
  const random = sequence(seed)
  const provider = await startScriptedProvider({ seed, script: moody })
  onTestFinished(() => provider.close())
  const fleet = await startFleet({
    members: [whole, whole, whole],
    partitionCount: 6,
    connectionsMax: 2 * lanes,
    env: { ...troubled(provider.baseUrl), PF3_ROLLUP_WAIT_MS: '50' },
  })
  const { partner, clients } = await partnerOf(fleet, ['left', 'right', 'middle', 'upper', 'lower'])
  const tokens = clients.map(({ token }) => token)
  const load = startLoad(fleet.client, tokens, random, { lanes, giveUpMs: 300_000 })
  for (let kill = 1; kill <= kills; kill++) {
    await load.goesOn()
    await sleep(random() * 600)
    const victim = fleet.members[Math.floor(random() * fleet.members.length)]
    if (!victim) throw new Error('There are three members.')
    await victim.kill()
    await load.goesOn()
    await Promise.all([fleet.untilServed(), victim.start()])
  }
  const { ends } = await load.finish()

  await expectTold(fleet.client, partner, clients)
  await expectTold(fleet.client, { id: 'platform', token: fleet.rootToken }, clients)
  await sleep(atRestMs)
  const facts = await exportedFacts(fleet.env, { atRest: true })
  const count = (type: string) => facts.filter((fact) => fact.type === type).length
  expect(count('JobRated')).toBeGreaterThanOrEqual(ends.size)
  expect(count('TransferTaken')).toBe(count('TransferSent'))
  expect(facts.filter((fact) => fact.type === 'RequestRefused' && fact.requestType === 'TransferArrived')).toEqual([])
  console.log(`${ends.size} jobs, ${facts.length} facts, ${count('TransferSent')} transfers`)
}, 600_000)
