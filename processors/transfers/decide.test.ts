import { describe, expect, test } from 'vitest'
import type { FactBody, RequestBody } from '../../schemas/events.generated.ts'
import type { Recorded } from '../processor.ts'
import { tenantId } from '../testing/given.ts'
import { ancestorsOf, decideForwarded, linesPerTransferMax } from './decide.ts'
import { forwarded, line, partner, sent, Tree } from './testing/tree.ts'

describe('a rollup', () => {
  test('goes to every ancestor, from the parent up to the platform, with numbers of its own for each', () => {
    const tree = new Tree()
    tree.rate('a')
    expect(tree.tell()).toEqual([
      { ...sent(partner, 1n), tenantId },
      { ...sent('platform', 1n), tenantId },
    ])
    for (const toTenantId of [partner, 'platform']) tree.take(forwarded({ toTenantId, number: 1n }))
    tree.rate('b')
    expect(tree.tell()).toEqual([
      { ...sent(partner, 2n), tenantId },
      { ...sent('platform', 2n), tenantId },
    ])
  })

  test('is not sent with nothing in it, nor while an earlier one is on its way', () => {
    const tree = new Tree()
    expect(tree.tell()).toEqual([])
    tree.rate('a')
    tree.tell()
    tree.rate('b')
    expect(tree.tell()).toEqual([])
    tree.take(forwarded({ toTenantId: partner, number: 1n }))
    expect(tree.tell()).toEqual([])
    tree.take(forwarded({ toTenantId: 'platform', number: 1n }))
    expect(tree.tell()).toHaveLength(2)
  })

  test('carries at most as many lines as fit into a record; the rest follows, and nothing is lost or told twice', () => {
    const tree = new Tree()
    const months = Array.from({ length: linesPerTransferMax + 3 }, (_, n) => `${1000 + n}-01`)
    for (const billingPeriod of months) tree.rate(billingPeriod, { billingPeriod })
    const periods: string[] = []
    for (const number of [1n, 2n]) {
      const [first, second] = tree.tell() as Recorded<'TransferSent'>[]
      expect(first?.rollup).toEqual(second?.rollup)
      periods.push(...(first?.rollup ?? []).map(({ billingPeriod }) => billingPeriod))
      for (const toTenantId of [partner, 'platform']) tree.take(forwarded({ toTenantId, number }))
    }
    expect(periods).toEqual(months)
    expect(tree.tell()).toEqual([])
  })

  test('knows the ancestors of everybody whom the directory knows', () => {
    const { directory } = new Tree()
    expect(ancestorsOf(directory, tenantId)).toEqual([partner, 'platform'])
    expect(ancestorsOf(directory, 'beside')).toEqual(['platform'])
    expect(ancestorsOf(directory, 'platform')).toEqual([])
    expect(ancestorsOf(directory, 'nobody')).toBeUndefined()
    directory.tenants.delete(partner)
    expect(ancestorsOf(directory, tenantId)).toBeUndefined()
  })
})

describe('what was forwarded', () => {
  test('is one fact for a tenant, and none for what no longer is on its way', () => {
    const tree = new Tree()
    tree.rate('a')
    tree.tell()
    const { onTheirWay } = tree.state.transfers.senders.get(tenantId) ?? { onTheirWay: [] }
    const told = tree.settle({ facts: decideForwarded(tree.state.transfers, onTheirWay) })
    expect(told).toEqual([
      { ...forwarded({ toTenantId: partner, number: 1n }, { toTenantId: 'platform', number: 1n }), tenantId },
    ])
    expect(decideForwarded(tree.state.transfers, onTheirWay)).toEqual([])
    expect(decideForwarded(tree.state.transfers, [])).toEqual([])
  })
})

describe('a transfer that arrives', () => {
  const arrived = (number: bigint, more: object = {}): RequestBody =>
    ({
      type: 'TransferArrived',
      fromTenantId: tenantId,
      number,
      kind: 'rollup',
      rollup: [line],
      ...more,
    }) as RequestBody
  const to = { tenantId: partner }
  const taken = (number: bigint): FactBody =>
    ({ type: 'TransferTaken', ...to, fromTenantId: tenantId, number, kind: 'rollup', rollup: [line] }) as FactBody
  const refused = (reason: string, subject = tenantId, tenant: object = to) => [
    { type: 'RequestRefused', ...tenant, requestType: 'TransferArrived', reason, subject },
  ]

  test('is taken once, in order of its number, however often it comes and however late', () => {
    const tree = new Tree()
    expect(tree.ask(arrived(1n, to))).toEqual([taken(1n)])
    expect(tree.ask(arrived(1n, to))).toEqual([])
    expect(tree.ask(arrived(2n, to))).toEqual([taken(2n)])
    tree.now += 400n * 86_400_000_000n // Long after any window.
    expect(tree.ask(arrived(1n, to))).toEqual([])
    expect(tree.ask(arrived(2n, to))).toEqual([])
    expect(tree.ask(arrived(3n, to))).toEqual([taken(3n)])
  })

  test('is counted for each receiver and each sender by itself', () => {
    const tree = new Tree()
    const platform = { tenantId: 'platform' }
    expect(tree.ask(arrived(1n, to))).toHaveLength(1)
    expect(tree.ask(arrived(1n, platform))).toEqual([{ ...taken(1n), ...platform }])
    expect(tree.ask(arrived(1n, { ...platform, fromTenantId: 'beside' }))).toHaveLength(1)
    expect(tree.ask(arrived(1n, { ...platform, fromTenantId: 'beside' }))).toHaveLength(0)
  })

  test('is refused when one before it is missing; once that has come, it is taken, and so is what was refused', () => {
    const tree = new Tree()
    expect(tree.ask(arrived(2n, to))).toEqual(refused('number_gap'))
    expect(tree.ask(arrived(1n, to))).toEqual([taken(1n)])
    expect(tree.ask(arrived(2n, to))).toEqual([taken(2n)])
  })

  test('is refused once, however often the same request comes, and taken all the same when it may be', () => {
    const tree = new Tree()
    const same = { ...to, requestId: 'evt_sent' }
    expect(tree.ask(arrived(2n, same))).toEqual(refused('number_gap'))
    // The refusal is on record under its cause.
    tree.take({ ...(refused('number_gap')[0] as FactBody), causedBy: 'evt_sent' })
    expect(tree.ask(arrived(2n, same))).toEqual([])
    tree.ask(arrived(1n, to))
    expect(tree.ask(arrived(2n, same))).toEqual([taken(2n)])
  })

  test.each([
    ['beside', partner, 'sender_not_below'],
    [partner, tenantId, 'sender_not_below'],
    [partner, partner, 'sender_not_below'],
    ['nobody', partner, 'sender_not_below'],
    [tenantId, 'nobody', 'tenant_unknown'],
  ])('from %s to %s is refused', (fromTenantId, toTenantId, reason) => {
    const tree = new Tree()
    expect(tree.ask(arrived(1n, { fromTenantId, tenantId: toTenantId }))).toEqual(
      refused(reason, fromTenantId, { tenantId: toTenantId }),
    )
  })
})
