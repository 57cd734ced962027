/** The facts of a real service, on Kafka, come to what that service's own ledger says. */
import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openTenant, type Service, startService } from '../../api/testing/service.ts'
import { startOfFacts } from '../../platform/log/log.ts'
import { memoryCodec } from '../../producers/testing/rig.ts'
import type { JobRated } from '../../schemas/events.generated.ts'
import { brokers, registryUrl } from './kafka-of-the-run.ts'
import { ratedFact } from './rated-facts.ts'
import { installSample, type Language, languages, runSample } from './run-sample.ts'
import { type FeedWriter, openFeedWriter } from './write-feed.ts'

const topic = `t${randomUUID().slice(0, 8)}.billing`
let service: Service
let writer: FeedWriter
let tenants: Awaited<ReturnType<typeof openTenant>>[]
let rated: JobRated[]

beforeAll(async () => {
  installSample()
  writer = await openFeedWriter(brokers(), registryUrl(), topic)
  service = await startService()
  service.scripted.play([{ promptHas: 'refuse this', status: 400 }])
  tenants = [
    await openTenant(service, 'harbor', { timeZone: 'Africa/Lagos' }),
    await openTenant(service, 'market', { timeZone: 'Pacific/Auckland' }),
  ]
  for (const { submitter } of tenants) {
    const jobs = [
      ...['a lovely day', 'a dreadful day'].map((text) => ({ capability: 'classify.sentiment', input: { text } })),
      ...['say something', 'refuse this'].map((prompt) => ({ capability: 'generate.text', input: { prompt } })),
    ]
    for (const job of jobs) (await submitter.post('/v1/jobs?wait=30', job)).expect(200)
  }
  rated = await ratedIn(service)
  for (const fact of rated) await writer.write([writer.encode(fact)], 'commit')
}, 300_000)

afterAll(async () => {
  await service?.stop()
  await writer?.close()
})

/** Every rated job in the service's log. */
async function ratedIn({ log }: Service): Promise<JobRated[]> {
  const found: JobRated[] = []
  for (let partition = 0; partition < log.partitionCount; partition++) {
    const { facts } = await log.readFacts(partition, startOfFacts, { recordsMax: 10_000, waitMs: 0 })
    for (const { stream, value } of facts) {
      const event = memoryCodec.decode(value)
      expect(stream === 'billing').toBe(event.type === 'JobRated')
      if (event.type === 'JobRated') found.push(event)
    }
  }
  return found
}

const compare = async (language: Language, tenant: (typeof tenants)[number] | undefined) => {
  const { id = '', tokens } = tenant ?? {}
  const where = ['--brokers', brokers(), '--registry', registryUrl(), '--topic', topic, '--json']
  const args = [...where, '--compare', service.url, '--tenant', id, '--compare-wait', '1']
  const { status, said, complained } = await runSample(language, args, { PF3_TOKEN: tokens?.reader ?? '' })
  return { status, complained, comparison: JSON.parse(said || '{}').comparison as { differences: object[] } }
}

describe.for(languages)('the sample in %s', (language) => {
  test('finds the ledger the same for every tenant, failed jobs included', async () => {
    expect(rated).toHaveLength(8)
    expect(new Set(rated.map(({ lines }) => lines.length > 0))).toEqual(new Set([true, false]))
    for (const tenant of tenants) {
      const { status, complained, comparison } = await compare(language, tenant)
      expect({ status, complained, differences: comparison?.differences }).toEqual({
        status: 0,
        complained: '',
        differences: [],
      })
    }
  })
})

test('both find the job that the feed has and the ledger has not, and only with its tenant', async () => {
  const [harbor, market] = tenants
  const [known] = rated.filter(({ tenantId }) => tenantId === harbor?.id)
  const { currency = '', billingPeriod = '' } = known ?? {}
  const more: JobRated = { ...ratedFact(harbor?.id ?? '', 1, 1_000n), currency, billingPeriod }
  await writer.write([writer.encode(more)], 'commit')
  for (const language of languages) {
    const { status, comparison } = await compare(language, harbor)
    expect({ status, differences: comparison.differences }).toMatchObject({
      status: 1,
      differences: expect.arrayContaining([expect.objectContaining({ period: billingPeriod, what: 'jobs' })]),
    })
    expect((await compare(language, market)).status).toBe(0)
  }
})
