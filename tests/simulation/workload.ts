/** Who asks for what: a tree of tenants with caps at several levels, and clients that ask until they are answered. */
import { sleep } from '../../platform/clock.ts'
import { isFailure } from '../../platform/errors.ts'
import type { SimulatedLog } from '../../platform/log/simulated.ts'
import type { Payload, PayloadVault } from '../../platform/vault/vault.ts'
import { parsePriceBook } from '../../pricing/index.ts'
import { testCodec } from '../../processors/testing/world.ts'
import {
  type AskedBody,
  type AskedRequest,
  type RequestAppender,
  requestAppender,
} from '../../producers/append-request.ts'
import { type JobRequest, type JobSubmitter, jobSubmitter } from '../../producers/submit-job.ts'
import type { RequestBody } from '../../schemas/events.generated.ts'
import { idFrom, jobIdFrom } from '../../schemas/ids.ts'
import { platformTenantId } from '../../schemas/streams.ts'
import { picoPerUnit } from '../../schemas/units.ts'
import type { Faults } from './faults.ts'
import { type SimProcess, simProcess } from './process.ts'
import { randomFor, type SimRandom } from './random.ts'
import { type Scheduler, trueClock } from './scheduler.ts'
import type { SimSubmissions } from './stores.ts'

export type WorkloadParts = {
  seed: number
  scheduler: Scheduler
  log: SimulatedLog
  vault: PayloadVault
  submissions: SimSubmissions
  violated(what: string): void
  faults: Faults
  random: SimRandom
  onEvent(): void
}

export type Workload = ReturnType<typeof workload>

type SimTenant = { id: string; level: 'partner' | 'client' | 'merchant'; parentId: string; timeZone: string }

const caller = { actor: 'token:sim', correlationId: 'sim', traceparent: null }
const clientWaitMs = 1_500
const payload = new TextEncoder().encode('{"input":{"text":"hello"},"params":{}}')
const bodyKey = new Uint8Array(32).fill(7)
const triesMax = 500
export const capabilityNames = ['classify.category', 'classify.sentiment', 'generate.text'] as const
const zones = ['UTC', 'Africa/Lagos', 'Europe/Berlin', 'America/New_York', 'Asia/Kathmandu']

const tree: readonly Omit<SimTenant, 'timeZone'>[] = [
  { id: 'partner-1', level: 'partner', parentId: platformTenantId },
  { id: 'partner-2', level: 'partner', parentId: platformTenantId },
  { id: 'client-1', level: 'client', parentId: 'partner-1' },
  { id: 'client-2', level: 'client', parentId: 'partner-1' },
  { id: 'client-3', level: 'client', parentId: 'partner-2' },
  { id: 'merchant-1', level: 'merchant', parentId: 'client-1' },
  { id: 'merchant-2', level: 'merchant', parentId: 'client-1' },
  { id: 'merchant-3', level: 'merchant', parentId: 'client-3' },
]

export function workload(parts: WorkloadParts) {
  const { seed, scheduler, log, vault, submissions, faults, random, violated } = parts
  const clock = trueClock(scheduler)
  const tenants = tree.map((tenant): SimTenant => ({ ...tenant, timeZone: random.pick(zones) }))
  const accepted = new Map<string, string>()
  const doors: { process: SimProcess; appender: RequestAppender; submitter: JobSubmitter }[] = []
  let opened = 0
  let asking = 0
  let books = 0
  // Fair queueing counts cost by tokens: alike in some runs, far apart in others.
  const tokensMax = random.pick([1_000, 6_000, 60_000])

  function openDoor(): (typeof doors)[number] {
    opened += 1
    const process = simProcess(`door-${opened}`, scheduler, parts.onEvent)
    const own = randomFor(seed, process.name)
    const appender = requestAppender({ log: process.port(log), codec: testCodec, clock: process.clock, random: own })
    const submitter = jobSubmitter({
      appender,
      submissions: process.port(submissions),
      vault: process.port(vault),
      clock: process.clock,
      bodyKey,
      onFault: () => {},
    })
    const door = { process, appender, submitter }
    doors.push(door)
    return door
  }

  function anyDoor() {
    const open = doors.filter(({ process }) => process.isAlive())
    return open.length > 0 ? random.pick(open) : openDoor()
  }

  /** Asks again and again, at any door, until one answers. Answers `undefined` for a body that conflicts. */
  async function insist<Answer>(
    what: string,
    at: (door: (typeof doors)[number]) => Promise<Answer>,
  ): Promise<Answer | 'conflict'> {
    asking += 1
    for (let tries = 0; tries < triesMax; tries++) {
      const waitMs = faults.happens('clientGone') ? random.whole(0, 20) : clientWaitMs
      const answer = at(anyDoor()).catch((error: unknown) =>
        isFailure(error, 'IDEMPOTENCY_CONFLICT') ? ('conflict' as const) : undefined,
      )
      const answered = await Promise.race([answer, sleep(clock, waitMs).then(() => undefined)])
      if (answered !== undefined) {
        asking -= 1
        return answered
      }
      await sleep(clock, random.whole(1, 100))
    }
    throw new Error(`nobody took ${what} in ${triesMax} tries`)
  }

  async function ask(request: AskedRequest & { requestId: string }): Promise<void> {
    await insist(request.requestId, ({ appender }) => appender.append(caller, request))
  }

  let requestNo = 0
  const asked = (tenantId: string, body: AskedBody): AskedRequest & { requestId: string } => {
    requestNo += 1
    return { tenantId, requestId: `req_${requestNo}`, ...body }
  }

  async function putSurely(payload: Payload): Promise<void> {
    for (let tries = 0; tries < triesMax; tries++) {
      try {
        await vault.put([payload])
        return
      } catch {
        await sleep(clock, 10)
      }
    }
    throw new Error(`the vault took nothing in ${triesMax} tries`)
  }

  /** As the API hands it to the submitter, but for the name: the body in one agreed form, the payload beside it. */
  function jobRequest(tenantId: string, key: string): Omit<JobRequest, 'jobId'> {
    const capability = random.pick(capabilityNames)
    const inputTokensMax = BigInt(random.whole(1, tokensMax))
    const outputTokensMax = BigInt(random.whole(1, 1_000))
    // Around what a job costs at most: 1 to 1,500 units per million tokens.
    const agreedPico = (inputTokensMax + outputTokensMax) * BigInt(random.whole(1, 1_500)) * (picoPerUnit / 1_000_000n)
    const asked = {
      memberId: random.chance(0.3) ? 'ada' : null,
      capability,
      resourceId: capability === 'classify.category' ? (random.chance(0.95) ? 'labels' : 'nothing') : null,
      model: null,
      priority: random.whole(1, 5),
      inputTokensMax,
      outputTokensMax,
      maxCharge: random.chance(0.3) ? agreedPico : null,
      deadlineMs: BigInt(random.chance(0.1) ? random.whole(1, 300) : random.whole(5_000, 60_000)),
    }
    const body = Buffer.from(JSON.stringify(asked, (_, value) => (typeof value === 'bigint' ? String(value) : value)))
    return { ...asked, tenantId, idempotencyKey: key, body, payload }
  }

  async function submit(tenant: SimTenant, key: string): Promise<string> {
    const { id: tenantId } = tenant
    const job = jobRequest(tenantId, key)
    const asked = (body = job.body) =>
      insist(key, ({ process, submitter }) =>
        submitter.submitJob(caller, { ...job, body, jobId: jobIdFrom(tenantId, key, process.clock.nowMs()) }),
      )
    const answer = await asked()
    if (answer === 'conflict') {
      violated(`${key} of ${tenantId} is said to stand for something else`)
      return ''
    }
    const { jobId } = answer
    const wasLost = () => submissions.wasLost(jobId)
    accepted.set(jobId, tenantId)
    if (faults.happens('clientLate')) {
      const again = await asked()
      if (again !== 'conflict') accepted.set(again.jobId, tenantId)
      if ((again === 'conflict' || again.jobId !== jobId) && !wasLost())
        violated(`${key} of ${tenantId} stands for two jobs`)
    }
    if (faults.happens('clientOtherBody')) {
      const second = await asked(Buffer.from('something else'))
      if (second !== 'conflict') accepted.set(second.jobId, tenantId)
      if (second !== 'conflict' && !wasLost()) violated(`${key} of ${tenantId} stands for two things`)
    }
    return jobId
  }

  async function submitAsClients(tenant: SimTenant, key: string): Promise<void> {
    const jobId = await submit(tenant, key)
    if (faults.happens('clientNewKey')) await submit(tenant, `${key}-again`)
    if (!faults.happens('cancel')) return
    await sleep(clock, random.whole(0, 800))
    await ask(asked(tenant.id, { type: 'RequestCancel', jobId }))
  }

  const capRequest = (capId: string): Extract<RequestBody, { type: 'SetCap' }> => {
    const metric = random.pick(['requests', 'tokens', 'money'] as const)
    const limit = {
      requests: () => BigInt(random.whole(1, 60)),
      tokens: () => BigInt(random.whole(1_000, 150_000)),
      money: () => (picoPerUnit * BigInt(random.whole(1, 400))) / 10n,
    }[metric]()
    const period = random.pick(['day', 'week', 'month', 'total'] as const)
    return {
      type: 'SetCap',
      capId,
      metric,
      limit,
      period,
      anchorDate: period === 'month' && random.chance(0.3) ? '2026-01-31' : null,
      scopeMemberId: random.chance(0.3) ? 'ada' : null,
      scopeCapability: random.chance(0.3) ? random.pick(capabilityNames) : null,
    }
  }

  function publishPrices(): Promise<void> {
    books += 1
    const parsed = parsePriceBook(JSON.stringify(bookNo(books, random)))
    if (!parsed.ok) throw new Error(parsed.problems.join('; '))
    return ask(asked(platformTenantId, { type: 'PublishPrices', hash: parsed.book.hash, book: parsed.canonical }))
  }

  const capIds = ['a', 'b', 'c']

  return {
    tenants,
    accepted: (): ReadonlyMap<string, string> => accepted,
    /** Requests that nobody has taken yet. */
    asking: () => asking,
    async begin(): Promise<void> {
      openDoor()
      openDoor()
      await publishPrices()
      for (const { id, level, parentId, timeZone } of tenants) {
        await ask(
          asked(platformTenantId, {
            type: 'RegisterTenant',
            registeredTenantId: id,
            level,
            parentId,
            name: id,
            currency: 'USD',
            timeZone,
          }),
        )
      }
    },
    async equip(): Promise<void> {
      for (const { id } of tenants) {
        const payloadRef = idFrom('pay', id, 'labels')
        await putSurely({ tenantId: id, ref: payloadRef, class: 'kept', content: new Uint8Array(8) })
        await ask(
          asked(id, {
            type: 'RegisterLabelSet',
            labelSetId: 'labels',
            hash: idFrom('hash', id),
            payloadRef,
            payloadBytes: 8n,
            labelCount: 2,
            exampleCount: 2,
          }),
        )
        // Refused: what was only asked for leaves nothing behind.
        if (random.chance(0.5)) await ask(asked(id, { type: 'RemoveCap', capId: 'never-set' }))
        for (const capId of capIds) if (random.chance(0.5)) await ask(asked(id, capRequest(capId)))
      }
    },
    /** Resolves when the last of the jobs has been taken. */
    async flood(jobs: number, withinMs: number): Promise<void> {
      const shares = tenants.map(() => random.fraction() ** 2 + 0.05)
      const sum = shares.reduce((a, b) => a + b, 0)
      const pickTenant = (): SimTenant => {
        let left = random.fraction() * sum
        for (const [index, tenant] of tenants.entries()) {
          left -= shares[index] ?? 0
          if (left <= 0) return tenant
        }
        return random.pick(tenants)
      }
      const wave = () => (random.chance(0.5) ? random.fraction() : Math.floor(random.fraction() * 4) / 4) * withinMs
      await Promise.all(
        Array.from({ length: jobs }, async (_, at) => {
          const tenant = pickTenant()
          await sleep(clock, wave())
          await submitAsClients(tenant, `key-${at}`)
        }),
      )
    },
    /** Tokens and members come and go beside the jobs. */
    async changeAccount(): Promise<void> {
      const { id } = random.pick(tenants)
      const memberId = random.pick(['ada', 'ben', null])
      const body: AskedBody = random.pick([
        { type: 'AddMember', memberId: memberId ?? 'ada', kind: 'agent' },
        { type: 'RemoveMember', memberId: memberId ?? 'ada' },
        {
          type: 'IssueToken',
          tokenId: `tok_${random.whole(1, 9)}`,
          secretHash: 'hash',
          role: 'submitter',
          memberId,
          expiresAt: null,
        },
        { type: 'RevokeToken', tokenId: `tok_${random.whole(1, 9)}` },
      ] satisfies AskedBody[])
      await ask(asked(id, body))
    },
    crashDoor(): void {
      const open = doors.filter(({ process }) => process.isAlive())
      if (open.length === 0) return
      faults.fired('doorCrash')
      random.pick(open).process.kill()
      scheduler.after(random.whole(1, 300), () => void openDoor())
    },
    async changeCap(): Promise<void> {
      const { id } = random.pick(tenants)
      const capId = random.pick(capIds)
      if (random.chance(0.3)) {
        faults.fired('capRemoved')
        return ask(asked(id, { type: 'RemoveCap', capId }))
      }
      const wanted = capRequest(capId)
      if (random.chance(0.5)) return ask(asked(id, wanted))
      faults.fired('capLowered')
      return ask(asked(id, { ...wanted, limit: wanted.metric === 'requests' ? 1n : 1_000n }))
    },
    async changePrices(): Promise<void> {
      faults.fired('newPrices')
      await publishPrices()
    },
  }
}

/** Prices of every capability at every provider, drawn anew for every book. */
function bookNo(no: number, random: SimRandom) {
  // Now and then so dear that a product needs more digits than a float has.
  const scale = random.chance(0.25) ? 1_000_000 : 1
  const amount = (max: number) => `${random.whole(0, max) * scale}.${String(random.whole(0, 999_999)).padStart(6, '0')}`
  const prices = () => ({
    perRequest: amount(0),
    perMillionInputTokens: amount(200),
    perMillionCacheReadTokens: amount(100),
    perMillionCacheWriteTokens: amount(300),
    perMillionOutputTokens: amount(900),
  })
  const entries = [
    ['classify.category', 'local'],
    ['classify.sentiment', 'local'],
    ['classify.sentiment', 'scripted'],
    ['generate.text', 'scripted'],
  ].map(([capability, provider]) => ({
    capability,
    provider,
    model: '*',
    price: prices(),
    ownKeyPrice: prices(),
    cost: random.chance(0.5) ? prices() : null,
  }))
  return { name: `book ${no}`, currency: 'USD', effectiveFrom: '2026-01-01T00:00:00Z', entries }
}
