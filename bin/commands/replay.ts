/** `pf3 replay`: derives a tenant's charges from the log again, and says where they differ. */
import { archiveReader } from '../../platform/archive/archive.ts'
import { systemClock } from '../../platform/clock.ts'
import { partitionOf } from '../../platform/log/partitioner.ts'
import { type PriceBook, parsePriceBook } from '../../pricing/index.ts'
import { type LedgerLine, type ReplayReport, replay, replayedTypes } from '../../processors/rating/replay.ts'
import type { Fact } from '../../schemas/events.generated.ts'
import { readOwnSchemas } from '../../schemas/own-schemas.ts'
import { platformTenantId } from '../../schemas/streams.ts'
import { decimalFromPico } from '../../schemas/units.ts'
import type { PlaceOptions } from '../archive-options.ts'
import { archivedPartitions, archivePublicKey, archiveStore } from '../archive-place.ts'
import { ConfigError, readConfig } from '../config.ts'
import { borrowFoundation } from '../foundation.ts'
import { ledgerAsOf } from '../ledger-as-of.ts'
import { readNamedFile } from '../named-file.ts'
import { printLine, toJson } from '../print.ts'
import { factsOfTenant, readDirectory } from '../read-facts.ts'

export type ReplayGiven = PlaceOptions & {
  tenant: string
  period: string
  priceBook?: string
  archive?: string
  publicKey?: string
  diff?: boolean
  json?: boolean
}

/**
 * Where the facts are, a batch at a time: the log with its ledger as of the same fact, or an archive. An archive has no ledger
 * beside it: it may end before the ledger does, and is replayed where there is no database.
 */
type Source = {
  /** Of the tenant, and perhaps of others. */
  facts(): AsyncIterable<Iterable<Fact>>
  /** Price books and tenants. */
  directory(): AsyncIterable<Iterable<Fact>>
  ledger: (() => AsyncIterable<LedgerLine>) | undefined
  close(): Promise<void>
}

const deltasShown = 20

/** Ends with 1 when `--diff` finds a difference, also between facts and ledger. Throws ConfigError for a tenant that nobody has opened. */
export async function replayCommand(given: ReplayGiven): Promise<void> {
  if (!/^\d{4}-(0[1-9]|1[0-2])$/.test(given.period))
    throw new ConfigError([`--period: a month such as 2026-10 was expected, not ${JSON.stringify(given.period)}`])
  const otherBook =
    given.priceBook === undefined
      ? undefined
      : bookFrom((await readNamedFile('--price-book', given.priceBook)).toString(), given.priceBook)
  const source = given.archive === undefined ? await theLog(given) : await anArchive(given.archive, given)
  try {
    const { books, tenants } = await published(source)
    if (!tenants.has(given.tenant))
      throw new ConfigError([`--tenant: there is no tenant ${JSON.stringify(given.tenant)}`])
    const report = await replay(source.facts(), {
      tenantId: given.tenant,
      period: given.period,
      bookByHash: (hash) => books.get(hash),
      ...(otherBook ? { otherBook } : {}),
      ...(given.diff && !otherBook && source.ledger ? { ledger: source.ledger() } : {}),
    })
    if (given.json) printLine(toJson(report, 2))
    else show(report, given.diff === true)
    if (given.diff && !otherBook && report.deltaCount > 0) process.exitCode = 1
  } finally {
    await source.close()
  }
}

async function theLog({ tenant, period }: ReplayGiven): Promise<Source> {
  const foundation = await borrowFoundation(readConfig(process.env))
  const { log, database, close } = foundation
  try {
    const partition = partitionOf(tenant, log.partitionCount)
    // Before anything is read: what is decided from here on stands on neither side of the comparison.
    const { seq: to } = await log.committed(partition)
    return {
      facts: () => factsOfTenant(foundation, { tenantId: tenant, types: replayedTypes, to }),
      directory: () => readDirectory(foundation),
      ledger: () => ledgerAsOf({ database, clock: systemClock }, { tenantId: tenant, partition, period, to }),
      close,
    }
  } catch (error) {
    await close()
    throw error
  }
}

async function anArchive(place: string, given: ReplayGiven): Promise<Source> {
  const publicKey = await archivePublicKey(readConfig(process.env), given.publicKey)
  const store = archiveStore(place, given)
  const reader = archiveReader({ store, publicKey, ownSchemas: readOwnSchemas() })
  const partitions = await archivedPartitions(reader, store, '--archive')
  const directory = () => reader.facts(partitionOf(platformTenantId, partitions))
  const facts = () => reader.facts(partitionOf(given.tenant, partitions))
  return { facts, directory, ledger: undefined, close: store.close }
}

function bookFrom(text: string, where: string): PriceBook {
  const parsed = parsePriceBook(text)
  if (!parsed.ok) throw new ConfigError(parsed.problems.map((problem) => `${where}: ${problem}`))
  return parsed.book
}

async function published({ directory }: Source): Promise<{ books: Map<string, PriceBook>; tenants: Set<string> }> {
  const books = new Map<string, PriceBook>()
  const tenants = new Set<string>([platformTenantId])
  for await (const facts of directory())
    for (const fact of facts) {
      if (fact.type === 'PriceBookPublished') books.set(fact.hash, bookFrom(fact.book, fact.hash))
      if (fact.type === 'TenantRegistered') tenants.add(fact.registeredTenantId)
    }
  return { books, tenants }
}

function show(report: ReplayReport, isDiff: boolean): void {
  printLine(
    `Tenant ${report.tenantId}, ${report.period}: ${report.jobs} jobs admitted, ${report.endedJobs} ended, ${report.lines} lines derived.`,
  )
  for (const { currency, recordedPico, derivedPico, ledgerPico } of report.totals) {
    const ledger = ledgerPico === null ? '' : `, in the ledger ${decimalFromPico(ledgerPico)}`
    printLine(
      `${currency}: recorded ${decimalFromPico(recordedPico)}, derived ${decimalFromPico(derivedPico)}${ledger}.`,
    )
  }
  if (report.underivedJobs > 0) printLine(`${report.underivedJobs} jobs have no price under this book.`)
  if (!isDiff) return
  printLine(report.deltaCount === 0 ? 'No differences.' : `${report.deltaCount} differences:`)
  for (const delta of report.deltas.slice(0, deltasShown)) {
    printLine(
      `  ${delta.kind} in ${delta.in}: job ${delta.jobId}, ${delta.what}: recorded ${delta.recorded ?? 'nothing'}, derived ${delta.derived ?? 'nothing'}`,
    )
  }
}
