/** This build's Avro schemas, read from the files beside this one. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { EventName } from './codec.ts'
import { streamOf } from './events.generated.ts'

export const eventNames = Object.keys(streamOf) as EventName[]

/** Schema text of every event, by name. Reads 29 small files; call once at start. */
export function readOwnSchemas(): ReadonlyMap<EventName, string> {
  return new Map(
    eventNames.map((name) => [name, readFileSync(join(import.meta.dirname, streamOf[name], `${name}.avsc`), 'utf8')]),
  )
}
