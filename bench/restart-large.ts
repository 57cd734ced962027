/** From the death of an owner to its successor's first decision, after a million jobs of ten thousand tenants in one partition. */
import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { readConfig } from '../bin/config.ts'
import { cleanEnv, pf3Path, type ServiceProcess, startServiceProcess } from '../bin/demo/service-process.ts'
import { type Foundation, openFoundation } from '../bin/foundation.ts'
import { systemClock, systemRandom } from '../platform/clock.ts'
import type { FactRecord } from '../platform/log/log.ts'
import { requestAppender } from '../producers/append-request.ts'
import { type Fact, streamOf } from '../schemas/events.generated.ts'
import { startStack } from '../tests/stack/start-stack.ts'
import { residentMiB } from './processes.ts'
import type { Bench, Row } from './report.ts'
import { World } from './world.ts'

const jobs = 1_000_000
const tenants = 10_000
const factsPerCommit = 5_000
const decidedWithinMs = 600_000
const lookMs = 5
const rootToken = `pf3_${'0'.repeat(43)}`

export const restartLarge: Bench = {
  about: `From the start of an owner to its first decision, with ${jobs.toLocaleString('en')} jobs of ${tenants.toLocaleString('en')} tenants, two caps each, all in one partition: with no snapshot, when it folds every fact there is; then after kill -9 with the snapshot it has kept.`,
  limits:
    'The history is decided by the same rules in memory and written straight into the log, a tenth of a second between two jobs, so that the answered ids that are remembered, of 24 to 28 hours, are nearly all of them. The process has the role of the owner alone.',
  run: async ({ rounds, brokerCount }) => {
    const stack = await startStack({ brokerCount })
    const dir = await mkdtemp(join(tmpdir(), 'pf3-bench-'))
    const env = {
      PF3_PROFILE: 'kafka',
      ...stack.environment,
      PF3_TOPIC_PREFIX: 'bench.',
      PF3_PARTITIONS: '1',
      PF3_ROOT_TOKEN: rootToken,
      PF3_MASTER_KEY_FILE: join(dir, 'master.key'),
      PF3_DATA_DIR: join(dir, 'data'),
    }
    let owner: ServiceProcess | undefined
    let foundation: Foundation | undefined
    const asOwner = { dataDir: env.PF3_DATA_DIR, port: 0, rootToken, env, roles: 'owner', readyMsMax: decidedWithinMs }
    const start = async () => {
      owner = await startServiceProcess(asOwner)
    }
    try {
      await promisify(execFile)(process.execPath, [pf3Path, 'topics', 'apply'], { env: cleanEnv(env) })
      foundation = await openFoundation(readConfig({ ...env, PF3_DATA_DIR: join(dir, 'here') }))
      const facts = await writeHistory(foundation)
      const rows = {
        none: row(`without any snapshot, ${facts.toLocaleString('en')} facts`, 's'),
        snapshot: row('with a snapshot', 's'),
        memory: row('memory of the owner', 'MiB'),
      }
      for (let round = 0; round < rounds; round++) {
        rows.none.ours.push(await firstDecision(foundation, start))
        rows.memory.ours.push(residentMiB())
        await owner?.stop() // Keeps a snapshot.
        await start()
        await owner?.kill()
        rows.snapshot.ours.push(await firstDecision(foundation, start))
        await owner?.stop()
        if (round + 1 < rounds) await foundation.database.asService((tx) => tx.query('DELETE FROM owner_snapshot'))
      }
      const setting = 'Kafka 4.1, registry and PostgreSQL 15 on the same machine, 1 partition'
      return { rows: Object.values(rows), setting }
    } finally {
      await owner?.kill()
      await foundation?.close()
      await stack.stop()
      await rm(dir, { recursive: true, force: true })
    }
  },
}

const row = (what: string, unit: Row['unit']): Row => ({ what, unit, ours: [] })

/** Answers how many facts. */
async function writeHistory({ log, codec }: Foundation): Promise<number> {
  const tenure = await log.acquire(0)
  let facts: FactRecord[] = []
  let written = 0
  const onFact = (fact: Fact) =>
    void facts.push({ stream: streamOf[fact.type], key: fact.tenantId, value: codec.encode(fact), seq: fact.seq })
  const world = new World(tenants, 2, { onFact })
  const flush = async () => {
    written += facts.length
    const batch = facts
    facts = []
    await tenure.commit(batch, 0n)
  }
  for (let job = 0; job < jobs; job++) {
    world.live(job)
    if (facts.length >= factsPerCommit) await flush()
  }
  await flush()
  await tenure.release()
  return written
}

/** Seconds from the call to the moment when the answer to a new request is committed. */
async function firstDecision({ log, codec }: Foundation, start: () => Promise<void>): Promise<number> {
  const before = (await log.committed(0)).seq
  const { append } = requestAppender({ log, codec, clock: systemClock, random: systemRandom })
  const caller = { actor: 'token:bench', correlationId: 'bench', traceparent: null }
  await append(caller, { tenantId: 'tenant-0', type: 'RemoveCap', capId: 'cap-1' })
  const since = performance.now()
  const starting = start()
  while ((await log.committed(0)).seq === before) {
    if (performance.now() - since > decidedWithinMs) throw new Error('Nothing was decided.')
    await sleep(lookMs)
  }
  const tookS = (performance.now() - since) / 1_000
  await starting
  return tookS
}
