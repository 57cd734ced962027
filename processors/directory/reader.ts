/** Reads the directory stream whole, once per process, and keeps it current for every owner in it. */
import { type Clock, sleep } from '../../platform/clock.ts'
import { PlatformError } from '../../platform/errors.ts'
import type { Log } from '../../platform/log/log.ts'
import type { Codec } from '../../schemas/codec.ts'
import type { Fact } from '../../schemas/events.generated.ts'
import { type Directory, emptyDirectory, evolveDirectory } from './state.ts'

export type DirectoryReader = {
  directory(): Directory
  /** Offset after the last record taken in. */
  version(): bigint
  /** Resolves when at least everything below `version` has been taken in; throws LOG_UNAVAILABLE after `waitMsMax`. */
  catchUp(version: bigint): Promise<void>
  stop(): Promise<void>
}

const recordsMax = 1_000
const pollWaitMs = 1_000
const waitMsMax = 10_000
const retryWaitMs = 200

export function directoryReader(parts: {
  log: Log
  codec: Codec
  clock: Clock
  onFault: (error: unknown) => void
}): DirectoryReader {
  const { log, codec, clock, onFault } = parts
  const directory = emptyDirectory()
  const stopped = new AbortController()
  const waiting = new Set<() => void>()
  let version = 0n

  async function read(): Promise<void> {
    while (!stopped.signal.aborted) {
      try {
        const records = await log.readDirectory(version, { recordsMax, waitMs: pollWaitMs, signal: stopped.signal })
        for (const record of records) {
          evolveDirectory(directory, codec.decode(record.value) as Fact)
          version = record.offset + 1n
        }
        if (records.length > 0) for (const look of [...waiting]) look()
      } catch (error) {
        onFault(error)
        await sleep(clock, retryWaitMs, stopped.signal)
      }
    }
  }
  const reading = read()

  return {
    directory: () => directory,
    version: () => version,
    catchUp(wanted) {
      if (version >= wanted) return Promise.resolve()
      return new Promise((resolve, reject) => {
        const cancel = clock.after(waitMsMax, () => {
          waiting.delete(look)
          reject(new PlatformError('LOG_UNAVAILABLE', { stream: 'directory', wanted, reached: version }))
        })
        function look() {
          if (version < wanted) return
          cancel()
          waiting.delete(look)
          resolve()
        }
        waiting.add(look)
      })
    },
    async stop() {
      stopped.abort()
      await reading
    },
  }
}
