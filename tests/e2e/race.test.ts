import { expect, test } from 'vitest'
import { tenantFigures } from '../../bin/demo/figures.ts'
import { hasEnded, jobClient } from '../../bin/demo/job-client.ts'
import { submitAtOnce } from './load.ts'
import { stage } from './stage.ts'

const submissions = 1_000
const connections = 500

/** Costs the same whatever the text, so that money divides into jobs exactly. */
const flatBook = {
  name: 'flat',
  currency: 'USD',
  effectiveFrom: '2026-02-01T00:00:00Z',
  entries: [
    {
      capability: 'classify.sentiment',
      provider: 'local',
      model: '*',
      price: prices('0.0007'),
      ownKeyPrice: prices('0'),
      cost: null,
    },
  ],
}

function prices(perRequest: string) {
  return {
    perRequest,
    perMillionInputTokens: '0',
    perMillionCacheReadTokens: '0',
    perMillionCacheWriteTokens: '0',
    perMillionOutputTokens: '0',
  }
}

const rounds = [
  { name: 'one-request', cap: { metric: 'requests', limit: 1, period: 'total' }, admitted: 1 },
  { name: 'some-requests', cap: { metric: 'requests', limit: 137, period: 'month' }, admitted: 137 },
  { name: 'nearly-all-requests', cap: { metric: 'requests', limit: 999, period: 'total' }, admitted: 999 },
  { name: 'no-request', cap: { metric: 'requests', limit: 0, period: 'total' }, admitted: 0 },
  // 0.0699 / 0.0007 = 99.86: the hundredth job would pass the cap by 0.0001.
  { name: 'money-almost-for-100', cap: { metric: 'money', limit: '0.0699', period: 'total' }, admitted: 99 },
  { name: 'money-for-100', cap: { metric: 'money', limit: '0.07', period: 'month' }, admitted: 100 },
] as const

test(`of ${submissions} simultaneous submissions over ${connections} connections exactly as many are admitted as the cap allows`, async () => {
  const { client, rootToken, tenant, setCap } = await stage({ connectionsMax: connections })
  await client.mustAsk(rootToken, { method: 'POST', path: '/v1/price-books', body: flatBook })
  const jobs = jobClient(client)

  for (const { name, cap, admitted } of rounds) {
    const { id, token } = await tenant(name)
    await setCap(id, 'tight', cap)
    const ends = await submitAtOnce(jobs, token, submissions)
    const figures = await tenantFigures(client, token, id, new Date().toISOString().slice(0, 10))

    expect(ends.every(hasEnded)).toBe(true)
    expect({ name, ...figures.jobs }).toEqual({
      name,
      ...(admitted > 0 && { succeeded: admitted }),
      ...(admitted < submissions && { refused: submissions - admitted }),
    })
    expect(figures.refusals).toEqual({ over_cap: submissions - admitted })
    expect(figures.caps).toEqual([{ id: 'tight', held: '0', isOver: false }])
    expect(figures.ledgerJobs).toBe(admitted)
  }
}, 300_000)
