/** `pf3 replay` reads Kafka in another thread: it is given all there is, of nobody else, or says that it could not. */
import { execFile } from 'node:child_process'
import { expect, test } from 'vitest'
import { cleanEnv, pf3Path } from '../../bin/demo/service-process.ts'
import { kafkaClient, producerSettings } from '../../platform/log/kafka/client.ts'
import { partitionOf } from '../../platform/log/partitioner.ts'
import { startFleet } from './fleet.ts'

/** Together several batches of facts. */
const jobsOfEach = 512
const batchSize = 64
const exitCode = { right: 0, unavailable: 3 }

test('charges are derived from many batches, other tenants stay out, and what is undecided is no end', async () => {
  const fleet = await startFleet({
    members: ['api,owner,projections'],
    partitionCount: 1,
    connectionsMax: 4,
    env: { PF3_LOCAL_THREADS: '1' },
  })
  const { token } = await fleet.tenant('harbor')
  const { token: neighbour } = await fleet.tenant('neighbour')
  const submit = (name: string, count: number, who = token) =>
    fleet.client.mustAsk(who, {
      method: 'POST',
      path: '/v1/jobs/batch?wait=60',
      body: {
        jobs: Array.from({ length: count }, (_, index) => ({
          key: `${name}-${index}`,
          capability: 'classify.sentiment',
          input: { text: 'A good day.' },
        })),
      },
    })
  for (let done = 0; done < jobsOfEach; done += batchSize)
    await Promise.all([token, neighbour].map((who) => submit(`batch-${done}`, batchSize, who)))

  const period = new Date().toISOString().slice(0, 7)
  const args = [pf3Path, 'replay', '--tenant', 'harbor', '--period', period, '--diff', '--json']
  const replay = () =>
    new Promise<{ code: number; stderr: string; report?: { jobs: number; totals: object[] } }>((resolve) =>
      execFile(process.execPath, args, { env: cleanEnv(fleet.env) }, (error, stdout, stderr) =>
        resolve({ code: Number(error?.code ?? 0), stderr, ...(stdout !== '' && { report: JSON.parse(stdout) }) }),
      ),
    )
  const all = await replay()
  expect(all).toMatchObject({ code: exitCode.right, stderr: '' })
  expect(all.report).toMatchObject({ jobs: jobsOfEach, endedJobs: jobsOfEach, underivedJobs: 0, deltaCount: 0 })
  expect(all.report?.totals).toHaveLength(1)

  // Somebody's transaction stays open between two commits of the owner's: what comes after it nobody can say yet.
  const brokers = String(fleet.env['PF3_KAFKA_BROKERS']).split(',')
  const prefix = fleet.env['PF3_TOPIC_PREFIX']
  const producer = kafkaClient({ brokers }).producer({ transactionalId: `${prefix}stuck`, ...producerSettings })
  await producer.connect()
  try {
    // The process itself is handed what it commits, and goes on.
    const stuck = await producer.transaction()
    const partition = partitionOf('harbor', 1)
    await stuck.send({ topic: `${prefix}jobs`, acks: -1, messages: [{ partition, value: 'none of ours' }] })
    await submit('behind', 1)
    const short = await replay()
    expect(short).toEqual({ code: exitCode.unavailable, stderr: expect.stringMatching(/LOG_UNAVAILABLE.*undecided/) })
    await stuck.abort()
  } finally {
    await producer.disconnect()
  }
  await expect
    .poll(async () => (await replay()).report, { timeout: 30_000 })
    .toMatchObject({ jobs: jobsOfEach + 1, deltaCount: 0 })
})
