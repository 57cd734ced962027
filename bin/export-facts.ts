/**
 * Writes the log as ordinary Avro: one object container file per partition, stream and event, with the event's own
 * schema inside, and a manifest. Anybody with an Avro library can read it.
 */
import { createWriteStream } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { finished } from 'node:stream/promises'
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

/** Price books stand in their facts, and once more as `price-books/<hash>.json`. Memory holds a block per file, not the log. Throws ConfigError where the directory is there or cannot be made. */
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
    const writers = new Map<EventName, ReturnType<typeof openWriter>>()
    for await (const read of readAllFacts(parts, partition)) {
      done += 1
      if (done % progressEvery === 0) onProgress?.(done, total)
      const fact = pass(read)
      if (!fact) continue
      if (fact.type === 'PriceBookPublished') await writeFile(join(dir, 'price-books', `${fact.hash}.json`), fact.book)
      const known = writers.get(fact.type)
      const writer = known ?? openWriter(dir, partition, fact.type, ownSchemas.get(fact.type) ?? '')
      if (!known) {
        await writer.ready
        writers.set(fact.type, writer)
      }
      await writer.write(fact)
    }
    for (const writer of writers.values()) files.push(await writer.close())
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

function openWriter(dir: string, partition: number, event: EventName, schema: string) {
  const stream = streamOf[event]
  const path = join(`${stream}-${partition}`, `${event}.avro`)
  const file: ExportedFile = { path, stream, event, partition, records: 0 }
  let encoder: ReturnType<typeof avroFileEncoder> | undefined
  let written: Promise<void> | undefined
  const ready = mkdir(join(dir, `${stream}-${partition}`), { recursive: true }).then(() => {
    encoder = avroFileEncoder(schema)
    const sink = createWriteStream(join(dir, path))
    written = finished(encoder.pipe(sink))
  })
  return {
    ready,
    async write(fact: Fact): Promise<void> {
      file.records += 1
      if (encoder && !encoder.write(fact)) await new Promise((resolve) => encoder?.once('drain', resolve))
    },
    async close(): Promise<ExportedFile> {
      encoder?.end()
      await written
      return file
    },
  }
}
