/** Records of an event at the edges of what its schema allows, the same ones at every run. */
import type { AvroEnum, AvroField, AvroRecord, AvroSchema } from '../avro-schema.ts'

export type SampleRecord = { what: string; value: Record<string, unknown> }

type Edge = {
  what: string
  long: bigint
  int: number
  boolean: boolean
  decimal: (precision: number) => bigint
  text: (name: string) => string
  isNull: boolean
  items: number
}

const longMax = 2n ** 63n - 1n
const longMin = -(2n ** 63n)
const longText = 'Ẽr sägt: “Δ 漢字 🧾” \\ " \n\u0000 '.repeat(4) // More than 127 bytes, so that its length takes two.

const edges: readonly Edge[] = [
  {
    what: 'ordinary values',
    long: 1_700_000_000_000_000n,
    int: 3,
    boolean: true,
    decimal: () => 1_500_000_000_000n,
    text: (name) => `${name}-1`,
    isNull: false,
    items: 1,
  },
  {
    what: 'nothing in it',
    long: 0n,
    int: 0,
    boolean: false,
    decimal: () => 0n,
    text: () => '',
    isNull: true,
    items: 0,
  },
  {
    what: 'the largest',
    long: longMax,
    int: 2 ** 31 - 1,
    boolean: true,
    decimal: (precision) => 10n ** BigInt(precision) - 1n,
    text: () => longText,
    isNull: false,
    items: 3,
  },
  {
    what: 'the smallest',
    long: longMin,
    int: -(2 ** 31),
    boolean: false,
    decimal: (precision) => 1n - 10n ** BigInt(precision),
    text: () => longText,
    isNull: false,
    items: 2,
  },
  {
    what: 'where one byte more is needed',
    long: -(2n ** 31n) - 1n,
    int: -65,
    boolean: true,
    decimal: () => -129n,
    text: () => 'é'.repeat(64),
    isNull: false,
    items: 1,
  },
]

/** One record per edge, and as many more as the longest enum has symbols, so that each of them occurs. */
export function sampleRecords(schema: AvroRecord): SampleRecord[] {
  const symbolsMost = Math.max(1, ...enumsIn(schema).map(({ symbols }) => symbols.length))
  const ordinary = edges[0]
  if (!ordinary) return []
  return Array.from({ length: edges.length + symbolsMost }, (_, turn) => {
    const edge = edges[turn] ?? { ...ordinary, what: `ordinary values, symbols at ${turn}` }
    return { what: edge.what, value: recordAt(schema, edge, turn, new Map()) }
  })
}

type Named = Map<string, AvroRecord | AvroEnum>

function recordAt(schema: AvroRecord, edge: Edge, turn: number, named: Named): Record<string, unknown> {
  return Object.fromEntries(schema.fields.map((field) => [field.name, valueAt(field.type, field, edge, turn, named)]))
}

function valueAt(type: AvroSchema, field: AvroField, edge: Edge, turn: number, named: Named): unknown {
  if (Array.isArray(type)) {
    const other = type.find((branch) => branch !== 'null') ?? 'null'
    const value = valueAt(other, field, edge, turn, named) // Also when null is taken: it may define a name.
    return edge.isNull && type.includes('null') && !hasEnum(other) ? null : value
  }
  if (typeof type === 'string') {
    const known = named.get(type)
    if (known) return valueAt(known, field, edge, turn, named)
    return primitiveAt(type, field.name, edge)
  }
  if ('logicalType' in type) return type.logicalType === 'decimal' ? edge.decimal(type.precision ?? 38) : edge.long
  if (type.type === 'array') {
    const items = Array.from({ length: Math.max(1, edge.items) }, (_, index) =>
      valueAt(type.items, field, edge, turn + index, named),
    )
    return items.slice(0, edge.items)
  }
  named.set(type.name, type)
  return type.type === 'enum' ? type.symbols[turn % type.symbols.length] : recordAt(type, edge, turn, named)
}

function primitiveAt(type: string, name: string, edge: Edge): unknown {
  const values: Record<string, unknown> = {
    null: null,
    string: edge.text(name),
    long: edge.long,
    int: edge.int,
    boolean: edge.boolean,
  }
  if (!(type in values)) throw new Error(`${name}: no sample of type ${type}`)
  return values[type]
}

const hasEnum = (type: AvroSchema): boolean => enumsIn(type).length > 0

/** Every enum of a schema, wherever it stands. */
export function enumsIn(type: AvroSchema): AvroEnum[] {
  if (typeof type === 'string' || (!Array.isArray(type) && 'logicalType' in type)) return []
  if (Array.isArray(type)) return type.flatMap(enumsIn)
  if (type.type === 'array') return enumsIn(type.items)
  return type.type === 'enum' ? [type] : type.fields.flatMap((field) => enumsIn(field.type))
}
