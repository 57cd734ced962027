/** Avro object container files whose header has the whole schema, so that any Avro library reads decimals and times as such. */
import avro from 'avsc'
import { avroType } from './codec.ts'

/** Takes events, gives the bytes of a file. */
export function avroFileEncoder(
  schema: string,
  options: ConstructorParameters<typeof avro.streams.BlockEncoder>[1] = {},
) {
  const encoder = new avro.streams.BlockEncoder(avroType(schema), options)
  // From a type alone the library writes a schema without precision, scale and logical types of its own.
  return Object.assign(encoder, { _schema: JSON.parse(schema) as unknown })
}

/** Takes the bytes of a file, gives events as `ownSchema` has them, whatever version they were written under. */
export const avroFileDecoder = (ownSchema: string, options: object = {}) =>
  new avro.streams.BlockDecoder({
    readerSchema: avroType(ownSchema),
    parseHook: (schema: avro.Schema) => avroType(JSON.stringify(schema)),
    ...options,
  })
