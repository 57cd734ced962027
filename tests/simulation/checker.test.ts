/** In which order the checker takes what several partitions have committed between two of its looks. */
import { expect, test } from 'vitest'
import { systemClock } from '../../platform/clock.ts'
import { partitionOf } from '../../platform/log/partitioner.ts'
import { simulatedLog } from '../../platform/log/simulated.ts'
import type { Draft } from '../../processors/processor.ts'
import { seededRandom, testCodec } from '../../processors/testing/world.ts'
import { type FactHeader, streamOf } from '../../schemas/events.generated.ts'
import { idFrom } from '../../schemas/ids.ts'
import { platformTenantId } from '../../schemas/streams.ts'
import { checker, sha256 } from './checker.ts'

/** Its partition comes before the platform's. */
const tenantId = 'client-1'

const header: Omit<FactHeader, 'seq' | 'eventId' | 'tenantId'> = {
  occurredAt: 1_794_312_000_000_000n,
  actor: 'owner',
  correlationId: 'c',
  causedBy: 'req_1',
  intakeOffset: 0n,
  traceparent: null,
}
const registered: Draft = {
  type: 'TenantRegistered',
  tenantId: platformTenantId,
  registeredTenantId: tenantId,
  level: 'client',
  parentId: platformTenantId,
  name: 'Harbor',
  currency: 'USD',
  timeZone: 'Africa/Lagos',
}
const submitted: Draft = {
  type: 'JobSubmitted',
  tenantId,
  jobId: 'job_1',
  memberId: null,
  capability: 'generate.text',
  resourceId: null,
  model: null,
  payloadRef: 'in_1',
  payloadBytes: 2n,
  payloadMac: 'mac',
  priority: 3,
  inputTokensMax: 10n,
  outputTokensMax: 10n,
  maxCharge: null,
  deadlineMs: 1_000n,
}
const refused: Draft = {
  type: 'JobRefused',
  tenantId,
  jobId: 'job_1',
  memberId: null,
  capability: 'generate.text',
  reason: 'queue_full',
  cap: null,
  heldPico: null,
  directoryVersion: 1n,
  timeZone: 'Africa/Lagos',
  priceBookHash: null,
}

test('a refusal is held against the tenant that was registered before it, also in another partition in the same step', async () => {
  const log = simulatedLog({ partitionCount: 2, clock: systemClock, random: seededRandom(1) })
  const violations: string[] = []
  const look = checker({
    log,
    places: { local: 1, remote: 1 },
    submissions: { wasLost: () => false },
    violated: (what) => violations.push(what),
    trace: sha256(),
  })
  async function commit(bodies: readonly Draft[]): Promise<void> {
    const facts = bodies.map((body, index) => {
      const fact = { ...header, seq: BigInt(index) + 1n, eventId: idFrom('evt', body.type), ...body }
      return { stream: streamOf[fact.type], key: fact.tenantId, value: testCodec.encode(fact), seq: fact.seq }
    })
    const tenure = await log.acquire(partitionOf(bodies[0]?.tenantId ?? platformTenantId, 2))
    await tenure.commit(facts, 0n)
  }
  expect(partitionOf(tenantId, 2)).toBeLessThan(partitionOf(platformTenantId, 2))

  await commit([registered])
  await commit([submitted, refused])
  look.look()

  expect(violations).toEqual([])
  expect(look.facts(0).map(({ type }) => type)).toEqual(['JobSubmitted', 'JobRefused'])
})
