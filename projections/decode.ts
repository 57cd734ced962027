/** From a stored record to the fact it holds. */
import { PlatformError } from '../platform/errors.ts'
import type { StoredFact } from '../platform/log/log.ts'
import type { Codec } from '../schemas/codec.ts'
import { type Fact, streamOf } from '../schemas/events.generated.ts'

type Decoded = ReturnType<Codec['decode']>

/** Decodes, and checks that the fact is the one its position promises. Throws RECORD_DAMAGED, or what the codec throws. */
export function factFrom(codec: Codec, record: StoredFact): Fact {
  const event = codec.decode(record.value)
  if (!isFact(event) || event.seq !== record.seq || streamOf[event.type] !== record.stream) {
    throw new PlatformError('RECORD_DAMAGED', {
      stream: record.stream,
      offset: record.offset,
      seq: record.seq,
      type: event.type,
    })
  }
  return event
}

const isFact = (event: Decoded): event is Fact => streamOf[event.type] !== 'intake'
