/** Many calls to append become few writes, and each call gets back the positions of its own records. */
import type { IntakeRecord, Position } from './log.ts'

/** Of one write; a record that is larger by itself goes alone. */
export type AppendLimits = { recordsMax: number; bytesMax: number }

/** Writes the records of all calls in order, one write after the other, so that the records of a key keep theirs. */
export const appendCallsBy =
  (limits: AppendLimits, append: (records: readonly IntakeRecord[]) => Promise<Position[]>) =>
  async (calls: readonly (readonly IntakeRecord[])[]): Promise<Position[][]> => {
    const positions: Position[] = []
    for (const chunk of chunks(calls.flat(), limits)) positions.push(...(await append(chunk)))
    let at = 0
    return calls.map((call) => {
      const from = at
      at += call.length
      return positions.slice(from, at)
    })
  }

function* chunks(records: readonly IntakeRecord[], { recordsMax, bytesMax }: AppendLimits): Generator<IntakeRecord[]> {
  let chunk: IntakeRecord[] = []
  let bytes = 0
  for (const record of records) {
    if (chunk.length > 0 && (chunk.length >= recordsMax || bytes + record.value.byteLength > bytesMax)) {
      yield chunk
      chunk = []
      bytes = 0
    }
    chunk.push(record)
    bytes += record.value.byteLength
  }
  yield chunk
}
