import avro from 'avsc'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { avroFileDecoder, avroFileEncoder } from './avro-file.ts'
import { eventNames, readOwnSchemas } from './own-schemas.ts'
import { arbitraryEvent } from './testing/arbitrary-event.ts'

const own = readOwnSchemas()

async function fileOf(schema: string, events: readonly object[]): Promise<Buffer> {
  const encoder = avroFileEncoder(schema)
  const chunks: Buffer[] = []
  const ended = new Promise((resolve) => encoder.on('data', (chunk: Buffer) => chunks.push(chunk)).on('end', resolve))
  for (const event of events) encoder.write(event)
  encoder.end()
  await ended
  return Buffer.concat(chunks)
}

async function read(decoder: avro.streams.BlockDecoder, file: Buffer): Promise<object[]> {
  const events: object[] = []
  const ended = new Promise((resolve, reject) =>
    decoder
      .on('data', (event: object) => events.push(event))
      .on('end', resolve)
      .on('error', reject),
  )
  decoder.end(file)
  await ended
  return events
}

test.each(eventNames)('%s: a file says the whole schema, and gives back what was written', async (name) => {
  const schema = own.get(name) ?? ''
  const [event] = fc.sample(arbitraryEvent(name, schema), 1)
  if (!event) throw new Error('no event')
  const file = await fileOf(schema, [event])
  let said: unknown
  // What another library is told: no hook of ours.
  const other = new avro.streams.BlockDecoder({
    parseHook: (header: unknown) => {
      said = header
      return avro.Type.forSchema(JSON.parse(schema) as avro.Schema)
    },
    noDecode: true,
  })
  await read(other, file)
  expect(said).toEqual(JSON.parse(schema))
  expect(await read(avroFileDecoder(schema), file)).toEqual(
    [{ ...event, type: undefined }].map(({ type: _, ...fields }) => fields),
  )
})
