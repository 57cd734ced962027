/**
 * One process per data directory. The lock is the highest-numbered file `lock.<n>`; its text names the process.
 *
 * Taking over is creating the next number, which the file system lets exactly one process do; numbers only grow, so
 * a process that looked long ago cannot mistake a new lock for the dead one it saw. A lock is given back by marking
 * it free, never by deleting the highest file, for the same reason.
 */
import { link, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { PlatformError } from '../errors.ts'
import { makeDir } from '../make-dir.ts'
import { identityOf, isAlive, type ProcessIdentity } from './process-identity.ts'

type Holder = ProcessIdentity | 'free'
type Standing = { number: number; holder: Holder }

/** Each attempt is lost only to a process that took the lock meanwhile, so that the next look finds it held. */
const attemptsMax = 20

/**
 * Takes the lock of `dataDir`, which is created when missing (readable by its owner only); the returned function
 * gives it back. A lock whose process is dead is taken over at once. Throws DATA_DIR_LOCKED, naming the process.
 */
export async function lockDataDir(dataDir: string): Promise<() => Promise<void>> {
  await makeDir(dataDir)
  for (let attempt = 0; attempt < attemptsMax; attempt++) {
    const seen = await highestLock(dataDir)
    if (seen && seen.holder !== 'free' && (await isAlive(seen.holder))) {
      throw new PlatformError('DATA_DIR_LOCKED', { dataDir, pid: seen.holder.pid })
    }
    const number = (seen?.number ?? 0) + 1
    if (!(await create(dataDir, number, await identityOf(process.pid)))) continue
    const after = await lockNumbers(dataDir)
    if (after.some((other) => other > number)) {
      // Somebody passed by while we looked at an old number whose file had been removed already.
      await rm(lockPath(dataDir, number), { force: true })
      continue
    }
    await Promise.all(
      after.filter((other) => other < number).map((other) => rm(lockPath(dataDir, other), { force: true })),
    )
    return () => replace(dataDir, number, 'free')
  }
  throw new PlatformError('DATA_DIR_LOCKED', { dataDir, problem: 'other processes keep taking the lock' })
}

/** The process that holds the lock now, if any. */
export async function lockHolder(dataDir: string): Promise<ProcessIdentity | undefined> {
  const seen = await highestLock(dataDir)
  return seen && seen.holder !== 'free' && (await isAlive(seen.holder)) ? seen.holder : undefined
}

const lockPath = (dataDir: string, number: number): string => join(dataDir, `lock.${number}`)

async function lockNumbers(dataDir: string): Promise<number[]> {
  const names = await readdir(dataDir).catch(() => [])
  return names.flatMap((name) => (/^lock\.\d+$/.test(name) ? [Number(name.slice('lock.'.length))] : []))
}

async function highestLock(dataDir: string): Promise<Standing | undefined> {
  const numbers = await lockNumbers(dataDir)
  if (numbers.length === 0) return undefined
  const number = Math.max(...numbers)
  // Gone between the two calls: its number is taken all the same, and creating the next one settles who is first.
  const text = await readFile(lockPath(dataDir, number), 'utf8').catch(() => 'free')
  if (text === 'free') return { number, holder: 'free' }
  const [pid, startedAt] = text.split(' ')
  return { number, holder: { pid: Number(pid), startedAt: startedAt ?? '' } }
}

/** False when the number is taken. The link makes the file appear with its text in one step. */
async function create(dataDir: string, number: number, holder: Holder): Promise<boolean> {
  const draft = await writeDraft(dataDir, number, holder)
  try {
    await link(draft, lockPath(dataDir, number))
    return true
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false
    throw error
  } finally {
    await rm(draft, { force: true })
  }
}

async function replace(dataDir: string, number: number, holder: Holder): Promise<void> {
  await rename(await writeDraft(dataDir, number, holder), lockPath(dataDir, number))
}

let drafts = 0
async function writeDraft(dataDir: string, number: number, holder: Holder): Promise<string> {
  const path = join(dataDir, `.lock.${number}.${process.pid}.${drafts++}`)
  await writeFile(path, holder === 'free' ? 'free' : `${holder.pid} ${holder.startedAt}`, { mode: 0o600 })
  return path
}
