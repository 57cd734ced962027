/** The views, filled by processes that die between the rows and the position, so that facts come again. */
import { isDeepStrictEqual } from 'node:util'
import { sleep } from '../../platform/clock.ts'
import { type FactCursor, type Log, startOfFacts } from '../../platform/log/log.ts'
import type { SimulatedLog } from '../../platform/log/simulated.ts'
import { testCodec } from '../../processors/testing/world.ts'
import { allProjections } from '../../projections/index.ts'
import { memoryProjections } from '../../projections/memory-runner.ts'
import type { Fact } from '../../schemas/events.generated.ts'
import type { Faults } from './faults.ts'
import { type SimProcess, simProcess } from './process.ts'
import type { SimRandom } from './random.ts'
import type { Scheduler } from './scheduler.ts'

export type Views = ReturnType<typeof views>

const retryMs = 50
const restartMsMax = 300
const readWaitMs = 1_000

export function views(parts: {
  scheduler: Scheduler
  log: SimulatedLog
  faults: Faults
  random: SimRandom
  /** Processes of owners that views may live in, which are handed what is committed there. */
  hosts(): readonly { process: SimProcess; log: Log }[]
  onEvent(): void
}) {
  const { scheduler, log, faults, random } = parts
  const tables = Array.from({ length: log.partitionCount }, () => memoryProjections(allProjections))
  const positions: FactCursor[] = tables.map(() => startOfFacts)
  let process: SimProcess
  let started = 0

  function start(): void {
    started += 1
    const hosts = parts.hosts()
    const host = hosts.length > 0 && random.chance(0.7) ? random.pick(hosts) : undefined
    process = host?.process ?? simProcess(`views-${started}`, scheduler, parts.onEvent)
    const source = host?.log ?? process.port(log)
    for (let partition = 0; partition < log.partitionCount; partition++) void follow(partition, source, started)
  }

  async function follow(partition: number, source: Log, life: number): Promise<void> {
    const { clock } = process
    let cursor = positions[partition] ?? startOfFacts
    while (life === started) {
      try {
        const read = await source.readFacts(partition, cursor, {
          recordsMax: random.whole(1, 200),
          waitMs: readWaitMs,
        })
        if (life !== started) return
        tables[partition]?.apply(read.facts.map(({ value }) => testCodec.decode(value) as Fact))
        await sleep(clock, random.whole(0, 20))
        if (life !== started) return
        positions[partition] = read.cursor
        cursor = read.cursor
      } catch {
        await sleep(clock, retryMs)
      }
    }
  }

  /** Until they begin again, what still reads belongs to a life that is over. */
  function die(): void {
    started += 1
    scheduler.after(random.fraction() * restartMsMax, start)
  }

  return {
    start,
    crash(): void {
      faults.fired('viewCrash')
      die()
    },
    /** A process has died, which may be the one that they live in. */
    died(other: SimProcess): void {
      if (other === process) die()
    },
    haveAll: (): boolean =>
      positions.every(({ seq }, partition) => seq === BigInt(log.committedFacts(partition).length)),
    /** Facts that came in pieces, twice, and through crashes make the rows that they make in one go. */
    check(facts: (partition: number) => readonly Fact[], violated: (what: string) => void): void {
      for (const [partition, table] of tables.entries()) {
        const owners = new Map(
          facts(partition).flatMap((fact) => ('jobId' in fact ? [[fact.jobId, fact.tenantId] as const] : [])),
        )
        const reference = memoryProjections(allProjections)
        reference.apply(facts(partition))
        for (const { name } of allProjections) {
          for (const { job_id, tenant_id } of table.rows(name)) {
            if (typeof job_id === 'string' && owners.get(job_id) !== tenant_id)
              violated(`view ${name} shows job ${job_id} of ${owners.get(job_id)} to ${tenant_id}`)
          }
          if (!isDeepStrictEqual(table.rows(name), reference.rows(name)))
            violated(`view ${name} of partition ${partition} is not the fold of the facts`)
        }
      }
    },
  }
}
