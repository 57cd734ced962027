/** What commands print: JSON with bigint as text, and progress that stays quiet where nobody watches. */
import { Presets, SingleBar } from 'cli-progress'

export const toJson = (value: unknown, indent?: number): string =>
  JSON.stringify(value, (_, one: unknown) => (typeof one === 'bigint' ? one.toString() : one), indent)

export const printLine = (text: string): void => void process.stdout.write(`${text}\n`)

export type Progress = { to(done: number, total: number): void; end(): void }

/** A bar on a terminal, nothing elsewhere: what is piped is read by programs. */
export function progress(label: string): Progress {
  if (!process.stderr.isTTY) return { to: () => {}, end: () => {} }
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
