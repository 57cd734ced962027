/** Pages of the audit trail: all that is asked for and nothing else, at a bounded price. Run on PGlite and on a PostgreSQL server. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Tx } from '../../platform/postgres/database.ts'
import { migrate } from '../../platform/postgres/migrate.ts'
import { type Fact, factTypesOfNoJob, streamOf } from '../../schemas/events.generated.ts'
import { opsOf } from '../fold-rows.ts'
import { projectionMigrations } from '../index.ts'
import { writeOps } from '../tables.ts'
import { explaining, type Plan, readsOf } from '../testing/explaining.ts'
import { capSet, labelSetRegistered, noon, Stamp, tokenIssued, transferTaken } from '../testing/facts.ts'
import type { OpenedForTest } from '../testing/stage.ts'
import { auditTrail } from './projection.ts'
import { type AuditPageWish, auditPage, auditStreams } from './queries.ts'

type Asked = Omit<AuditPageWish, 'limit' | 'after'>

const factCount = 6_000
const limit = 7
const indexPagesMax = 4
const timeOf = (nth: number): bigint => noon + BigInt(nth) * 1_000n

/** A third are transfers by the owner, nearly all others caps and tokens by one who is busy; six of each are rare. */
function manyFacts(stamp: Stamp): Fact[] {
  const one = (n: number): Fact => {
    const by = (actor: string) => ({ actor })
    if (n % 1_000 === 1) return stamp.fact('harbor', capSet(`c${n}`), by('token:rare'))
    if (n % 1_000 === 2) return stamp.fact('harbor', labelSetRegistered(`s${n}`, 'hash'), by('token:busy'))
    if (n % 3 === 0) return stamp.fact('harbor', transferTaken('quay', BigInt(n)), by('owner'))
    return stamp.fact('harbor', n % 3 === 1 ? capSet(`c${n}`) : tokenIssued(`t${n}`, 'hash'), by('token:busy'))
  }
  return Array.from({ length: factCount }, (_, n) => one(n))
}

/** Every filter with every other, and without it. */
const allAsked: Asked[] = [{}, ...(['CapSet', 'LabelSetRegistered', 'MemberAdded'] as const).map((type) => ({ type }))]
  .flatMap((asked) => [asked, ...auditStreams.map((stream) => ({ ...asked, stream }))])
  .flatMap((asked) => [
    asked,
    ...['owner', 'token:busy', 'token:rare', 'token:nobody'].map((actor) => ({ ...asked, actor })),
  ])
  .flatMap((asked) => [
    asked,
    { ...asked, to: timeOf(40) },
    { ...asked, from: timeOf(3_000), to: timeOf(3_009) },
    { ...asked, from: timeOf(factCount + 1) },
  ])

const meets = ({ type, actor, occurredAt }: Fact, asked: Asked): boolean =>
  (asked.type ?? type) === type &&
  (asked.stream ?? streamOf[type]) === streamOf[type] &&
  (asked.actor ?? actor) === actor &&
  (asked.from ?? occurredAt) <= occurredAt &&
  (asked.to === undefined || occurredAt < asked.to)

export function pageContract(name: string, open: () => Promise<Omit<OpenedForTest, 'another'>>): void {
  describe(name, () => {
    let opened: Omit<OpenedForTest, 'another'>
    const facts = manyFacts(new Stamp())
    beforeAll(async () => {
      opened = await open()
      await migrate(opened.database, projectionMigrations([auditTrail]))
      await opened.database.asService((tx) => writeOps(tx, auditTrail, opsOf(auditTrail, facts)))
    })
    afterAll(() => opened.close())

    const page = (wish: AuditPageWish, see: (tx: Tx) => Tx = (tx) => tx) =>
      opened.database.asTenant('harbor', (tx) => auditPage(see(tx), 'harbor', wish))

    test('every filter with every other: all that meet them, newest first, page after page', async () => {
      for (const asked of allAsked) {
        const wanted = facts.filter((fact) => meets(fact, asked)).map(({ seq }) => seq)
        const first = await page({ ...asked, limit })
        const second = first.next === null ? undefined : await page({ ...asked, limit, after: first.next })
        const seen = [...first.items, ...(second?.items ?? [])].map(({ seq }) => seq)
        expect([asked, seen]).toEqual([asked, wanted.reverse().slice(0, 2 * limit)])
      }
    })

    test('whatever is asked for, it reads no more rows than a page of every type, by index', async () => {
      for (const asked of allAsked) {
        const plans: Plan[] = []
        const { next } = await page({ ...asked, limit }, (tx) => explaining(tx, plans))
        if (next) await page({ ...asked, limit, after: next }, (tx) => explaining(tx, plans))
        for (const read of plans.flatMap((plan) => readsOf(plan, auditTrail.table))) {
          const { 'Node Type': how, 'Rows Removed by Filter': removed = 0, 'Actual Loops': types } = read
          expect([asked, how, removed]).toEqual([asked, 'Index Scan', 0])
          expect(types).toBeLessThanOrEqual(factTypesOfNoJob.length)
          // Of each type: the way down the index, and where its rows are.
          const pages = read['Shared Hit Blocks'] + read['Shared Read Blocks']
          expect([asked, pages <= types * (indexPagesMax + limit + 1)]).toEqual([asked, true])
        }
      }
    })
  })
}
