/** Which process is meant by a process id, also after the id has been given to another process. */
import { readFile } from 'node:fs/promises'

export type ProcessIdentity = {
  pid: number
  /** Boot and tick at which the process started, where the system tells; otherwise ''. */
  startedAt: string
}

export async function identityOf(pid: number): Promise<ProcessIdentity> {
  return { pid, startedAt: await startOf(pid) }
}

/** False only when the process is known to be gone: when in doubt a lock stands. */
export async function isAlive(identity: ProcessIdentity): Promise<boolean> {
  try {
    process.kill(identity.pid, 0)
  } catch (error) {
    // EPERM: it lives, under another user.
    if (!(error instanceof Error && 'code' in error && error.code === 'EPERM')) return false
  }
  const startedAt = await startOf(identity.pid)
  return identity.startedAt === '' || startedAt === '' || startedAt === identity.startedAt
}

/** A restarted container often gives the same id again, so on Linux the start time decides. */
async function startOf(pid: number): Promise<string> {
  try {
    const [stat, boot] = await Promise.all([
      readFile(`/proc/${pid}/stat`, 'utf8'),
      readFile('/proc/sys/kernel/random/boot_id', 'utf8'),
    ])
    // The second field is the name in parentheses and may hold anything; state follows it, and 19 fields on the start tick.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return fields[0] === 'Z' ? 'ended' : `${boot.trim()}:${fields[19] ?? ''}`
  } catch {
    return ''
  }
}
