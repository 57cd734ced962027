/** This build's Avro schemas, read from the files beside this one. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
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

/** Every version of every event that any build has written, oldest first: the schemas of the golden corpus. */
export function readEveryVersion(): { name: EventName; schema: string }[] {
  return eventNames.flatMap((name) => {
    const directory = join(import.meta.dirname, 'golden', name)
    if (!existsSync(directory)) return []
    const count = readdirSync(directory).filter((file) => file.endsWith('.avsc')).length
    return Array.from({ length: count }, (_, index) => ({
      name,
      schema: readFileSync(join(directory, `v${index + 1}.avsc`), 'utf8'),
    }))
  })
}
