import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { type AvroRecord, parseEventSchema } from './avro-schema.ts'
import { streamOf } from './events.generated.ts'
import { eventNames, readOwnSchemas } from './own-schemas.ts'
import { streams } from './streams.ts'
import { type Headers, ruleBreaches } from './tools/schema-rules.ts'

const own = readOwnSchemas()
type Event = AvroRecord & { namespace: string }
const schemaOf = (name: (typeof eventNames)[number]): Event => parseEventSchema(own.get(name) ?? '')

const headerOf = (name: (typeof eventNames)[number], length: number) =>
  schemaOf(name)
    .fields.slice(0, length)
    .map(({ name: field, type, doc }) => ({ name: field, type: JSON.stringify(type), doc: doc ?? '' }))
const headers: Headers = { fact: headerOf('JobAdmitted', 9), request: headerOf('SubmitJob', 7) }

test('the headers are what facts and requests share', () => {
  expect(headers.fact.map(({ name }) => name)).toEqual([
    'tenantId',
    'eventId',
    'seq',
    'occurredAt',
    'actor',
    'correlationId',
    'causedBy',
    'intakeOffset',
    'traceparent',
  ])
  expect(headers.request.map(({ name }) => name)).toEqual([
    'tenantId',
    'requestId',
    'requestedAt',
    'actor',
    'correlationId',
    'directoryVersion',
    'traceparent',
  ])
})

test.for(eventNames)('%s keeps the rules', (name) => {
  expect(ruleBreaches(streamOf[name], schemaOf(name), headers)).toEqual([])
  expect(schemaOf(name).name).toBe(name)
})

test('names are unique across streams, and every file is an event', () => {
  expect(new Set(eventNames).size).toBe(eventNames.length)
  const files = streams.flatMap(({ name }) => readdirSync(join(import.meta.dirname, name)))
  expect(files.sort()).toEqual(eventNames.map((name) => `${name}.avsc`).sort())
})

const broken: readonly [what: string, edit: (schema: Event) => void, breach: RegExp][] = [
  [
    'another namespace',
    (s) => {
      s.namespace = 'webwaka.jobs'
    },
    /namespace is/,
  ],
  [
    'no doc',
    (s) => {
      delete s.doc
    },
    /doc does not end/,
  ],
  [
    'a doc without its full stop',
    (s) => {
      Object.assign(s.fields[9] ?? {}, { doc: 'Job it is about' })
    },
    /\.jobId: the doc does not end/,
  ],
  [
    'a nested field without doc',
    (s) => {
      Object.assign(s.fields[15] ?? {}, {
        type: { type: 'record', name: 'N', doc: 'N it is.', fields: [{ name: 'a', type: 'long' }] },
      })
    },
    /\.a: the doc/,
  ],
  [
    'a header field missing',
    (s) => {
      s.fields.splice(2, 1)
    },
    /header field 3 is not seq/,
  ],
  [
    'a header in another order',
    (s) => {
      s.fields.unshift(...s.fields.splice(1, 1))
    },
    /header field 1 is not tenantId/,
  ],
  [
    'a header with other words',
    (s) => {
      Object.assign(s.fields[2] ?? {}, { doc: 'A number.' })
    },
    /header field 3 is not seq/,
  ],
  [
    'two fields of one name',
    (s) => {
      s.fields.push({ name: 'jobId', type: 'string', doc: 'Again.' })
    },
    /jobId: there are two/,
  ],
  [
    'an enum without unknown',
    (s) => {
      s.fields.push({ name: 'e', type: { type: 'enum', name: 'E', doc: 'Kind.', symbols: ['a'] }, doc: 'Kind.' })
    },
    /default unknown/,
  ],
  [
    'a double',
    (s) => {
      s.fields.push({ name: 'score', type: 'double', doc: 'Score.' })
    },
    /double is not a type/,
  ],
  [
    'money that cannot hold money',
    (s) => {
      s.fields.push({
        name: 'x',
        type: { type: 'bytes', logicalType: 'decimal', precision: 18, scale: 0 },
        doc: 'Money.',
      })
    },
    /a decimal is/,
  ],
  [
    'milliseconds',
    (s) => {
      s.fields.push({ name: 'at', type: { type: 'long', logicalType: 'timestamp-millis' }, doc: 'When.' })
    },
    /timestamp-millis is not/,
  ],
  [
    'null without its default',
    (s) => {
      s.fields.push({ name: 'x', type: ['null', 'string'], doc: 'Maybe.' })
    },
    /has the default null/,
  ],
  [
    'null last',
    (s) => {
      s.fields.push({ name: 'x', type: ['string', 'null'], default: null, doc: 'Maybe.' })
    },
    /null first/,
  ],
  [
    'a name in snake_case',
    (s) => {
      s.fields.push({ name: 'job_id', type: 'string', doc: 'Job.' })
    },
    /not in camelCase/,
  ],
  [
    'a record defined twice',
    (s) => {
      const r = { type: 'record' as const, name: 'R', doc: 'R it is.', fields: [] }
      s.fields.push({ name: 'a', type: r, doc: 'One.' }, { name: 'b', type: r, doc: 'Two.' })
    },
    /R is defined twice/,
  ],
]

test.for(broken)('%s is seen', ([, edit, breach]) => {
  const schema = schemaOf('JobSucceeded')
  edit(schema)
  expect(ruleBreaches('jobs', schema, headers).join('\n')).toMatch(breach)
})
