/** Reads the requests of one partition ahead of its owner: two batches at most, for what is not read yet waits in the log and not in memory. */
import { sleep } from '../platform/clock.ts'
import { isFailure, type PlatformError } from '../platform/errors.ts'
import type { Request } from '../schemas/events.generated.ts'
import type { OwnerParts } from './owner-parts.ts'

/** `request` is undefined for one that nobody can read: it was never promised to anybody. It is told, kept in the log, and left where it is. */
export type ReadRequest = { offset: bigint; request: Request | undefined }

export type IntakeReader = {
  /** Resolves when the tenure has ended or is stopping; never rejects. */
  read(): Promise<void>
  hasMore(): boolean
  /** The next batch. */
  take(): ReadRequest[]
  /** What was taken last and not decided; comes first again. */
  putBack(requests: readonly ReadRequest[]): void
  /** Set when requests that were accepted are gone, or can no longer be read: nothing that is decided from then on can be trusted. */
  gap(): PlatformError | undefined
}

const readWaitMs = 1_000
const aheadWaitMs = 5

/** `ended` ends a read under way; `onNews` is told of every batch that was read, and of a gap. */
export function intakeReader(
  { log, codec, clock, options, onFault }: Pick<OwnerParts, 'log' | 'codec' | 'clock' | 'options' | 'onFault'>,
  partition: number,
  from: bigint,
  ended: AbortSignal,
  onNews: () => void,
): IntakeReader {
  const { requestsPerBatchMax } = options
  const waiting: ReadRequest[] = []
  let gap: PlatformError | undefined

  function decode({ offset, value }: { offset: bigint; value: Uint8Array }): ReadRequest {
    try {
      return { offset, request: codec.decode(value) as Request }
    } catch (error) {
      onFault({ partition, error, isStopped: false, doing: `reading the request at intake offset ${offset}` })
      return { offset, request: undefined }
    }
  }

  return {
    async read() {
      let offset = from
      while (!ended.aborted) {
        try {
          if (waiting.length >= requestsPerBatchMax * 2) {
            await sleep(clock, aheadWaitMs, ended)
            continue
          }
          const read = await log.readIntake(partition, offset, {
            recordsMax: requestsPerBatchMax,
            waitMs: readWaitMs,
            signal: ended,
          })
          waiting.push(...read.map(decode))
          offset = (read.at(-1)?.offset ?? offset - 1n) + 1n
          if (read.length > 0) onNews()
        } catch (error) {
          if (isFailure(error, 'LOG_GAP', 'RECORD_DAMAGED')) {
            gap = error
            return onNews()
          }
          onFault({ partition, error, isStopped: false, doing: 'reading intake' })
          await sleep(clock, options.reacquireWaitMs, ended)
        }
      }
    },
    hasMore: () => waiting.length > 0,
    take: () => waiting.splice(0, requestsPerBatchMax),
    putBack: (requests) => void waiting.unshift(...requests),
    gap: () => gap,
  }
}
