/** The proofs after the story, each by a process of its own on what the service has written. */
import { spawn } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { starterBookJson } from '../../pricing/index.ts'
import type { Fact } from '../../schemas/events.generated.ts'
import { readConfig } from '../config.ts'
import { exportFacts } from '../export-facts.ts'
import { borrowFoundation } from '../foundation.ts'
import { type Plant, spoiler } from './plant.ts'
import { cleanEnv, pf3Path } from './service-process.ts'

/** What the verifier prints; amounts as text. */
export type Verified = {
  events: number
  tenants: {
    tenantId: string
    jobs: Record<string, number>
    refusals: Record<string, number>
    ledger: { currency: string; jobs: number; chargedPico: string; recordedPico: string }[]
  }[]
  problemCount: number
  problems: { check: string; says: string }[]
}
export type Replayed = { tenantId: string; period: string; lines: number; endedJobs: number; deltaCount: number }
export type RebuiltView = { projection: string; rows: string; isEqual: boolean }

type Env = Readonly<Record<string, string>>
const verifierPath = join(import.meta.dirname, 'verify.ts')

/** Exports beside the running service and has the verifier, which shares no code with the product, look through it. */
export async function exportAndVerify(parts: {
  env: Env
  dir: string
  book: object
  plant: Plant | undefined
}): Promise<{ verified: Verified; facts: Fact[] }> {
  const { env, dir, book, plant } = parts
  const facts: Fact[] = []
  const spoil = spoiler(plant)
  const exportDir = join(dir, 'export')
  const foundation = await borrowFoundation(readConfig(env))
  try {
    await exportFacts(foundation, {
      dir: exportDir,
      pass(fact) {
        facts.push(fact)
        return spoil(fact)
      },
    })
  } finally {
    await foundation.close()
  }
  const books = [join(dir, 'book.json'), join(dir, 'starter-book.json')] as const
  await writeFile(books[0], JSON.stringify(book))
  await writeFile(books[1], starterBookJson())
  return { verified: (await run<Verified>([verifierPath, '--json', exportDir, ...books], {})).printed, facts }
}

/** `pf3 replay --diff` of every tenant and period. */
export function replayAll(
  env: Env,
  wanted: readonly { tenantId: string; periods: readonly string[] }[],
): Promise<Replayed[]> {
  const runs = wanted.flatMap(({ tenantId, periods }) => periods.map((period) => ({ tenantId, period })))
  return Promise.all(
    runs.map(async ({ tenantId, period }) => {
      const args = [pf3Path, 'replay', '--tenant', tenantId, '--period', period, '--diff', '--json']
      const { code, printed } = await run<Replayed>(args, env)
      // The exit code is what scripts go by: it must say the same.
      return { ...printed, deltaCount: Math.max(printed.deltaCount, code) }
    }),
  )
}

export const rebuildAllViews = async (env: Env): Promise<RebuiltView[]> =>
  (await run<RebuiltView[]>([pf3Path, 'projections', 'rebuild', '--all', '--json'], env)).printed

/** Exit codes 0 and 1 are answers; others are failures. */
function run<Printed>(args: readonly string[], env: Env): Promise<{ code: number; printed: Printed }> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { env: cleanEnv(env), stdio: ['ignore', 'pipe', 'pipe'] })
    const out: Buffer[] = []
    const problems: Buffer[] = []
    child.stdout.on('data', (chunk: Buffer) => out.push(chunk))
    child.stderr.on('data', (chunk: Buffer) => problems.push(chunk))
    child.once('error', reject)
    child.once('close', (code) => {
      const failed = (cause?: unknown) =>
        reject(
          new Error(`${args.join(' ')} ended with ${code}: ${Buffer.concat(problems).toString('utf8').trim()}`, {
            cause,
          }),
        )
      if (code !== 0 && code !== 1) return failed()
      try {
        resolve({ code, printed: JSON.parse(Buffer.concat(out).toString('utf8')) as Printed })
      } catch (error) {
        failed(error)
      }
    })
  })
}
