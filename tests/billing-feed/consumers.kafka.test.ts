/** The samples that read the billing feed come to the right balances, on a real Kafka with a real registry. */
import { randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ledgerReply } from '../../api/billing/convert.ts'
import type { JobRated } from '../../schemas/events.generated.ts'
import { brokers, registryUrl } from './kafka-of-the-run.ts'
import { balancesOf, ratedFact, tenantsOf } from './rated-facts.ts'
import { installSample, type Language, languages, runSample } from './run-sample.ts'
import { type FeedWriter, openFeedWriter, partitionCount } from './write-feed.ts'

const newTopic = () => `t${randomUUID().slice(0, 8)}.billing`
const directory = mkdtempSync(join(tmpdir(), 'billing-feed-'))

type Said = {
  facts: number
  thisRun: { records: number; duplicates: number }
  positions: Record<string, number>
  balances: ReturnType<typeof balancesOf>
  comparison: null | { tenantId: string; periods: string[]; differences: object[] }
}

/** Partitions 0 and 1 have facts, partition 2 has none. */
const [ofZero, ofOne] = [tenantsOf(0, partitionCount, 4), tenantsOf(1, partitionCount, 4)]
const topic = newTopic()
let writer: FeedWriter
/** Everything that was committed, each fact once. */
const booked: JobRated[] = []
let duplicates = 0

const reading = (of = topic) => ['--brokers', brokers(), '--registry', registryUrl(), '--topic', of, '--json']
async function read(language: Language, args: readonly string[] = [], env = {}, of = topic) {
  const { status, said, complained } = await runSample(language, [...reading(of), ...args], env)
  return { status, complained, said: (said === '' ? undefined : JSON.parse(said)) as Said }
}

/** Facts of a partition in transactions of five; some come again, and between them some are written and taken back. */
async function writeFacts(tenants: readonly string[], from: number, to: number): Promise<void> {
  for (let first = from; first < to; first += 5) {
    const facts = Array.from({ length: 5 }, (_, index) => first + index).map((n) =>
      ratedFact(tenants[n % tenants.length] ?? '', n, BigInt(n) * 3n + 1n),
    )
    const records = facts.map(writer.encode)
    if (first % 3 === 0) {
      // As after a commit that failed: the same facts, decided anew and differently, and one that never comes again.
      const never = ratedFact(tenants[0] ?? '', 100_000 + first, 1n)
      const other = facts.map((fact) => ({ ...fact, chargedPico: 0n, lines: [] }))
      await writer.write([...other, never].map(writer.encode), 'abort')
    }
    await writer.write(first % 4 === 0 ? [...records, ...records.slice(0, 2)] : records, 'commit')
    duplicates += first % 4 === 0 ? 2 : 0
    if (first % 10 === 0) {
      await writer.write(records.slice(1, 4), 'commit')
      duplicates += 3
    }
    booked.push(...facts)
  }
}

beforeAll(async () => {
  installSample()
  writer = await openFeedWriter(brokers(), registryUrl(), topic)
  await writeFacts(ofZero, 0, 60)
  await writeFacts(ofOne, 1_000, 1_060)
  // The last thing on partition 0 is taken back: its end is records that nobody is shown.
  await writer.write([writer.encode(ratedFact(ofZero[0] ?? '', 200_000, 1n))], 'abort')
}, 300_000)

afterAll(async () => {
  rmSync(directory, { recursive: true })
  await writer?.close()
})

describe.for(languages)('the sample in %s', (language) => {
  test('comes to the balances of what was committed, each fact once', async () => {
    const { status, said, complained } = await read(language)
    expect({ status, complained }).toEqual({ status: 0, complained: '' })
    expect(said.balances).toEqual(balancesOf(booked))
    expect(said.facts).toBe(booked.length)
    expect(said.thisRun).toEqual({ records: booked.length + duplicates, duplicates })
    const ends = await writer.admin.fetchTopicOffsets(topic)
    expect(said.positions).toEqual(
      Object.fromEntries(
        ends.filter(({ high }) => high !== '0').map(({ partition, high }) => [partition, Number(high)]),
      ),
    )
  })

  test('has amounts in it that neither 64 bits nor 28 digits hold', () => {
    expect(balancesOf(booked).some(({ amountPico }) => amountPico.length > 36)).toBe(true)
  })

  test('says what is wrong when it cannot read', async () => {
    const missing = await read(language, [], {}, newTopic())
    expect(missing).toMatchObject({ status: 2, complained: expect.stringContaining('cannot be read') })
    const nobody = await runSample(language, ['--brokers', '127.0.0.1:1', '--registry', registryUrl()])
    expect(nobody).toMatchObject({ status: 2, complained: expect.stringContaining('No broker of 127.0.0.1:1 answers') })
    const nothing = await runSample(language, [])
    expect(nothing).toMatchObject({ status: 2, complained: expect.stringContaining('--brokers') })
  })
})

describe('with a stored position', () => {
  test('one sample goes on where the other stopped, facts of a later version included, and counts nothing twice', async () => {
    const state = ['--state', join(directory, 'both.sqlite')]
    const first = await read('typescript', state)
    expect(first.said.balances).toEqual(balancesOf(booked))

    const again = ratedFact(ofOne[0] ?? '', 1_000, 3_001n)
    const later = ratedFact(ofOne[1] ?? '', 1_061, 3_200n)
    await writer.write([writer.encode(again), await writer.encodeLater(later)], 'commit')
    duplicates += 1
    const expected = balancesOf([
      ...booked,
      { ...later, lines: later.lines.map((line) => ({ ...line, kind: 'monthly_fee' })) },
    ])
    const second = await read('python', state)
    expect(second.status).toBe(0)
    expect(second.said.thisRun).toEqual({ records: 2, duplicates: 1 })
    expect(second.said.balances).toEqual(expected)
    const third = await read('typescript', state)
    expect(third.said).toEqual({ ...second.said, thisRun: { records: 0, duplicates: 0 } })
    expect((await read('typescript')).said.balances).toEqual(expected)
  })

  test.for(languages)(
    '%s refuses a state that is about something else, or whose records are gone',
    async (language) => {
      const of = newTopic()
      const other = await openFeedWriter(brokers(), registryUrl(), of)
      try {
        const tenant = ofZero[0] ?? ''
        const state = ['--state', join(directory, `gone-${language}.sqlite`)]
        await other.write([other.encode(ratedFact(tenant, 1, 1n))], 'commit')
        expect((await read(language, state, {}, of)).status).toBe(0)
        expect(await read(language, state)).toMatchObject({
          status: 2,
          complained: expect.stringContaining('is about topic'),
        })
        await other.write([other.encode(ratedFact(tenant, 2, 2n))], 'commit')
        await other.admin.fetchTopicOffsets(of) // kafkajs deletes only from topics it has looked up before.
        await other.admin.deleteTopicRecords({ topic: of, partitions: [{ partition: 0, offset: '3' }] })
        const gone = await read(language, state, {}, of)
        expect(gone).toMatchObject({ status: 2, complained: expect.stringContaining('records are missing') })
      } finally {
        await other.close()
      }
    },
  )
})

test.for(languages)(
  '%s stops before a kind of fact that it does not know, and keeps what came before',
  async (language) => {
    const of = newTopic()
    const other = await openFeedWriter(brokers(), registryUrl(), of)
    try {
      const tenant = ofZero[0] ?? ''
      const state = ['--state', join(directory, `unknown-${language}.sqlite`)]
      const fact = ratedFact(tenant, 1, 1n)
      await other.write([other.encode(fact)], 'commit')
      expect((await read(language, state, {}, of)).said.balances).toEqual(balancesOf([fact]))
      await other.write([other.encode(ratedFact(tenant, 2, 2n)), await other.encodeOther(tenant)], 'commit')
      for (const _ of [1, 2]) {
        const stopped = await read(language, state, {}, of)
        expect(stopped).toMatchObject({ status: 2, complained: expect.stringContaining('FeeCharged is newer') })
      }
      const kept = new DatabaseSync(state[1] ?? '')
      expect(kept.prepare('SELECT event_id FROM fact').all()).toEqual([{ event_id: fact.eventId }])
      kept.close()
    } finally {
      await other.close()
    }
  },
)

describe.for(languages)('%s compared with a ledger', (language) => {
  const tenant = ofZero[1] ?? ''
  const token = { PF3_TOKEN: 'pf3_of-that-tenant' }
  const expected = () => balancesOf(booked).filter(({ tenantId }) => tenantId === tenant)
  let ledger: Server
  let url: string
  let asked: string[] = []
  /** What the ledger says, by period. */
  let totals: (period: string) => object

  const totalsOf = (period: string) => {
    const [balance] = expected().filter((one) => one.period === period)
    const byKind = (balance?.byKind ?? []).map(({ amountPico: _, ...kind }) => ({
      ...kind,
      currency: balance?.currency,
      quantity: 1,
    }))
    return { jobs: balance?.jobs ?? 0, amount: balance?.amount ?? '0', byKind }
  }

  beforeAll(async () => {
    ledger = createServer((request, response) => {
      const { pathname, searchParams } = new URL(request.url ?? '', 'http://ledger')
      const period = searchParams.get('period') ?? ''
      asked.push(`${request.method} ${pathname} ${period}`)
      const isKnown = request.headers.authorization === `Bearer ${token.PF3_TOKEN}`
      response.writeHead(isKnown ? 200 : 401, { 'content-type': 'application/json' })
      const reply = () => ledgerReply.parse({ period, lines: [], next: null, total: totals(period) })
      response.end(JSON.stringify(isKnown ? reply() : { code: 'UNAUTHENTICATED' }))
    })
    await new Promise<void>((resolve) => ledger.listen(0, '127.0.0.1', resolve))
    const address = ledger.address()
    url = `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`
  })
  afterAll(() => void ledger.close())

  const compare = (args: readonly string[] = [], env: Record<string, string> = token) => {
    asked = []
    return read(language, ['--compare', url, '--tenant', tenant, '--compare-wait', '0', ...args], env)
  }

  test('says that every period is the same', async () => {
    totals = totalsOf
    const { status, said } = await compare()
    expect({ status, ...said.comparison }).toEqual({
      status: 0,
      tenantId: tenant,
      periods: expected().map(({ period }) => period),
      differences: [],
    })
    expect(asked).toEqual(expected().map(({ period }) => `GET /v1/billing/ledger ${period}`))
  })

  test('notices an amount that differs by one pico-unit', async () => {
    totals = (period) => {
      const total = totalsOf(period)
      const byKind = total.byKind.map((row) => (row.kind === 'output' ? { ...row, amount: nudged(row.amount) } : row))
      return period === '2026-11' ? { ...total, amount: nudged(total.amount), byKind } : total
    }
    const { status, said } = await compare()
    const [balance] = expected().filter(({ period }) => period === '2026-11')
    const output = balance?.byKind.find(({ kind }) => kind === 'output')?.amount ?? ''
    const period = '2026-11'
    expect(status).toBe(1)
    expect(said.comparison?.differences).toEqual([
      { period, what: 'amount', feed: balance?.amount, ledger: nudged(balance?.amount ?? '') },
      { period, what: `amount of output in ${balance?.currency}`, feed: output, ledger: nudged(output) },
    ])
  })

  test('notices a job that only one of them has', async () => {
    totals = (period) => ({ ...totalsOf(period), jobs: totalsOf(period).jobs + 1 })
    expect((await compare(['--period', '2026-10'])).said.comparison?.differences).toMatchObject([{ what: 'jobs' }])
    totals = totalsOf
    const { status, said } = await compare(['--period', '2026-09'])
    expect({ status, ...said.comparison }).toMatchObject({ status: 0, periods: ['2026-09'], differences: [] })
  })

  test('waits for a ledger that follows', async () => {
    let answers = 0
    totals = (period) => (answers++ < 2 ? { jobs: 0, amount: '0', byKind: [] } : totalsOf(period))
    const { status } = await compare(['--compare-wait', '20'])
    expect({ status, asked: asked.length }).toEqual({ status: 0, asked: expected().length + 2 })
  })

  test('needs a token, and says when it is refused', async () => {
    const none = await compare([], { PF3_TOKEN: '' })
    expect(none).toMatchObject({ status: 2, complained: expect.stringContaining('PF3_TOKEN') })
    const wrong = await compare([], { PF3_TOKEN: 'pf3_of-somebody' })
    expect(wrong).toMatchObject({ status: 2, complained: expect.stringContaining('401') })
    const args = ['--compare', 'http://ledger.example', '--tenant', tenant]
    expect(await read(language, args, token)).toMatchObject({
      status: 2,
      complained: expect.stringContaining('--compare is an https URL'),
    })
  })
})

/** An amount with its last pico-unit changed. */
function nudged(amount: string): string {
  const [whole = '', fraction = ''] = amount.split('.')
  const digits = fraction.padEnd(12, '0')
  return `${whole}.${digits.slice(0, -1)}${digits.endsWith('1') ? '2' : '1'}`
}
