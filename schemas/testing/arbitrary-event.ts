/** Any event its Avro schema allows, for property tests. */
import fc from 'fast-check'
import { type AvroEnum, type AvroRecord, type AvroSchema, parseEventSchema } from '../avro-schema.ts'
import type { EncodedEvent, EventName } from '../codec.ts'

type Named = Map<string, fc.Arbitrary<unknown>>

/** Events of this name; shrinks towards empty texts, zeros and nulls. */
export function arbitraryEvent(name: EventName, schema: string): fc.Arbitrary<EncodedEvent> {
  return arbitraryRecord(parseEventSchema(schema), new Map()).map((value) => ({ type: name, ...value }) as EncodedEvent)
}

function arbitraryRecord(schema: AvroRecord, named: Named): fc.Arbitrary<Record<string, unknown>> {
  return fc.record(Object.fromEntries(schema.fields.map((field) => [field.name, arbitrary(field.type, named)])))
}

function arbitrary(type: AvroSchema, named: Named): fc.Arbitrary<unknown> {
  if (Array.isArray(type)) return fc.oneof(...type.map((branch) => arbitrary(branch, named)))
  if (typeof type === 'string') return named.get(type) ?? primitive(type)
  if ('logicalType' in type) {
    if (type.logicalType !== 'decimal') return fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n)
    const most = 10n ** BigInt(type.precision ?? 38) - 1n
    return fc.oneof(fc.bigInt(-most, most), fc.bigInt(-300n, 300n))
  }
  if (type.type === 'array') return fc.array(arbitrary(type.items, named), { maxLength: 4 })
  const made = 'symbols' in type ? arbitrarySymbol(type) : arbitraryRecord(type, named)
  named.set(type.name, made)
  return made
}

const arbitrarySymbol = ({ symbols }: AvroEnum) => fc.constantFrom(...symbols)

function primitive(type: string): fc.Arbitrary<unknown> {
  switch (type) {
    case 'null':
      return fc.constant(null)
    case 'string':
      return fc.string({ unit: 'grapheme', maxLength: 40 })
    case 'long':
      return fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n)
    case 'int':
      return fc.integer()
    case 'boolean':
      return fc.boolean()
    default:
      throw new Error(`no arbitrary for ${type}`)
  }
}
