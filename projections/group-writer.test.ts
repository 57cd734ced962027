/** Batches of several partitions in one transaction, and what becomes of them when one of them cannot be written. */
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import type { Database } from '../platform/postgres/database.ts'
import type { Fact } from '../schemas/events.generated.ts'
import { auditTrail } from './audit-trail/projection.ts'
import { type FactOps, opsOf } from './fold-rows.ts'
import { groupWriter, type ViewBatch } from './group-writer.ts'
import { beginPositions, readPositions } from './positions.ts'
import { capSet, Stamp } from './testing/facts.ts'
import { openView, type View } from './testing/view.ts'

const partitions = [0, 1, 2]
let view: View
/** Transactions of the service, those that were rolled back too. */
let transactions = 0

beforeAll(async () => {
  view = await openView(auditTrail)
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
    moves: [{ partition, projection: auditTrail.name, version: 1, from, to }],
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
