/** Batches of several partitions in one transaction, and what becomes of them when one of them cannot be written. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { startOfFacts } from '../platform/log/log.ts'
import type { Database, Tx } from '../platform/postgres/database.ts'
import type { Fact } from '../schemas/events.generated.ts'
import { auditTrail } from './audit-trail/projection.ts'
import { type FactOps, opsOf } from './fold-rows.ts'
import { groupWriter } from './group-writer.ts'
import { jobList } from './job-list/projection.ts'
import { memoryProjections } from './memory-runner.ts'
import { beginPositions, readPositions } from './positions.ts'
import { writeOps } from './tables.ts'
import { capSet, refused, Stamp, submitted } from './testing/facts.ts'
import { openView, tableRows, type View } from './testing/view.ts'
import { usageByDay } from './usage-by-day/projection.ts'
import type { ViewBatch } from './view-batch.ts'

const partitions = [0, 1, 2]
let view: View
/** Transactions of the service, those that were rolled back too. */
let transactions = 0

beforeAll(async () => {
  view = await openView(auditTrail, jobList, usageByDay)
})
afterAll(() => view.close())
beforeEach(async () => {
  await view.clear()
  await view.asService(async (tx) => {
    await tx.query('DELETE FROM projection_position')
    await beginPositions(tx, [{ projection: auditTrail.name, version: 1 }], 5)
  })
  transactions = 0
})

function counting(): Database {
  return {
    ...view.database,
    asService: (run) => {
      transactions += 1
      return view.database.asService(run)
    },
  }
}

/** Whether each batch was written. */
function writer(database: Database, factsMax: number): (batch: ViewBatch) => Promise<boolean> {
  const write = groupWriter(database, factsMax)
  return async (batch) => (await write(batch)) !== undefined
}

const factOf = (partition: number): Fact => new Stamp().fact(`tenant-${partition}`, capSet(`cap-${partition}`))

function batchOf(partition: number, { from = 0n, factOps }: { from?: bigint; factOps?: FactOps[] } = {}): ViewBatch {
  const to = { seq: 1n, offsets: { directory: 0n, accounts: 0n, jobs: 1n, usage: 0n, billing: 0n, transfers: 0n } }
  return {
    moves: [{ partition, projection: auditTrail.name, version: 1, rebuilds: 0, from, to }],
    writes: [{ projection: auditTrail, factOps: factOps ?? opsOf(auditTrail, [factOf(partition)]) }],
    facts: 1,
  }
}

async function written(): Promise<{ tenants: string[]; moved: number[] }> {
  return await view.asService(async (tx) => {
    const { rows } = await tx.query<{ tenant: string }>('SELECT tenant_id AS tenant FROM audit_trail ORDER BY 1')
    const positions = await readPositions(tx, null)
    return {
      tenants: rows.map(({ tenant }) => tenant),
      moved: positions.filter(({ cursor }) => cursor.seq === 1n).map(({ partition }) => partition),
    }
  })
}

test('what comes while one is written goes together in the next', async () => {
  const write = writer(counting(), 100)
  expect(await Promise.all(partitions.map((partition) => write(batchOf(partition))))).toEqual([true, true, true])
  expect(transactions).toBe(2)
  expect(await written()).toEqual({ tenants: ['tenant-0', 'tenant-1', 'tenant-2'], moved: partitions })
})

test('no more facts than wanted go into one transaction', async () => {
  const write = writer(counting(), 4)
  const five = [...partitions, 3, 4].map((partition) => write({ ...batchOf(partition), facts: 2 }))
  expect(await Promise.all(five)).toEqual([true, true, true, true, true])
  expect(transactions, 'one alone, which was first, then two and two').toBe(3)
})

test('a large batch waits for nobody, and nobody waits for it', async () => {
  let began = 0
  const [hold, held] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  const slow: Database = {
    ...view.database,
    async asService(run) {
      began += 1
      if (began === 1) {
        held.resolve()
        await hold.promise
      }
      return view.database.asService(run)
    },
  }
  const write = writer(slow, 4)
  const large = write({ ...batchOf(0), facts: 3 })
  await held.promise
  expect(await write(batchOf(1)), 'the large one is still under way').toBe(true)
  hold.resolve()
  expect(await large).toBe(true)
})

test('whose position somebody else has moved learns it, writes nothing, and holds up nobody', async () => {
  const write = writer(counting(), 100)
  const [first, second, third] = [batchOf(0), batchOf(1, { from: 7n }), batchOf(2)]
  expect(await Promise.all([write(first), write(second), write(third)])).toEqual([true, false, true])
  expect(await written()).toEqual({ tenants: ['tenant-0', 'tenant-2'], moved: [0, 2] })
})

test('rows that cannot be written fail their own partition alone', async () => {
  const [op] = opsOf(auditTrail, [factOf(1)])
  if (!op) throw new Error('The audit trail takes a fact of no job.')
  const spoilt = { ...op, ops: [...op.ops, ...op.ops] }
  const write = writer(counting(), 100)
  const settled = await Promise.allSettled([
    write(batchOf(0)),
    write(batchOf(1, { factOps: [spoilt] })),
    write(batchOf(2)),
  ])
  expect(settled.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
  expect(await written()).toEqual({ tenants: ['tenant-0', 'tenant-2'], moved: [0, 2] })
})

test('a database that is away is told to each of them, once', async () => {
  let asked = 0
  const away: Database = {
    ...view.database,
    asService: () => {
      asked += 1
      return Promise.reject(Object.assign(new Error('the server has gone'), { code: '57P01' }))
    },
  }
  const write = writer(away, 100)
  const settled = await Promise.allSettled(partitions.map((partition) => write(batchOf(partition))))
  expect(settled.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected'])
  expect(asked).toBe(2)
})

/** Jobs of one tenant, one after another, each submitted in the same batch in which it is refused. */
function refusals(): (jobId: string) => { facts: Fact[]; batch: ViewBatch } {
  const stamp = new Stamp()
  return (jobId) => {
    const from = stamp.seq
    const facts = [stamp.fact('tenant-0', submitted(jobId)), stamp.fact('tenant-0', refused(jobId))]
    const views = [jobList, usageByDay]
    const to = { ...startOfFacts, seq: stamp.seq }
    return {
      facts,
      batch: {
        moves: views.map(({ name, version }) => ({ partition: 0, projection: name, version, rebuilds: 0, from, to })),
        writes: views.map((projection) => ({ projection, factOps: opsOf(projection, facts) })),
        facts: facts.length,
      },
    }
  }
}

describe('rows that were written before', () => {
  let statements: string[] = []
  const watched = (): Database => ({
    ...view.database,
    asService: (run, options) =>
      view.database.asService((tx) => {
        const heard = (to: Tx): Tx => ({
          query(text, values) {
            statements.push(text)
            return to.query(text, values)
          },
          get last() {
            return heard(to.last)
          },
        })
        return run(heard(tx))
      }, options),
  })
  const reads = () => statements.filter((text) => text.startsWith('SELECT'))

  beforeEach(async () => {
    statements = []
    await view.asService((tx) =>
      beginPositions(
        tx,
        [jobList, usageByDay].map(({ name, version }) => ({ projection: name, version })),
        1,
      ),
    )
  })

  async function expectRowsOf(facts: readonly Fact[]): Promise<void> {
    const memory = memoryProjections([jobList, usageByDay])
    memory.apply(facts)
    for (const projection of [jobList, usageByDay])
      expect(await tableRows(view.database, projection)).toEqual(memory.rows(projection.name))
  }

  test('are not read again', async () => {
    const write = writer(watched(), 100)
    const next = refusals()
    const [one, two] = [next('job-1'), next('job-2')]
    await write(one.batch)
    expect(reads(), 'of the day').toHaveLength(1)
    expect(await write(two.batch)).toBe(true)
    expect(reads()).toHaveLength(1)
    await expectRowsOf([...one.facts, ...two.facts])
  })

  test('are read again by who has found elsewhere that another process has moved the view on', async () => {
    const [write, other] = [writer(watched(), 100), writer(view.database, 100)]
    const next = refusals()
    const [one, two, three] = [next('job-1'), next('job-2'), next('job-3')]
    await write(one.batch)
    await other(two.batch)
    expect(await write(three.batch)).toBe(true)
    await expectRowsOf([...one.facts, ...two.facts, ...three.facts])
  })

  test('are read again when another process turns out to have moved the view on', async () => {
    const [write, other] = [writer(watched(), 100), writer(view.database, 100)]
    const next = refusals()
    const [one, two, three] = [next('job-1'), next('job-2'), next('job-3')]
    await write(one.batch)
    await other(two.batch)
    expect(await write(two.batch), 'its position was moved').toBe(false)
    expect(await write(three.batch)).toBe(true)
    await expectRowsOf([...one.facts, ...two.facts, ...three.facts])
  })

  test('by nobody that this process knows of are not taken to be absent', async () => {
    const write = writer(watched(), 100)
    const next = refusals()
    const [one, two] = [next('job-1'), next('job-2')]
    await write(one.batch)
    const there = opsOf(jobList, [new Stamp().fact('tenant-0', submitted('job-2', { capability: 'generate.text' }))])
    await view.asService((tx) => writeOps(tx, jobList, there))
    expect(await write(two.batch)).toBe(true)
    const row = (await tableRows(view.database, jobList)).find(({ job_id }) => job_id === 'job-2')
    expect(row).toMatchObject({ capability: 'generate.text', status: 'refused' })
  })
})
