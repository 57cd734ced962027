/**
 * After the system test of Apache Kafka's own transactions: a fixed number of jobs goes in while every broker is bounced
 * and every process restarted, hard and in good order; a reader that ran along and one that came later must both see that
 * what came out is what went in: nothing less, nothing twice, and in order.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { readConfig } from '../../bin/config.ts'
import { type ApiClient, inParallel } from '../../bin/demo/api-client.ts'
import { jobClient } from '../../bin/demo/job-client.ts'
import { borrowFoundation } from '../../bin/foundation.ts'
import { isFailure } from '../../platform/errors.ts'
import { startOfFacts } from '../../platform/log/log.ts'
import type { Fact } from '../../schemas/events.generated.ts'
import { wideTenants } from '../e2e/load.ts'
import { startOwnKafka } from '../stack/kafka.ts'
import { type Fleet, startFleet } from './fleet.ts'

const isFull = process.env['PF3_GATE'] === 'full'
const jobCount = isFull ? 100_000 : 1_200
const batchSize = 50
const lanesPerTenant = 3
const partitionCount = 6
const giveUpMs = 600_000
const restartsEach = isFull ? 3 : 1
const bouncesEach = isFull ? 2 : 1

/** What is kept of a fact. */
type Seen = {
  seq: bigint
  type: Fact['type']
  tenantId: string
  jobId: string | null
  eventId: string
  intakeOffset: bigint | null
}

const seenOf = (fact: Fact): Seen => ({
  seq: fact.seq,
  type: fact.type,
  tenantId: fact.tenantId,
  jobId: 'jobId' in fact ? fact.jobId : null,
  eventId: fact.eventId,
  intakeOffset: fact.intakeOffset,
})

/** Reads every partition from the beginning for as long as `isOver` says no, and then to its end. */
async function readAll(env: Readonly<Record<string, string>>, isOver: () => boolean): Promise<Seen[][]> {
  const { log, codec, close } = await borrowFoundation(readConfig(env))
  try {
    const partitions = Array.from({ length: partitionCount }, (_, partition) => partition)
    return await Promise.all(
      partitions.map(async (partition) => {
        const seen: Seen[] = []
        for (let cursor = startOfFacts; ; ) {
          const wasOver = isOver()
          try {
            const { seq } = wasOver ? await log.committed(partition) : { seq: -1n }
            const read = await log.readFacts(partition, cursor, { recordsMax: 2_000, waitMs: 500 })
            for (const { value } of read.facts) seen.push(seenOf(codec.decode(value) as Fact))
            cursor = read.cursor
            if (wasOver && cursor.seq >= seq) return seen
          } catch (error) {
            // Brokers are away for a while; what was read is not read again.
            if (!isFailure(error, 'LOG_UNAVAILABLE')) throw error
          }
        }
      }),
    )
  } finally {
    await close()
  }
}

/** Submits batches one after another, each when the one before has ended; the same request again until it is answered. */
function startBatches(client: ApiClient, tenants: readonly { token: string }[]) {
  const jobs = jobClient(client, giveUpMs)
  const lanes = tenants.flatMap((tenant) => Array.from({ length: lanesPerTenant }, () => tenant))
  /** By lane, of each batch the ids. */
  const taken: string[][][] = lanes.map(() => [])
  let next = 0
  let ended = 0

  async function lane(index: number): Promise<void> {
    const token = lanes[index]?.token ?? ''
    for (let batch = next++; batch < jobCount / batchSize; batch = next++) {
      const items = Array.from({ length: batchSize }, (_, at) => ({
        key: `job-${batch}-${at}`,
        capability: 'classify.sentiment',
        input: { text: `A good day, number ${batch * batchSize + at}.` },
      }))
      const ids = await submitBatch(token, items)
      taken[index]?.push(ids)
      const { key, ...body } = items[batchSize - 1] ?? { key: '', capability: '', input: '' }
      await jobs.end({ token, key, body }, ids[batchSize - 1] ?? '')
      ended += batchSize
    }
  }

  async function submitBatch(token: string, items: readonly object[]): Promise<string[]> {
    for (const since = performance.now(); ; await sleep(100)) {
      const reply = await client
        .ask(token, { method: 'POST', path: '/v1/jobs/batch', body: { jobs: items } })
        .catch((error: unknown) => ({ status: 503, body: String(error) }))
      const results = reply.status === 200 ? (reply.body as { results: { id?: string }[] }).results : []
      const ids = results.flatMap(({ id }) => id ?? [])
      if (ids.length === items.length) return ids
      const isOver = performance.now() - since > giveUpMs
      if (isOver || (reply.status < 500 && reply.status !== 200))
        throw new Error(`A batch was not taken: ${JSON.stringify(reply)}`)
    }
  }

  const done = inParallel(lanes.keys(), lanes.length, lane)
  done.catch(() => undefined) // Met by whoever waits for it.
  return { done, taken, ended: () => ended }
}

/** Everything that is done to the cluster, one after another, each in both ways in turn. */
function* bounces(fleet: Fleet, brokers: Awaited<ReturnType<typeof startOwnKafka>>['brokers']) {
  for (let round = 0; round < Math.max(restartsEach, bouncesEach); round++) {
    const isHard = (index: number) => (round + index) % 2 === 0
    if (round < bouncesEach)
      for (const [index, broker] of brokers.entries())
        yield {
          what: `${broker.name} ${isHard(index) ? 'killed' : 'stopped'}`,
          run: () => again(broker, isHard(index)),
        }
    if (round < restartsEach)
      for (const [index, member] of fleet.members.entries())
        yield {
          what: `${member.name} ${isHard(index) ? 'killed' : 'stopped'}`,
          run: () => again(member, isHard(index)),
        }
  }
}

type Bounced = { kill(): Promise<unknown>; stop(): Promise<unknown>; start(): Promise<unknown> }

async function again(one: Bounced, isHard: boolean): Promise<void> {
  await (isHard ? one.kill() : one.stop())
  await one.start()
}

test(`${jobCount} jobs through three brokers while all of it is bounced: both readers see what went in, once and in order`, async () => {
  const kafka = await startOwnKafka({ brokerCount: 3 })
  onTestFinished(() => kafka.stop())
  const fleet = await startFleet({
    members: ['api,owner,projections', 'api,owner,projections', 'api,owner,projections'],
    partitionCount,
    connectionsMax: 40,
    brokers: kafka.addresses,
    env: { PF3_LOCAL_THREADS: '1', PF3_SHUTDOWN_WAIT_MS: '5000' },
  })
  const tenants = await wideTenants(fleet, ['left', 'right', 'middle', 'upper', 'lower'])
  let isOver = false
  const along = readAll(fleet.env, () => isOver)
  along.catch(() => undefined) // Met below.
  const beganMs = performance.now()
  const load = startBatches(fleet.client, tenants)
  const all = [...bounces(fleet, kafka.brokers)]
  for (const [index, { what, run }] of all.entries()) {
    const due = (jobCount * (index + 0.5)) / (all.length + 1)
    await Promise.race([load.done, untilAtLeast(load.ended, due)])
    const before = load.ended()
    await run()
    const servedMs = await fleet.untilServed()
    console.log(`${before} jobs: ${what} and back; all partitions served ${servedMs.toFixed(0)} ms later`)
  }
  await load.done
  console.log(`${jobCount} jobs in ${((performance.now() - beganMs) / 1_000).toFixed(0)} s`)
  await untilNothingIsOpen(fleet)
  isOver = true

  const ran = await along
  const later = await readAll(fleet.env, () => true)
  for (const [partition, facts] of later.entries()) {
    const seen = ran[partition] ?? []
    expect(facts.slice(0, seen.length)).toEqual(seen)
    // Ancestors are told a moment later, when the reader that ran along may have ended already.
    const afterwards = facts.slice(seen.length).map(({ type }) => type)
    expect(afterwards.filter((type) => !type.startsWith('Transfer'))).toEqual([])
  }
  const input = load.taken.flat(2).sort()
  expect(input.length).toBe(jobCount)
  const facts = later.flat()
  const idsOf = (type: Fact['type']) => facts.flatMap((fact) => (fact.type === type ? [fact.jobId] : [])).sort()
  for (const type of ['JobSubmitted', 'JobAdmitted', 'JobSucceeded', 'JobRated'] as const)
    expect(idsOf(type), type).toEqual(input)
  expect(new Set(facts.map(({ eventId }) => eventId)).size).toBe(facts.length)
  for (const partition of later) {
    partition.forEach(({ seq }, index) => {
      if (seq !== BigInt(index + 1)) throw new Error(`Fact ${seq} stands at ${index + 1}.`)
    })
    const offsets = partition.flatMap(({ type, intakeOffset }) =>
      type === 'JobSubmitted' && intakeOffset !== null ? [intakeOffset] : [],
    )
    expect(offsets.every((offset, index) => index === 0 || offset > (offsets[index - 1] ?? 0n))).toBe(true)
  }
  // A batch was sent when the one before it in its lane was acknowledged, so it was decided after it.
  const placeOf = new Map(
    later.flatMap((partition) =>
      partition.flatMap(({ type, jobId, seq }) =>
        type === 'JobSubmitted' && jobId !== null ? [[jobId, seq] as const] : [],
      ),
    ),
  )
  for (const lane of load.taken) {
    let reached = 0n
    for (const ids of lane) {
      const places = ids.map((id) => placeOf.get(id) ?? -1n)
      expect(places.every((place) => place > reached)).toBe(true)
      reached = places.reduce((most, place) => (place > most ? place : most), 0n)
    }
  }
}, 7_200_000)

async function untilAtLeast(ended: () => number, due: number): Promise<void> {
  while (ended() < due) await sleep(50)
}

/** The last of a batch has ended; others of it may still be rated. */
async function untilNothingIsOpen({ members }: Fleet): Promise<void> {
  await expect
    .poll(
      async () => {
        const rows = await Promise.all(members.map((member) => member.figure('pf3_owner_open_jobs')))
        return rows.flatMap((row) => [...row.values()])
      },
      { timeout: 60_000 },
    )
    .toEqual(Array.from({ length: partitionCount }, () => 0))
}
