/** Requests made from the description: mostly as it says, often a little wrong, now and then hostile. */
import fc from 'fast-check'

export type Schema = {
  type?: string
  enum?: unknown[]
  const?: unknown
  anyOf?: Schema[]
  oneOf?: Schema[]
  pattern?: string
  format?: string
  minLength?: number
  maxLength?: number
  minimum?: number
  maximum?: number
  items?: Schema
  minItems?: number
  maxItems?: number
  properties?: Record<string, Schema>
  required?: string[]
  additionalProperties?: boolean | Schema
}

const manyMax = 3

/** Values as the schema says, small ones. */
export function asSaid(schema: Schema): fc.Arbitrary<unknown> {
  if ('const' in schema) return fc.constant(schema.const)
  if (schema.enum) return fc.constantFrom(...schema.enum)
  const choices = schema.anyOf ?? schema.oneOf
  if (choices) return fc.oneof(...choices.map(asSaid))
  switch (schema.type) {
    case 'string':
      return textOf(schema)
    case 'integer':
    case 'number':
      return fc.integer({ min: bounded(schema.minimum, 0), max: bounded(schema.maximum, 100_000) })
    case 'boolean':
      return fc.boolean()
    case 'null':
      return fc.constant(null)
    case 'array':
      return fc.array(asSaid(schema.items ?? {}), {
        minLength: Math.min(schema.minItems ?? 0, manyMax),
        maxLength: Math.max(Math.min(schema.minItems ?? 0, manyMax), manyMax),
      })
    case 'object':
      return objectOf(schema)
    default:
      return anything
  }
}

const bounded = (value: number | undefined, otherwise: number): number =>
  value === undefined || Math.abs(value) > 1_000_000 ? otherwise : value

/** Later years are written with a sign and six digits, which the formats of the description do not know. */
const moment = fc.date({ min: new Date(0), max: new Date('9999-12-31T23:59:59.999Z'), noInvalidDate: true })

function textOf({ pattern, format, minLength = 0, maxLength = 40 }: Schema): fc.Arbitrary<string> {
  if (format === 'date') return moment.map((of) => of.toISOString().slice(0, 10))
  if (format === 'date-time') return moment.map((of) => of.toISOString())
  if (pattern !== undefined && !pattern.includes('\\p{'))
    return fc.stringMatching(new RegExp(pattern), { size: 'small' })
  return fc.string({ minLength: Math.max(minLength, pattern ? 1 : 0), maxLength: Math.min(maxLength, 40) })
}

function objectOf({ properties = {}, required = [], additionalProperties }: Schema): fc.Arbitrary<unknown> {
  const fields = fc.record(
    Object.fromEntries(Object.entries(properties).map(([name, schema]) => [name, asSaid(schema)])),
    { requiredKeys: required.filter((name) => name in properties) },
  )
  if (typeof additionalProperties !== 'object') return fields
  return fc
    .tuple(
      fields,
      fc.dictionary(fc.string({ minLength: 1, maxLength: 10 }), asSaid(additionalProperties), { maxKeys: 2 }),
    )
    .map(([known, more]) => ({ ...more, ...known }))
}

/** What nobody should send. */
export const hostileText: fc.Arbitrary<string> = fc.oneof(
  fc.constantFrom(
    '',
    ' ',
    '\0',
    "' OR 1=1 --",
    '"; DROP TABLE job_list; --',
    '../../etc/passwd',
    '__proto__',
    'constructor',
    '\ud800',
    '\u202e',
    '9'.repeat(40),
    '-1',
    '1e308',
    'NaN',
    'null',
    'true',
    '%',
    '%00',
    '{{7*7}}',
    '<script>',
    'a'.repeat(300),
    '0001-01-01',
    '9999-12-31',
    '2026-02-30',
  ),
  fc.string({ unit: 'binary', maxLength: 20 }),
)
const anything: fc.Arbitrary<unknown> = fc.oneof(
  hostileText,
  fc.constantFrom<unknown>(null, true, -1, 0, 0.5, 1e300, -1e300, 2 ** 53, [], {}, [[]], [null]),
  fc.jsonValue({ maxDepth: 2 }),
)

/** The value with something of it left out, added, or put in another's place. */
export const spoilt = (value: fc.Arbitrary<unknown>): fc.Arbitrary<unknown> =>
  fc
    .tuple(value, fc.nat(), fc.constantFrom('replace', 'drop', 'add'), anything, hostileText)
    .map(([whole, at, how, by, name]) => {
      const copy = structuredClone(whole)
      const places = placesIn(copy)
      const place = places[at % Math.max(1, places.length)]
      if (!place) return by
      if (how === 'drop' && !Array.isArray(place.holder)) delete place.holder[place.key]
      else if (how === 'add' && !Array.isArray(place.holder)) define(place.holder, name, by)
      else place.holder[place.key] = by
      return copy
    })

/** The one with a field of the other: so what only the owner can refuse is reached, which comes after every check of form. */
export const mixed = (value: fc.Arbitrary<unknown>, other: fc.Arbitrary<unknown>): fc.Arbitrary<unknown> =>
  fc.tuple(value, other, fc.nat()).map(([whole, from, at]) => {
    const fields = typeof from === 'object' && from !== null ? Object.entries(from) : []
    const field = fields[at % Math.max(1, fields.length)]
    return field ? { ...(whole as Holder), [field[0]]: field[1] } : whole
  })

type Holder = Record<string, unknown>
const define = (holder: Holder, name: string, value: unknown): void =>
  void Object.defineProperty(holder, name, { value, enumerable: true, configurable: true, writable: true })

function placesIn(value: unknown): { holder: Holder; key: string }[] {
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([key, inner]) => [{ holder: value as Holder, key }, ...placesIn(inner)])
}

/** Bodies that are no JSON, or no JSON that should be read. */
export const rawBody: fc.Arbitrary<string> = fc.constantFrom(
  '',
  '{',
  '[1,]',
  '{"a":1,"a":2}',
  'null',
  '"x"',
  `${'['.repeat(200)}${']'.repeat(200)}`,
  '{"__proto__":{"isAdmin":true}}',
  '\ufeff{}',
  '{"a":NaN}',
  '{} {}',
)
