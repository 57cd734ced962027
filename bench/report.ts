/** What a benchmark found: raw samples into a file, medians and ratios with their spread into a table. */
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { cpus, platform, release, totalmem } from 'node:os'
import { join } from 'node:path'
import { quantile } from '../bin/demo/fairness.ts'

/** One figure, measured once in every round on each side. Ratios are taken within a round, so that a slow one slows both. */
export type Row = {
  what: string
  unit:
    | 'ms'
    | 's'
    | 'ms a job'
    | 'a job'
    | 'bytes a job'
    | 'jobs'
    | 'jobs/s'
    | 'facts/s'
    | 'records'
    | 'records/s'
    | 'requests/s'
    | 'µs'
    | 'MiB'
    | '%'
  ours: number[]
  beside?: { name: string; rounds: number[] }
  /** What was hoped for; compared by whoever reads. */
  aim?: string
}

export type Found = {
  rows: readonly Row[]
  /** What it ran on besides this machine, for example `Kafka 4.1 with three brokers`. */
  setting: string
  /** Where it is measured otherwise than in the rounds that were asked for. */
  rounds?: number
  /** Every single measurement, by what it is of. */
  raw?: Readonly<Record<string, number[]>>
}

export type Bench = {
  about: string
  /** What the figures do not show. */
  limits: string
  run(options: { rounds: number; brokerCount: 1 | 3 }): Promise<Found>
}

const root = join(import.meta.dirname, '..')
const page = join(root, 'docs', 'benchmarks.md')

const middle = (values: readonly number[]): number =>
  quantile(
    values.toSorted((a, b) => a - b),
    0.5,
  )
const short = (value: number): string =>
  value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2)
const spread = (values: readonly number[]): string =>
  values.length > 1 ? ` (${short(Math.min(...values))} to ${short(Math.max(...values))})` : ''

export function tableOf(rows: readonly Row[]): string {
  const lines = rows.map(({ what, unit, ours, beside, aim = '' }) => {
    const ratios = beside ? ours.map((one, round) => one / (beside.rounds[round] ?? Number.NaN)) : []
    const other = beside ? `${short(middle(beside.rounds))}${spread(beside.rounds)}` : ''
    const ratio = beside ? `${short(middle(ratios))}${spread(ratios)}` : ''
    return `| ${what} | ${unit} | ${short(middle(ours))}${spread(ours)} | ${beside?.name ?? ''} | ${other} | ${ratio} | ${aim} |`
  })
  return [
    '| what | unit | PF-3 | beside it | beside it | ratio | aim |',
    '| --- | --- | --- | --- | --- | --- | --- |',
    ...lines,
  ].join('\n')
}

/** The page around the section of that name. Throws when it has none. */
async function around(name: string): Promise<{ before: string; after: string }> {
  const text = await readFile(page, 'utf8')
  const [begin, end] = [`<!-- ${name} begins -->`, `<!-- ${name} ends -->`]
  const [from, to] = [text.indexOf(begin), text.indexOf(end)]
  if (from < 0 || to < 0) throw new Error(`docs/benchmarks.md has no section ${name}.`)
  return { before: text.slice(0, from + begin.length), after: text.slice(to) }
}

/** Runs it, and writes `bench/results/` and the section of the page that has the benchmark's name. Resolves with the section. */
export async function publish(name: string, bench: Bench, options: Parameters<Bench['run']>[0]): Promise<string> {
  await around(name) // Minutes would be lost otherwise.
  const found = await bench.run(options)
  const { rounds = options.rounds } = found
  const at = new Date().toISOString()
  const machine = `${cpus().length} × ${cpus()[0]?.model ?? 'unknown'}, ${Math.round(totalmem() / 2 ** 30)} GiB, ${platform()} ${release()}, Node ${process.version}`
  const folder = join(import.meta.dirname, 'results')
  await mkdir(folder, { recursive: true })
  const report = { name, at, machine, ...found, rounds }
  await writeFile(join(folder, `${name}-${at.replaceAll(':', '-')}.json`), `${JSON.stringify(report, null, 2)}\n`)
  const section = `${bench.about}

${tableOf(found.rows)}

${at.slice(0, 10)}; ${rounds === 1 ? 'one round' : `${rounds} rounds`}; ${machine}; ${found.setting}. ${bench.limits}`
  const { before, after } = await around(name)
  await writeFile(page, `${before}\n\n${section}\n\n${after}`)
  return section
}
