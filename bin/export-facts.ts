/**
 * Writes the log as ordinary Avro: one object container file per partition, stream and event, with the event's own
 * schema inside, and a manifest. Anybody with an Avro library can read it.
 */
import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import type { Log } from '../platform/log/log.ts'
import { avroFileEncoder } from '../schemas/avro-file.ts'
import type { Codec, EventName } from '../schemas/codec.ts'
import { type Fact, streamOf } from '../schemas/events.generated.ts'
import { readOwnSchemas } from '../schemas/own-schemas.ts'
import { ConfigError } from './config.ts'
import { readAllFacts } from './read-facts.ts'

export type ExportedFile = { path: string; stream: string; event: string; partition: number; records: number }
export type Manifest = { partitions: number; files: ExportedFile[] }

export type ExportOptions = {
  /** A directory that does not exist yet. */
  dir: string
  onProgress?: (done: number, total: number) => void
  /** Sees every fact before it is written, and may change or withhold it: how the demo plants faults for its verifier. */
  pass?: (fact: Fact) => Fact | undefined
}

const progressEvery = 1_000

/** Price books stand in their facts, and once more as `price-books/<hash>.json`. Memory holds a block per file, not the log. Throws ConfigError where the directory is there or cannot be made, and what a write throws: no file is open then, and there is no manifest. */
export async function exportFacts(
  parts: { log: Log; codec: Codec },
  { dir, onProgress, pass = (fact) => fact }: ExportOptions,
): Promise<Manifest> {
  await makeExportDir(dir)
  await mkdir(join(dir, 'price-books'))
  const ownSchemas = readOwnSchemas()
  const files: ExportedFile[] = []
  const ends = await Promise.all(
    Array.from({ length: parts.log.partitionCount }, (_, partition) => parts.log.committed(partition)),
  )
  const total = Number(ends.reduce((sum, { seq }) => sum + seq, 0n))
  let done = 0
  for (let partition = 0; partition < parts.log.partitionCount; partition++) {
    const writers = new Map<EventName, Writer>()
    try {
      for await (const read of readAllFacts(parts, partition)) {
        done += 1
        if (done % progressEvery === 0) onProgress?.(done, total)
        const fact = pass(read)
        if (!fact) continue
        if (fact.type === 'PriceBookPublished')
          await writeFile(join(dir, 'price-books', `${fact.hash}.json`), fact.book)
        const known = writers.get(fact.type)
        const writer = known ?? (await openWriter(dir, partition, fact.type, ownSchemas.get(fact.type) ?? ''))
        if (!known) writers.set(fact.type, writer)
        await writer.write(fact)
      }
      for (const writer of writers.values()) files.push(await writer.close())
    } finally {
      await Promise.all([...writers.values()].map((writer) => writer.giveUp()))
    }
  }
  onProgress?.(total, total)
  const manifest = { partitions: parts.log.partitionCount, files }
  await writeFile(join(dir, 'manifest.json'), `${JSON.stringify(manifest, null, 2)}\n`)
  return manifest
}

async function makeExportDir(dir: string): Promise<void> {
  try {
    await mkdir(dir)
  } catch (error) {
    if (!(error instanceof Error && 'code' in error)) throw error
    throw new ConfigError([
      error.code === 'EEXIST'
        ? `--to: ${dir} is there already, and an export does not mix with another: name a directory that does not exist yet`
        : `--to: ${dir} cannot be made: ${error.message}`,
    ])
  }
}

type Writer = {
  /** Throws what writing the file has met until then. */
  write(fact: Fact): Promise<void>
  close(): Promise<ExportedFile>
  /** Closes the file as it is; does nothing once it is closed. */
  giveUp(): Promise<void>
}

async function openWriter(dir: string, partition: number, event: EventName, schema: string): Promise<Writer> {
  const stream = streamOf[event]
  const path = join(`${stream}-${partition}`, `${event}.avro`)
  const file: ExportedFile = { path, stream, event, partition, records: 0 }
  await mkdir(join(dir, `${stream}-${partition}`), { recursive: true })
  const encoder = avroFileEncoder(schema)
  const written = pipeline(encoder, createWriteStream(join(dir, path)))
  written.catch(() => undefined) // Told to whoever writes next, or closes.
  return {
    async write(fact) {
      file.records += 1
      // What has failed drains no more, and answers otherwise than with true.
      if (encoder.write(fact) !== true) await Promise.race([written, once(encoder, 'drain')])
    },
    async close() {
      encoder.end()
      await written
      return file
    },
    async giveUp() {
      encoder.destroy()
      await written.catch(() => undefined)
    },
  }
}
