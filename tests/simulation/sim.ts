/**
 * The simulation from the command line.
 *
 *     npm run sim -- --seed 7              one seed, with its story
 *     npm run sim -- --seeds 2000          so many fresh seeds
 *     npm run sim -- --minutes 30          as many as fit
 *     npm run sim -- --mutants             plants every known bug in turn; all must be caught
 *
 * Exit codes: 0 everything held, 1 something did not, 2 wrong usage.
 */
import { spawn } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { parseArgs } from 'node:util'
import { allFaultKinds, type FaultKind } from './faults.ts'
import { mutants } from './mutants.ts'
import type { Run } from './simulate.ts'

const jobsDefault = 300
const seedsPerMutantMax = 500
/** A fault that strikes in fewer runs than this share proves little; looked at from so many seeds on. */
const faultShareMin = 0.2
const seedsForShares = 100
const seedsPerProcess = 200

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    seeds: { type: 'string' },
    minutes: { type: 'string' },
    from: { type: 'string' },
    jobs: { type: 'string' },
    mutants: { type: 'boolean' },
    mutant: { type: 'string' },
    workers: { type: 'string' },
  },
})
const whole = (text: string | undefined, fallback: number): number => {
  if (text === undefined) return fallback
  if (/^\d{1,9}$/.test(text)) return Number(text)
  process.stderr.write(`A whole number was expected, not ${text}.\n`)
  process.exit(2)
}
const jobs = whole(values.jobs, jobsDefault)
const workers = whole(values.workers, availableParallelism())

/** Runs seeds in a process of their own. `take` answers whether to go on. Rejects when the process dies of itself. */
function inProcess(
  {
    from,
    count,
    step = 1,
    jobs: jobCount = jobs,
    mutant,
  }: { from: number; count: number; step?: number; jobs?: number; mutant?: string },
  take: (run: Run) => boolean,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const args = [join(import.meta.dirname, 'worker.ts'), String(from), String(count), String(jobCount), String(step)]
    const planted = mutant === undefined ? [] : ['--import', join(import.meta.dirname, 'plant.ts')]
    const child = spawn(process.execPath, [...planted, ...args], {
      env: { ...process.env, ...(mutant === undefined ? {} : { PF3_SIM_MUTANT: mutant }) },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const problems: Buffer[] = []
    let isEnough = false
    child.stderr.on('data', (chunk: Buffer) => problems.push(chunk))
    createInterface({ input: child.stdout }).on('line', (line) => {
      if (isEnough) return
      isEnough = !take(JSON.parse(line) as Run)
      if (isEnough) child.kill('SIGKILL')
    })
    child.once('close', (code) => {
      if (isEnough || code === 0) resolve()
      else reject(new Error(`The simulation of seeds from ${from} ended with ${code}: ${Buffer.concat(problems)}`))
    })
  })
}

async function many(from: number, count: number, minutes: number): Promise<number> {
  const endMs = minutes === 0 ? Number.POSITIVE_INFINITY : Date.now() + minutes * 60_000
  const struck = new Map<FaultKind, number>()
  const total = { seeds: 0, jobs: 0, facts: 0, steps: 0 }
  let failed: Run | undefined
  const sinceMs = Date.now()
  let toldMs = sinceMs
  const goesOn = () => failed === undefined && Date.now() < endMs
  await Promise.all(Array.from({ length: workers }, (_, worker) => work(worker)))

  /** Every nth seed, in processes one after another: a run leaves something behind, and a long one would fill the memory. */
  async function work(worker: number): Promise<void> {
    const own = Math.ceil((count - worker) / workers)
    for (let done = 0; done < own && goesOn(); done += seedsPerProcess) {
      const first = from + worker + done * workers
      await inProcess({ from: first, count: Math.min(seedsPerProcess, own - done), step: workers }, (run) => {
        total.seeds += 1
        total.jobs += run.jobs
        total.facts += run.facts
        total.steps += run.steps
        for (const kind of Object.keys(run.faults) as FaultKind[]) struck.set(kind, (struck.get(kind) ?? 0) + 1)
        if (run.violations.length > 0) failed ??= run
        if (Date.now() - toldMs > 15_000) {
          toldMs = Date.now()
          process.stdout.write(`${total.seeds} seeds\n`)
        }
        return goesOn()
      })
    }
  }

  process.stdout.write(
    `${total.seeds} seeds from ${from}, ${total.jobs} jobs, ${total.facts} facts, ${total.steps} steps in ${Math.round((Date.now() - sinceMs) / 1_000)} s\n`,
  )
  const rare = allFaultKinds.filter((kind) => (struck.get(kind) ?? 0) < total.seeds * faultShareMin)
  for (const kind of allFaultKinds)
    process.stdout.write(`  ${kind.padEnd(22)} in ${String(struck.get(kind) ?? 0).padStart(6)} seeds\n`)
  if (failed) {
    await tell(failed)
    return 1
  }
  if (total.seeds >= seedsForShares && rare.length > 0) {
    process.stdout.write(`Too rare to prove anything: ${rare.join(', ')}.\n`)
    return 1
  }
  process.stdout.write('No violations.\n')
  return 0
}

/** The failure, the fewest jobs that still show it, and how to see it again. */
async function tell(run: Run): Promise<void> {
  process.stdout.write(`\nSeed ${run.seed} does not hold:\n${indented(run.violations)}`)
  for (const fewer of [1, 3, 10, 30, 100, 200]) {
    let isShown: Run | undefined
    await inProcess({ from: run.seed, count: 1, jobs: fewer }, (smaller) => {
      if (smaller.violations.length > 0) isShown = smaller
      return true
    })
    if (!isShown) continue
    process.stdout.write(`With ${fewer} jobs already:\n${indented(isShown.violations)}`)
    process.stdout.write(`The events behind it:\n${indented(isShown.story)}`)
    process.stdout.write(`See it again: npm run sim -- --seed ${run.seed} --jobs ${fewer}\n`)
    return
  }
  process.stdout.write(`The events behind it:\n${indented(run.story)}`)
  process.stdout.write(`See it again: npm run sim -- --seed ${run.seed}\n`)
}

const indented = (lines: readonly string[]): string => lines.map((line) => `  ${line}\n`).join('')

async function one(seed: number): Promise<number> {
  let failed = false
  await inProcess({ from: seed, count: 1 }, (run) => {
    failed = run.violations.length > 0
    process.stdout.write(`${JSON.stringify(run, null, 2)}\n`)
    return true
  })
  return failed ? 1 : 0
}

/** What was planted does not run: that it was noticed proves nothing. */
const brokenPlant = /is not defined|is not a function|Cannot read properties|Assignment to constant/

async function plantAll(only: string | undefined): Promise<number> {
  const wanted = only === undefined ? mutants : mutants.filter(({ name }) => name === only)
  if (wanted.length === 0) {
    process.stderr.write(`There is no mutant ${only}.\n`)
    return 2
  }
  let caught = 0
  const waiting = [...wanted]
  await Promise.all(
    Array.from({ length: workers }, async () => {
      for (let mutant = waiting.shift(); mutant; mutant = waiting.shift()) {
        const { name } = mutant
        let seeds = 0
        let says = ''
        await inProcess({ from: 1, count: seedsPerMutantMax, mutant: name }, (run) => {
          seeds += 1
          says = run.violations[0] ?? ''
          return says === ''
        })
        const isBroken = brokenPlant.test(says)
        if (says !== '' && !isBroken) caught += 1
        const found = `seed ${seeds}: ${says.slice(0, 160)}`
        process.stdout.write(
          `${name}: ${says === '' ? `NOT CAUGHT in ${seeds} seeds` : isBroken ? `BROKEN, ${found}` : found}\n`,
        )
      }
    }),
  )
  process.stdout.write(`${caught} of ${wanted.length} planted bugs caught.\n`)
  return caught === wanted.length ? 0 : 1
}

const from = whole(values.from, 1)
if (values.mutants || values.mutant !== undefined) process.exitCode = await plantAll(values.mutant)
else if (values.seed !== undefined) process.exitCode = await one(whole(values.seed, 1))
else
  process.exitCode = await many(
    from,
    values.minutes === undefined ? whole(values.seeds, 100) : 1_000_000,
    whole(values.minutes, 0),
  )
