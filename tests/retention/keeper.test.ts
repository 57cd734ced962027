/** What cannot be let go for one tenant keeps no other's content, and takes nobody's that came since. */
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { openTenant, type Service, startService } from '../../api/testing/service.ts'
import { type KeeperParts, startKeeper } from '../../bin/keeper.ts'
import { systemClock, systemRandom } from '../../platform/clock.ts'
import { type RequestAppender, requestAppender } from '../../producers/index.ts'
import { memoryCodec } from '../../producers/testing/rig.ts'

const dayMs = 86_400_000
let service: Service
beforeAll(async () => {
  service = await startService()
}, 60_000)
afterAll(() => service.stop())

type Owner = Awaited<ReturnType<typeof openTenant>>
type KeeperVault = KeeperParts['vault']
const away = new Error('away')

/** A keeper `laterMs` from now, to whose calls `vault` and `append` may object. */
function keeperWith(parts: {
  laterMs?: number
  vault?: (vault: KeeperVault) => Partial<KeeperVault>
  append?: (asked: Parameters<RequestAppender['append']>[1]) => void
  erasureEveryMs?: number
}) {
  const clock = { ...systemClock, nowMs: () => systemClock.nowMs() + (parts.laterMs ?? 0) }
  const appender = requestAppender({ log: service.log, codec: memoryCodec, clock, random: systemRandom })
  const vault = service.vaultAt(clock)
  const faults: unknown[] = []
  const keeper = startKeeper({
    database: service.database,
    vault: { ...vault, ...parts.vault?.(vault) },
    appender: {
      ...appender,
      async append(caller, asked) {
        parts.append?.(asked)
        return appender.append(caller, asked)
      },
    },
    clock,
    contentDaysDefault: 30,
    onFault: (error) => void faults.push(error),
    erasureEveryMs: parts.erasureEveryMs ?? 3_600_000,
    retentionEveryMs: 3_600_000,
  })
  onTestFinished(() => keeper.stop())
  return { keeper, faults }
}

const run = async (who: Owner): Promise<string> =>
  (await who.submitter.post('/v1/jobs?wait=30', { capability: 'classify.sentiment', input: { text: 'fine' } })).expect(
    200,
  )['id'] as string
const hasResult = async (who: Owner, id: string) => (await who.reader.get(`/v1/jobs/${id}/result`)).status === 200
async function askErasure(who: Owner): Promise<() => Promise<unknown>> {
  const { id } = (await who.admin.post(`/v1/tenants/${who.id}/erasures`, undefined)).expect(202) as { id: string }
  const status = async () => (await who.admin.get(`/v1/tenants/${who.id}/erasures/${id}`)).body['status']
  await expect.poll(status).toBe('requested')
  return status
}

test('an erasure that fails is told, the ones behind it are carried out and reported, and it is carried out next time', async () => {
  const [stuck, behind] = [await openTenant(service, 'stuck'), await openTenant(service, 'behind')]
  const [stuckJob, behindJob] = [await run(stuck), await run(behind)]
  const [stuckStatus, behindStatus] = [await askErasure(stuck), await askErasure(behind)]
  let isAway = true
  const { keeper, faults } = keeperWith({
    vault: (vault) => ({
      async destroyTenant(erasure, signal) {
        if (isAway && erasure.tenantId === 'stuck') throw away
        return vault.destroyTenant(erasure, signal)
      },
    }),
  })
  await keeper.sweep()
  await expect.poll(behindStatus).toBe('done')
  expect(await stuckStatus()).toBe('requested')
  expect([await hasResult(stuck, stuckJob), await hasResult(behind, behindJob)]).toEqual([true, false])
  expect(new Set(faults)).toEqual(new Set([away]))
  isAway = false
  await keeper.sweep()
  await expect.poll(stuckStatus).toBe('done')
  expect(await hasResult(stuck, stuckJob)).toBe(false)
})

test('an erasure whose report fails is reported later, and what was stored in between stays, for another process, too', async () => {
  const [unheard, heard] = [await openTenant(service, 'unheard'), await openTenant(service, 'heard')]
  const old = await run(unheard)
  const [unheardStatus, heardStatus] = [await askErasure(unheard), await askErasure(heard)]
  const { keeper, faults } = keeperWith({
    append(asked) {
      if (asked.tenantId === 'unheard') throw away
    },
  })
  await keeper.sweep()
  await expect.poll(heardStatus).toBe('done')
  expect([await unheardStatus(), new Set(faults)]).toEqual(['requested', new Set([away])])
  const id = await run(unheard)
  const another = keeperWith({})
  await another.keeper.sweep()
  await expect.poll(unheardStatus).toBe('done')
  expect([await hasResult(unheard, old), await hasResult(unheard, id)]).toEqual([false, true])
  const { erasures } = (await unheard.admin.get('/v1/tenants/unheard/erasures')).expect(200) as {
    erasures: { keys: number; contents: number }[]
  }
  expect(erasures).toEqual([expect.objectContaining({ keys: 2, contents: 2 })])
  expect(another.faults).toEqual([])
})

test("old content that cannot be let go keeps no other's, and is looked at again after the usual wait", async () => {
  const [first, second] = [await openTenant(service, 'old-1'), await openTenant(service, 'old-2')]
  const [firstJob, secondJob] = [await run(first), await run(second)]
  let tries = 0
  let looks = 0
  const { faults } = keeperWith({
    laterMs: 32 * dayMs,
    erasureEveryMs: 10,
    vault: (vault) => ({
      oldestDays(limit, after) {
        looks++
        return vault.oldestDays(limit, after)
      },
      async destroyDayKeys(tenantId, beforeDay, signal) {
        if (tenantId !== 'old-1') return vault.destroyDayKeys(tenantId, beforeDay, signal)
        tries++
        throw away
      },
    }),
  })
  await expect.poll(() => hasResult(second, secondJob)).toBe(false)
  await new Promise((resolve) => setTimeout(resolve, 300))
  expect([await hasResult(first, firstJob), looks, tries, faults]).toEqual([true, 1, 1, [away]])
})

test('a look for old content that fails as a whole is taken again after the usual wait', async () => {
  let looks = 0
  const { faults } = keeperWith({
    erasureEveryMs: 10,
    vault: () => ({
      async oldestDays() {
        looks++
        throw away
      },
    }),
  })
  await expect.poll(() => looks).toBe(1)
  await new Promise((resolve) => setTimeout(resolve, 300))
  expect([looks, faults]).toEqual([1, [away]])
})
