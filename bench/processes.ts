/** What the processes of a benchmark take of the machine, as the system counts it: Linux only. */
import { readdirSync, readFileSync } from 'node:fs'

const tickMs = 10

type Process = { pid: number; part: string; ms: number; residentPages: number }

/** Every process below this one, which started them all. */
function processes(): Process[] {
  const known = new Map<number, { parent: number; ms: number; residentPages: number }>()
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue
    const stat = textOf(`/proc/${name}/stat`)
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    const field = (n: number): number => Number(fields[n - 3]) // As proc(5) numbers them; the first two are cut off.
    if (stat !== '')
      known.set(Number(name), { parent: field(4), ms: (field(14) + field(15)) * tickMs, residentPages: field(24) })
  }
  const isBelow = (pid: number): boolean => {
    const parent = known.get(pid)?.parent ?? 0
    return parent === process.pid || (parent > 1 && isBelow(parent))
  }
  return [...known]
    .filter(([pid]) => isBelow(pid))
    .map(([pid, { ms, residentPages }]) => ({ pid, part: partOf(pid), ms, residentPages }))
}

function partOf(pid: number): string {
  const command = textOf(`/proc/${pid}/cmdline`)
  if (/kafka\.Kafka/.test(command)) return 'Kafka'
  if (/postgres/.test(command)) return 'PostgreSQL'
  if (/redis-server/.test(command)) return 'Redis'
  return /pf3\.ts/.test(command) ? 'PF-3' : 'the rest'
}

/** Milliseconds of processor time since the start of each part, all its processes together. */
export function processorMs(): Map<string, number> {
  const sums = new Map<string, number>()
  for (const { part, ms } of processes()) if (part !== 'the rest') sums.set(part, (sums.get(part) ?? 0) + ms)
  return sums
}

const pageBytes = 4_096

/** Memory of PF-3's processes that is not swapped out. */
export const residentMiB = (): number =>
  processes()
    .filter(({ part }) => part === 'PF-3')
    .reduce((sum, { residentPages }) => sum + (residentPages * pageBytes) / 2 ** 20, 0)

/** Empty when it has gone meanwhile. */
function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}
