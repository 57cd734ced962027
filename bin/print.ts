/** What commands print: JSON with bigint as text, and how far long work has come. */
import { Presets, SingleBar } from 'cli-progress'
import { type Clock, systemClock } from '../platform/clock.ts'

export const toJson = (value: unknown, indent?: number): string =>
  JSON.stringify(value, (_, one: unknown) => (typeof one === 'bigint' ? one.toString() : one), indent)

export const printLine = (text: string): void => void process.stdout.write(`${text}\n`)

export type Progress = { to(done: number, total: number): void; end(): void }

/** A bar on a terminal; elsewhere, where it may be kept, a line now and then. Both on standard error. */
export function progress(label: string): Progress {
  if (!process.stderr.isTTY) return plainProgress(label, systemClock, (line) => void process.stderr.write(line))
  const bar = new SingleBar(
    { format: `${label} {bar} {value}/{total}`, stream: process.stderr, clearOnComplete: true },
    Presets.shades_classic,
  )
  bar.start(1, 0)
  return {
    to(done, total) {
      bar.setTotal(total)
      bar.update(done)
    },
    end: () => bar.stop(),
  }
}

const lineEveryMs = 5_000

/** Nothing for what is over soon; then a line whenever something has changed, at most one in five seconds. */
export function plainProgress(label: string, clock: Pick<Clock, 'nowMs'>, write: (line: string) => void): Progress {
  let toldMs = clock.nowMs()
  let told = ''
  return {
    to(done, total) {
      const line = `${label} ${done}/${total}\n`
      if (line === told || clock.nowMs() - toldMs < lineEveryMs) return
      toldMs = clock.nowMs()
      told = line
      write(line)
    },
    end: () => undefined,
  }
}
