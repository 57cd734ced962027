/**
 * The independent verifier. It reads an export of Avro events and, if given, the price books that may be used, and
 * nothing else; it shares no code with the product. It replays every cap, attempt and charge with its own arithmetic
 * and says everything that does not add up.
 *
 *     node bin/demo/verify.ts [--open-allowed] [--at-rest] [--json] DIR [BOOK.json …]
 *
 * Exit codes: 0 everything holds, 1 something does not, 2 the export or a book cannot be read.
 */
import { readFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { inOrder, readManifest } from './verify/export-files.ts'
import { Findings, type Problem } from './verify/findings.ts'
import { OwnDirectory } from './verify/own-directory.ts'
import { canonical, sha256 } from './verify/own-price.ts'
import { TransferCheck } from './verify/own-transfers.ts'
import { PartitionCheck, type TenantTally } from './verify/partition.ts'

export type TenantReport = {
  tenantId: string
  jobs: TenantTally['jobs']
  /** Refused jobs by reason. */
  refusals: Record<string, number>
  /** `chargedPico` is the verifier's own sum; `recordedPico` that of the rated facts. */
  ledger: { currency: string; jobs: number; chargedPico: bigint; recordedPico: bigint }[]
}

export type VerifyReport = {
  events: number
  /** By id of the tenant. */
  tenants: TenantReport[]
  problemCount: number
  /** The first 1,000. */
  problems: Problem[]
}

export type VerifyOptions = {
  /** JSON texts of the only price books that may have been used; any published book when empty. */
  books?: readonly string[]
  /** The export was taken while jobs were under way: a job without an end is no problem. */
  openAllowed?: boolean
  /** Nothing was under way any more, transfers to ancestors neither. */
  atRest?: boolean
}

/** Checks the export in a directory. Throws only when the directory, a file or a given book cannot be read. */
export async function verifyExport(dir: string, options: VerifyOptions = {}): Promise<VerifyReport> {
  const findings = new Findings()
  const complain = (says: string) => findings.add({ check: 'export', says })
  const { partitions, files } = await readManifest(dir)
  const trusted = new Set((options.books ?? []).map((book) => sha256(canonical(book))))

  const directory = new OwnDirectory()
  // Read twice: here for what decisions of every partition rest on, below for its place in its own partition.
  for await (const event of inOrder(
    dir,
    files.filter(({ stream }) => stream === 'directory'),
    () => {},
  )) {
    for (const says of directory.take(event, trusted)) {
      findings.add({ check: 'directory', seq: event.seq, says: `${event.type}: ${says}` })
    }
  }

  let events = 0
  const tallies = new Map<string, TenantTally>()
  const transfers = new TransferCheck(directory, findings)
  for (let partition = 0; partition < partitions; partition++) {
    const check = new PartitionCheck(partition, directory, findings)
    const ofPartition = files.filter((file) => file.partition === partition)
    for await (const event of inOrder(dir, ofPartition, complain)) {
      check.take(event)
      transfers.take(event)
    }
    check.finish(options.openAllowed ?? false)
    events += check.events
    for (const [tenantId, tally] of check.tallies) {
      if (tallies.has(tenantId)) complain(`tenant ${tenantId} has jobs in more than one partition`)
      tallies.set(tenantId, tally)
    }
  }
  transfers.finish(options.atRest ?? false)
  // Nothing at all is what a broken exporter writes.
  if (events === 0) complain('the export is empty')
  const { count: problemCount, problems } = findings
  return { events, tenants: [...tallies].map(toTenantReport).sort(byTenantId), problemCount, problems }
}

function toTenantReport([tenantId, { jobs, refusals, ledger }]: [string, TenantTally]): TenantReport {
  const lines = [...ledger].map(([currency, sums]) => ({ currency, ...sums }))
  return { tenantId, jobs, refusals: Object.fromEntries(refusals), ledger: lines }
}

const byTenantId = (a: TenantReport, b: TenantReport): number => (a.tenantId < b.tenantId ? -1 : 1)

/** Every finding on a line of its own, then the sums. Amounts in main units. */
function toText({ events, tenants, problemCount, problems }: VerifyReport): string {
  const where = ({ partition, seq, tenantId, jobId }: Problem) =>
    Object.entries({ partition, seq, tenantId, jobId })
      .filter(([, value]) => value !== undefined)
      .map(([name, value]) => `${name} ${value}`)
      .join(', ')
  const tallies = tenants.map(({ tenantId, jobs, refusals, ledger }) => {
    const ends = Object.entries({ ...jobs, ...refusals }).map(([name, count]) => `${name} ${count}`)
    const sums = ledger.map(
      ({ currency, chargedPico, recordedPico }) =>
        `${currency} ${inUnits(chargedPico)}${chargedPico === recordedPico ? '' : ` (recorded ${inUnits(recordedPico)})`}`,
    )
    return `${tenantId}: ${[...ends, ...sums].join(', ')}`
  })
  const verdict = problemCount === 0 ? 'everything holds' : `${problemCount} problems`
  return [
    ...problems.map((problem) => `${problem.check}: ${problem.says} (${where(problem)})`),
    ...tallies,
    `${events} events: ${verdict}`,
  ].join('\n')
}

function inUnits(pico: bigint): string {
  const digits = (pico < 0n ? -pico : pico).toString().padStart(13, '0')
  return `${pico < 0n ? '-' : ''}${digits.slice(0, -12)}.${digits.slice(-12)}`
}

async function main(): Promise<number> {
  try {
    const { values, positionals } = parseArgs({
      options: {
        'open-allowed': { type: 'boolean', default: false },
        'at-rest': { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
      },
      allowPositionals: true,
    })
    const [dir, ...bookPaths] = positionals
    if (dir === undefined) throw new Error('Give the directory of an export.')
    const books = await Promise.all(bookPaths.map((path) => readFile(path, 'utf8')))
    const report = await verifyExport(dir, {
      books,
      openAllowed: values['open-allowed'],
      atRest: values['at-rest'],
    })
    const json = () =>
      JSON.stringify(report, (_, value: unknown) => (typeof value === 'bigint' ? value.toString() : value), 2)
    process.stdout.write(`${values.json ? json() : toText(report)}\n`)
    return report.problemCount === 0 ? 0 : 1
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
    return 2
  }
}

if (process.argv[1] === import.meta.filename) process.exitCode = await main()
