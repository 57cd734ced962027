import { expect, test } from 'vitest'
import { type AvroEnum, type AvroRecord, type AvroSchema, parseEventSchema } from './avro-schema.ts'
import { avroType, type EventName } from './codec.ts'
import { reasonsAgainst } from './compatibility.ts'
import { readOwnSchemas } from './own-schemas.ts'

const own = readOwnSchemas()
const textOf = (name: EventName): string => own.get(name) ?? ''

type Edit = (schema: AvroRecord) => void
const edited = (name: EventName, edit: Edit): string => {
  const schema = parseEventSchema(textOf(name))
  edit(schema)
  return JSON.stringify(schema)
}

const field = (record: AvroRecord, name: string) => {
  const found = record.fields.find((candidate) => candidate.name === name)
  if (!found) throw new Error(`no field ${name} in ${record.name}`)
  return found
}
const set =
  (name: string, type: AvroSchema): Edit =>
  (schema) => {
    field(schema, name).type = type
  }
const drop =
  (name: string): Edit =>
  (schema) => {
    schema.fields = schema.fields.filter((candidate) => candidate !== field(schema, name))
  }
const enumOf = (type: AvroSchema): AvroEnum => {
  if (typeof type === 'object' && 'symbols' in type) return type
  throw new Error('not an enum')
}
const itemOf = (type: AvroSchema): AvroRecord => {
  if (typeof type === 'object' && 'items' in type && typeof type.items === 'object' && 'fields' in type.items)
    return type.items
  throw new Error('not an array of records')
}
const decimal = (precision: number, scale: number): AvroSchema => ({
  type: 'bytes',
  logicalType: 'decimal',
  precision,
  scale,
})

const forbidden: readonly [what: string, name: EventName, edit: Edit, reason: RegExp][] = [
  ['a required field removed', 'JobSucceeded', drop('resultRef'), /cannot read new records/],
  [
    'a required field added',
    'JobSucceeded',
    (s) => s.fields.push({ name: 'region', type: 'string', doc: 'Where.' }),
    /cannot read its records/,
  ],
  [
    'an optional field added without a default',
    'JobSucceeded',
    (s) => s.fields.push({ name: 'region', type: ['null', 'string'] }),
    /cannot read its records/,
  ],
  ['string made long', 'JobSucceeded', set('attemptId', 'long'), /cannot read its records/],
  ['long narrowed to int', 'JobSucceeded', set('resultBytes', 'int'), /cannot read its records/],
  ['int widened to long', 'JobSucceeded', set('attemptNo', 'long'), /cannot read new records/],
  ['string made bytes, which Avro lets pass', 'JobSucceeded', set('resultMac', 'bytes'), /was string and is bytes/],
  [
    'a required field renamed',
    'JobSucceeded',
    (s) => {
      field(s, 'resultRef').name = 'resultAt'
    },
    /cannot read its records/,
  ],
  [
    'an optional field renamed with an alias',
    'TokenIssued',
    (s) => {
      Object.assign(field(s, 'memberId'), { name: 'member', aliases: ['memberId'] })
    },
    /has aliases/,
  ],
  [
    'the event renamed',
    'JobSucceeded',
    (s) => {
      s.name = 'JobDone'
    },
    /is now called/,
  ],
  [
    'the event renamed with an alias',
    'JobSucceeded',
    (s) => {
      Object.assign(s, { name: 'JobDone', aliases: ['JobSucceeded'] })
    },
    /is now called/,
  ],
  [
    'a record inside renamed with an alias',
    'JobRated',
    (s) => {
      Object.assign(itemOf(field(s, 'lines').type), { name: 'ChargeLine', aliases: ['RatedLine'] })
    },
    /ChargeLine has aliases/,
  ],
  [
    'another namespace',
    'JobSucceeded',
    (s) => {
      s.namespace = 'webwaka.pf3.work'
    },
    /is now called/,
  ],
  [
    'a symbol removed',
    'CapSet',
    (s) => {
      enumOf(field(s, 'period').type).symbols = ['day', 'month', 'total', 'unknown']
    },
    /lost week/,
  ],
  [
    'a symbol renamed',
    'CapSet',
    (s) => {
      enumOf(field(s, 'period').type).symbols = ['day', 'week', 'month', 'ever', 'unknown']
    },
    /lost total/,
  ],
  [
    'an enum without its default',
    'CapSet',
    (s) => {
      delete enumOf(field(s, 'period').type).default
    },
    /has no default/,
  ],
  [
    'an enum with another default',
    'CapSet',
    (s) => {
      enumOf(field(s, 'period').type).default = 'total'
    },
    /another default for symbols/,
  ],
  [
    'a symbol added where there is no default',
    'CapSet',
    (s) => {
      const e = enumOf(field(s, 'metric').type)
      e.symbols = ['requests', 'tokens', 'money', 'unknown', 'bytes']
      delete e.default
    },
    /has no default/,
  ],
  [
    'an enum renamed',
    'CapSet',
    (s) => {
      enumOf(field(s, 'metric').type).name = 'Kind'
    },
    /cannot read its records/,
  ],
  ['a required field made optional', 'JobSucceeded', set('resultRef', ['null', 'string']), /cannot read new records/],
  [
    'an optional field made required',
    'TokenIssued',
    (s) => {
      const f = field(s, 'memberId')
      f.type = 'string'
      delete f.default
    },
    /cannot read its records/,
  ],
  ['another branch in a union', 'TokenIssued', set('memberId', ['null', 'string', 'long']), /can now be long/],
  ['a branch taken out of a union', 'TokenIssued', set('memberId', ['null']), /can no longer be string/],
  [
    'a union turned round, so that its default no longer fits',
    'TokenIssued',
    set('memberId', ['string', 'null']),
    /not a valid Avro schema/,
  ],
  [
    'a union turned round with a default that fits',
    'TokenIssued',
    (s) => {
      Object.assign(field(s, 'memberId'), { type: ['string', 'null'], default: '' })
    },
    /another default/,
  ],
  [
    'another default',
    'JobRated',
    (s) => {
      Object.assign(field(s, 'provider'), { type: ['string', 'null'], default: 'local' })
    },
    /another default/,
  ],
  ['less precision', 'JobRated', set('chargedPico', decimal(20, 0)), /decimal\(38,0\) and is bytes as decimal\(20,0\)/],
  [
    'another scale',
    'JobRated',
    set('chargedPico', decimal(38, 12)),
    /decimal\(38,0\) and is bytes as decimal\(38,12\)/,
  ],
  ['money without its meaning', 'JobRated', set('chargedPico', 'bytes'), /was bytes as decimal/],
  [
    'microseconds made milliseconds',
    'JobRated',
    set('admittedAt', { type: 'long', logicalType: 'timestamp-millis' }),
    /timestamp-micros and is long as timestamp-millis/,
  ],
  ['microseconds made a bare long', 'JobRated', set('admittedAt', 'long'), /was long as timestamp-micros/],
  [
    'a required field added deep inside',
    'JobRated',
    (s) => itemOf(field(s, 'lines').type).fields.push({ name: 'tax', type: 'long' }),
    /cannot read its records/,
  ],
  [
    'a unit changed deep inside',
    'JobRated',
    (s) => {
      field(itemOf(field(s, 'lines').type), 'pricePico').type = decimal(38, 6)
    },
    /decimal\(38,0\) and is/,
  ],
  ['a list of something else', 'JobRated', set('lines', { type: 'array', items: 'string' }), /cannot read its records/],
]

test.for(forbidden)('refused: %s (%s)', ([, name, edit, reason]) => {
  const reasons = reasonsAgainst(edited(name, edit), [textOf(name)])
  expect(reasons.join('\n')).toMatch(reason)
  expect(reasons.every((each) => each.startsWith('version 1: ') || each.startsWith('it is not'))).toBe(true)
})

const allowed: readonly [what: string, name: EventName, edit: Edit][] = [
  ['nothing', 'JobRated', () => undefined],
  [
    'an optional field added with default null',
    'JobRated',
    (s) => s.fields.push({ name: 'planState', type: ['null', 'string'], default: null }),
  ],
  [
    'a list added with an empty default',
    'JobAdmitted',
    (s) => s.fields.push({ name: 'leases', type: { type: 'array', items: 'string' }, default: [] }),
  ],
  [
    'an optional record added',
    'JobRated',
    (s) =>
      s.fields.push({
        name: 'plan',
        type: ['null', { type: 'record', name: 'Plan', fields: [{ name: 'id', type: 'string' }] }],
        default: null,
      }),
  ],
  ['a number added with a default', 'JobAdmitted', (s) => s.fields.push({ name: 'stepsMax', type: 'int', default: 1 })],
  [
    'a symbol added where there is a default',
    'CapSet',
    (s) => {
      enumOf(field(s, 'period').type).symbols = ['day', 'week', 'month', 'year', 'total', 'unknown']
    },
  ],
  ['an optional field removed', 'TokenIssued', drop('memberId')],
  [
    'an optional field added deep inside',
    'JobRated',
    (s) => itemOf(field(s, 'lines').type).fields.push({ name: 'note', type: ['null', 'string'], default: null }),
  ],
  [
    'better words',
    'JobRated',
    (s) => {
      s.doc = 'What a job costs.'
      for (const f of s.fields) f.doc = 'Better.'
    },
  ],
  ['fields in another order', 'JobSucceeded', (s) => s.fields.reverse()],
]

test.for(allowed)('accepted: %s (%s)', ([, name, edit]) => {
  expect(reasonsAgainst(edited(name, edit), [textOf(name)])).toEqual([])
})

test('every earlier version counts, not only the last', () => {
  const first = textOf('TokenIssued')
  const second = edited('TokenIssued', drop('memberId'))
  const third = edited('TokenIssued', (s) => {
    drop('memberId')(s)
    s.fields.push({ name: 'memberId', type: ['null', 'long'], default: null })
  })
  expect(reasonsAgainst(third, [second])).toEqual([])
  expect(reasonsAgainst(third, [first, second]).join()).toMatch(/^version 1: .*memberId/)
})

test('an older reader meets a symbol added later and reads the default, wherever the enum stands', () => {
  const place = (type: AvroSchema, more: string): AvroSchema => {
    if (typeof type === 'object' && 'symbols' in type)
      return { ...type, symbols: ['yearly', ...type.symbols.filter((s) => s !== more)] }
    if (Array.isArray(type)) return type.map((branch) => place(branch, more))
    if (typeof type === 'object' && 'items' in type) return { ...type, items: place(type.items, more) }
    if (typeof type === 'object' && 'fields' in type)
      return { ...type, fields: type.fields.map((f) => ({ ...f, type: place(f.type, more) })) }
    return type
  }
  const kind: AvroEnum = { type: 'enum', name: 'Kind', symbols: ['day', 'unknown'], default: 'unknown' }
  const older: AvroRecord = {
    type: 'record',
    name: 'Older',
    fields: [
      { name: 'plain', type: kind },
      { name: 'optional', type: ['null', 'Kind'] },
      { name: 'listed', type: { type: 'array', items: 'Kind' } },
    ],
  }
  const [reader, writer] = [avroType(JSON.stringify(older)), avroType(JSON.stringify(place(older, '')))]
  const bytes = writer.toBuffer({ plain: 'yearly', optional: 'yearly', listed: ['day', 'yearly'] })
  expect({ ...(reader.fromBuffer(bytes, reader.createResolver(writer)) as object) }).toEqual({
    plain: 'unknown',
    optional: 'unknown',
    listed: ['day', 'unknown'],
  })
})
