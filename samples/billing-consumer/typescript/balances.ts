/** Every tenant's balance per currency and billing period, exact, with the facts taken and the position: one SQLite file. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { type Batch, FeedError, type JobRated } from './feed.ts'

export type KindBalance = { kind: string; lines: number; amountPico: bigint }
export type Balance = {
  tenantId: string
  currency: string
  period: string
  jobs: number
  amountPico: bigint
  byKind: KindBalance[]
}

/** How the ledger calls the one line of a job that was rated without lines. */
const noChargeKind = 'no_charge'

export class Balances {
  readonly #database: DatabaseSync
  readonly #run: ReturnType<typeof statements>
  /** Of this run. */
  readonly taken = { records: 0, duplicates: 0 }

  /** Without a path in a temporary file of SQLite's own, so that memory stays bounded. */
  constructor(path: string | undefined, source: { topic: string; cluster: string }) {
    this.#database = new DatabaseSync(path ?? '')
    this.#database.exec(readFileSync(join(import.meta.dirname, '../tables.sql'), 'utf8'))
    this.#database
      .prepare('INSERT INTO source SELECT ?, ? WHERE NOT EXISTS (SELECT * FROM source)')
      .run(source.topic, source.cluster)
    const kept = this.#database.prepare('SELECT topic, cluster FROM source').get()
    if (kept?.['topic'] !== source.topic || kept['cluster'] !== source.cluster) {
      throw new FeedError(
        `${path} is about topic ${kept?.['topic']} of cluster ${kept?.['cluster']}, not ${source.topic} of ${source.cluster}`,
      )
    }
    this.#run = statements(this.#database)
  }

  /** Next offset of every partition. */
  positions(): Map<number, bigint> {
    return new Map(
      this.#run.positions.all().map((row) => [Number(row['partition']), row['next_offset'] as bigint] as const),
    )
  }

  /** All of the batch, or nothing. */
  take({ partition, nextOffset, records, facts }: Batch): void {
    this.#database.exec('BEGIN IMMEDIATE')
    try {
      const isNew = facts.map((fact) => this.#takeFact(fact))
      this.#run.setPosition.run(partition, nextOffset)
      this.#database.exec('COMMIT')
      this.taken.records += records
      this.taken.duplicates += isNew.filter((one) => !one).length
    } catch (error) {
      this.#database.exec('ROLLBACK')
      throw error
    }
  }

  /** False for a fact that was taken before. */
  #takeFact(fact: JobRated): boolean {
    if (this.#run.addFact.run(fact.eventId).changes === 0) return false
    checkSums(fact)
    const { tenantId, jobId, currency, billingPeriod: period } = fact
    const noCharge = { lineId: `${noChargeKind} ${jobId}`, kind: noChargeKind, amountPico: 0n }
    const lines = (fact.lines.length > 0 ? fact.lines : [noCharge]).filter(
      ({ lineId }) => this.#run.addLine.run(tenantId, lineId).changes > 0,
    )
    if (lines.length === 0) return true
    for (const { kind, amountPico } of lines) {
      const before = this.#run.kind.get(tenantId, currency, period, kind)
      const sum = BigInt(String(before?.['amount_pico'] ?? 0)) + amountPico
      this.#run.setKind.run(tenantId, currency, period, kind, Number(before?.['lines'] ?? 0) + 1, String(sum))
    }
    const before = this.#run.balance.get(tenantId, currency, period)
    const sum = lines.reduce((total, line) => total + line.amountPico, BigInt(String(before?.['amount_pico'] ?? 0)))
    this.#run.setBalance.run(tenantId, currency, period, Number(before?.['jobs'] ?? 0) + 1, String(sum))
    return true
  }

  /** In order of tenant, currency and period; of one tenant if given. */
  *all(tenantId?: string): Generator<Balance> {
    for (const row of this.#run.balances.iterate(tenantId ?? null)) {
      const [tenant, currency, period] = [String(row['tenant_id']), String(row['currency']), String(row['period'])]
      yield {
        tenantId: tenant,
        currency,
        period,
        jobs: Number(row['jobs']),
        amountPico: BigInt(String(row['amount_pico'])),
        byKind: this.#run.kinds.all(tenant, currency, period).map((kind) => ({
          kind: String(kind['kind']),
          lines: Number(kind['lines']),
          amountPico: BigInt(String(kind['amount_pico'])),
        })),
      }
    }
  }

  factCount(): number {
    return Number(this.#database.prepare('SELECT count(*) AS n FROM fact').get()?.['n'])
  }

  close(): void {
    this.#database.close()
  }
}

/** A fact that does not add up is not to be booked, whichever of its figures is wrong. */
function checkSums({ eventId, chargedPico, lines }: JobRated): void {
  const sum = lines.reduce((total, line) => total + line.amountPico, 0n)
  if (sum !== chargedPico) throw new FeedError(`Fact ${eventId} charges ${chargedPico}, its lines ${sum}`)
  const wrong = lines.find(({ quantity, pricePico, amountPico }) => quantity * pricePico !== amountPico)
  if (wrong) throw new FeedError(`Fact ${eventId}: line ${wrong.lineId} is not its quantity times its price`)
}

function statements(database: DatabaseSync) {
  const positions = database.prepare('SELECT partition, next_offset FROM position')
  positions.setReadBigInts(true)
  return {
    positions,
    setPosition: database.prepare('INSERT OR REPLACE INTO position VALUES (?, ?)'),
    addFact: database.prepare('INSERT OR IGNORE INTO fact VALUES (?)'),
    addLine: database.prepare('INSERT OR IGNORE INTO line VALUES (?, ?)'),
    kind: database.prepare(
      'SELECT lines, amount_pico FROM balance_of_kind WHERE tenant_id = ? AND currency = ? AND period = ? AND kind = ?',
    ),
    setKind: database.prepare('INSERT OR REPLACE INTO balance_of_kind VALUES (?, ?, ?, ?, ?, ?)'),
    balance: database.prepare(
      'SELECT jobs, amount_pico FROM balance WHERE tenant_id = ? AND currency = ? AND period = ?',
    ),
    setBalance: database.prepare('INSERT OR REPLACE INTO balance VALUES (?, ?, ?, ?, ?)'),
    balances: database.prepare(
      'SELECT * FROM balance WHERE tenant_id = coalesce(?, tenant_id) ORDER BY tenant_id, currency, period',
    ),
    kinds: database.prepare(
      'SELECT * FROM balance_of_kind WHERE tenant_id = ? AND currency = ? AND period = ? ORDER BY kind',
    ),
  }
}
