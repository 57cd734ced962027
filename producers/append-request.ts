/** The way in for every request: stamps its header, encodes it, and appends it together with all others that wait. */
import { batcher } from '../platform/batcher.ts'
import type { Clock, Random } from '../platform/clock.ts'
import { PlatformError } from '../platform/errors.ts'
import type { IntakeRecord, Log, Position } from '../platform/log/log.ts'
import type { Codec } from '../schemas/codec.ts'
import type { Request, RequestBody } from '../schemas/events.generated.ts'
import { idFrom } from '../schemas/ids.ts'
import { microsFromMs } from '../schemas/units.ts'

/** On whose behalf a request is made, and what follows it through every fact it leads to. */
export type Caller = {
  /** 'token:<id>'. */
  actor: string
  correlationId: string
  /** W3C trace context; null when the caller sent none. */
  traceparent: string | null
  /** From `RequestAppender.directoryEnd`, asked since the caller's request came in; without it, the appender asks. */
  directoryEnd?: Promise<bigint>
}

/** What a caller can ask for: transfers are handed over by the owner of their sender, and by nobody else. */
export type AskedBody = Exclude<RequestBody, { type: 'TransferArrived' }>
/** A request before its header; `requestId` is given where a repeated request must have the same one. */
export type AskedRequest = { tenantId: string; requestId?: string } & AskedBody

export type Appended = { requestId: string; position: Position }

export type RequestAppender = {
  /**
   * Resolves when the log has the request; what it leads to is the owner's answer, found by `requestId`. Asked again
   * under the same request id, the owner drops the second. Throws LOG_RECORD_TOO_LARGE and LOG_BUSY (nothing was
   * written), LOG_UNAVAILABLE (perhaps it was).
   */
  append(caller: Caller, asked: AskedRequest): Promise<Appended>
  /** Where the directory ends, so that what has to be looked up before a request can be written is looked up at the same time. */
  directoryEnd(): Promise<bigint>
  /** Header and bytes of a request, for a caller that must keep them before it appends them. */
  encode(caller: Caller, asked: AskedRequest): Promise<{ requestId: string; value: Uint8Array }>
  /** As `append`, for a request that is already encoded. */
  appendEncoded(record: IntakeRecord): Promise<Position>
}

export type AppenderParts = { log: Log; codec: Codec; clock: Clock; random: Random }

/** Records in one append. */
const recordsMax = 1_000
/** Records waiting for an append; one more is refused with LOG_BUSY. */
const waitingMax = 20_000

export function requestAppender({ log, codec, clock, random }: AppenderParts): RequestAppender {
  const appendTogether = batcher<IntakeRecord, Position>((records) => log.append(records), {
    itemsMax: recordsMax,
    waitingMax,
  })

  // Asked after the request came in and before it is written: what its caller has seen of the directory is below this.
  const directoryEnd = batcher<null, bigint>(
    async (askers) => {
      const end = await log.directoryEnd()
      return askers.map(() => end)
    },
    { itemsMax: recordsMax, waitingMax },
  )

  async function encode(caller: Caller, asked: AskedRequest): Promise<{ requestId: string; value: Uint8Array }> {
    const requestId = asked.requestId ?? idFrom('req', randomText(random))
    const { actor, correlationId, traceparent } = caller
    const header = {
      requestId,
      requestedAt: microsFromMs(clock.nowMs()),
      actor,
      correlationId,
      traceparent,
      directoryVersion: await (caller.directoryEnd ?? directoryEnd(null)),
    }
    const request: Request = { ...asked, ...header }
    return { requestId, value: codec.encode(request) }
  }

  function appendEncoded(record: IntakeRecord): Promise<Position> {
    const bytes = record.value.byteLength
    // One record that is too large would fail the whole batch it is in.
    if (bytes > log.recordBytesMax) {
      return Promise.reject(new PlatformError('LOG_RECORD_TOO_LARGE', { bytes, bytesMax: log.recordBytesMax }))
    }
    return appendTogether(record)
  }

  return {
    encode,
    appendEncoded,
    directoryEnd: () => directoryEnd(null),
    async append(caller, asked) {
      const { requestId, value } = await encode(caller, asked)
      return { requestId, position: await appendEncoded({ key: asked.tenantId, value }) }
    },
  }
}

/** 128 random bits in hex: what ids that nothing else determines are made from. */
export const randomText = (random: Random): string => Buffer.from(random.bytes(16)).toString('hex')
