/** The process dies between a transfer and the word that it has arrived: the next one sends it, and it is taken once. */
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { hasEnded, jobClient } from '../../bin/demo/job-client.ts'
import { startServiceProcess } from '../../bin/demo/service-process.ts'
import { exportedFacts } from '../e2e/checks.ts'
import { stage } from '../e2e/stage.ts'
import { atRestMs, expectTold, partnerOf } from './told.ts'

const victim = join(import.meta.dirname, 'testing', 'dying-forwarder.ts')
const jobs = 5

test.each([
  { dies: 'before', what: 'the transfer is sent and no intake has it' },
  { dies: 'after', what: 'the intake has the transfer and its sender does not know' },
])(
  'killed when $what: every ancestor is told once, of everything',
  async ({ dies }) => {
    const env = { PF3_PARTITIONS: '3', PF3_LOCAL_THREADS: '1', PF3_ROLLUP_WAIT_MS: '300' }
    const scene = await stage({ connectionsMax: 8, env })
    const { partner, clients } = await partnerOf(scene, ['harbor', 'quay'])
    await scene.service().stop()

    const { dataDir, rootToken } = scene
    const dying = await startServiceProcess({
      dataDir,
      port: 0,
      rootToken,
      script: victim,
      env: { ...env, DIES: dies },
    })
    const wanted = clients.flatMap(({ token }) =>
      Array.from({ length: jobs }, (_, index) => ({
        token,
        key: `job-${index}`,
        body: { capability: 'classify.sentiment', input: { text: `A good day, number ${index}.` } },
      })),
    )
    const post = async ({ token, key, body }: (typeof wanted)[number]) =>
      fetch(`${dying.url}/v1/jobs`, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', 'idempotency-key': key },
        body: JSON.stringify(body),
      }).catch(() => undefined)
    await Promise.all(wanted.map(post))
    expect(await dying.ended).toBeNull() // By a signal: it came to the transfer.

    await scene.restart()
    const client = jobClient(scene.client)
    for (const one of wanted) expect(hasEnded(await client.run(one))).toBe(true)
    await expectTold(scene.client, partner, clients)
    await expectTold(scene.client, { id: 'platform', token: rootToken }, clients)
    await sleep(atRestMs)
    const facts = await exportedFacts({ ...env, PF3_DATA_DIR: dataDir }, { atRest: true })
    const count = (type: string) => facts.filter((fact) => fact.type === type).length
    expect(count('JobRated')).toBe(wanted.length)
    expect(count('TransferTaken')).toBe(count('TransferSent'))
    expect(count('RequestRefused')).toBe(0)
  },
  120_000,
)
