import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { expect, test } from 'vitest'
import { systemClock } from '../clock.ts'
import type { Database } from '../postgres/database.ts'
import { connectToRunning, openEmbeddedDatabase } from '../postgres/embedded.ts'
import { embeddedLog } from './embedded.ts'
import { allFacts, allRequests, text } from './testing/log-data.ts'

const seed = 20_261_123
const rounds = 21
const linesMax = 120
const victim = new URL('./testing/crash-child.ts', import.meta.url).pathname

/** A fixed sequence of whole numbers below `below`: Lehmer's generator. */
function chooser(start: number): (below: number) => number {
  let state = start
  return (below) => {
    state = (state * 48_271) % 0x7fffffff
    return state % below
  }
}

/** What the killed processes said was acknowledged. */
type Promised = { values: Set<string>; seq: bigint; intakeOffset: bigint }

/** Reads everything, and compares it with what was promised. Answers how much there is. */
async function check(database: Database, promised: Promised): Promise<string> {
  const log = await embeddedLog({ database, partitionCount: 1, clock: systemClock })
  const [committed, requests, facts] = [await log.committed(0), await allRequests(log, 0), await allFacts(log, 0)]
  const values = requests.map(({ value }) => text(value).trimEnd())
  const present = new Set(values)
  expect([...promised.values].filter((value) => !present.has(value))).toEqual([])
  expect(present.size).toBe(values.length)
  expect(await log.intakeEnd(0)).toBe(BigInt(values.length))

  // readFacts itself refuses a gap in seq; here: nothing promised is missing, and every commit is whole.
  expect(committed.seq).toBeGreaterThanOrEqual(promised.seq)
  expect(committed.intakeOffset).toBeGreaterThanOrEqual(promised.intakeOffset)
  expect(committed.intakeOffset).toBeLessThanOrEqual(BigInt(values.length))
  expect(BigInt(facts.length)).toBe(committed.seq)
  expect(committed.seq).toBe(committed.intakeOffset * 2n)
  const wanted = requests
    .slice(0, Number(committed.intakeOffset))
    .flatMap(({ offset }) => [`${offset} first`, `${offset} second`])
  expect(facts.map(({ value }) => text(value))).toEqual(wanted)
  await log.close()
  return `${values.length} requests, ${facts.length} facts`
}

type Round = { whileOpening: boolean; appends: number; commits: number; acknowledged: number }

test(`a process killed at ${rounds} random points loses nothing that was acknowledged and tears no commit`, async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'pf3-crash-'))
  const choose = chooser(seed)
  const promised: Promised = { values: new Set(), seq: 0n, intakeOffset: 0n }
  const done: Round[] = []
  const report: string[] = []

  async function run(round: number): Promise<void> {
    // The flag halves what each start costs: no process lives long enough to gain from optimised WebAssembly.
    const child: ChildProcess = spawn(process.execPath, ['--liftoff-only', victim, dataDir, String(round)], {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    const ended = once(child, 'exit')
    const { stdin, stdout } = child
    if (!stdin || !stdout) throw new Error('the child has no pipes')
    const standing: Round = { whileOpening: round % 7 === 6, appends: 0, commits: 0, acknowledged: 0 }
    const killAfter = 1 + choose(linesMax)
    let lines = 0
    let found = 'nothing was looked at'
    const isRead = once(stdout, 'close')
    const reader = createInterface({ input: stdout })
    reader.on('line', async (line) => {
      const [what = '', ...rest] = line.split(' ')
      if (what === 'open') {
        const beside = await connectToRunning(dataDir)
        if (!beside) throw new Error('the child says it is open, but it cannot be reached')
        found = await check(beside, promised)
        await beside.close()
        stdin.write('go\n')
        return
      }
      if (what === 'append') standing.appends++
      if (what === 'commit') standing.commits++
      if (what === 'appended') {
        standing.appends--
        for (const value of rest) promised.values.add(value)
      }
      if (what === 'committed') {
        standing.commits--
        promised.seq = BigInt(rest[0] ?? 0)
        promised.intakeOffset = BigInt(rest[1] ?? 0)
      }
      if (what.endsWith('ed')) standing.acknowledged++
      if (++lines === killAfter) setTimeout(() => child.kill('SIGKILL'), choose(6))
    })
    // Some die while they open: in the recovery from the death before.
    if (standing.whileOpening) setTimeout(() => child.kill('SIGKILL'), 150 + choose(400))
    await ended
    await isRead
    await new Promise(setImmediate)
    expect(child.signalCode).toBe('SIGKILL')
    done.push(standing)
    const inFlight = `${standing.appends} appends and ${standing.commits} commits in flight, ${standing.acknowledged} acknowledged`
    report.push(`kill ${round}: ${standing.whileOpening ? 'while opening' : inFlight}; before it: ${found}`)
  }

  try {
    for (let round = 0; round < rounds; round++) await run(round)
    const database = await openEmbeddedDatabase({ dataDir })
    report.push(`at the end: ${await check(database, promised)}`)
    await database.close()
  } finally {
    process.stdout.write(`seed ${seed}\n${report.join('\n')}\n`)
    await rm(dataDir, { recursive: true, force: true })
  }
  const busy = done.filter((round) => round.appends + round.commits > 0)
  expect(busy.length).toBeGreaterThanOrEqual(rounds * 0.6)
  expect(promised.values.size).toBeGreaterThan(rounds)
}, 300_000)
