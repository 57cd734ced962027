/** docs/reference/events.md says what the schemas say: every stream, event and field, in their own words. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { EventName } from './codec.ts'
import { streamOf } from './events.generated.ts'
import { eventNames, readOwnSchemas } from './own-schemas.ts'
import { streams } from './streams.ts'

type Field = { name: string; doc: string; type: unknown }
type Schema = { doc: string; fields: Field[] }

const page = join(import.meta.dirname, '../docs/reference/events.md')
const own = readOwnSchemas()
const schemaOf = (name: EventName): Schema => JSON.parse(own.get(name) ?? '{}') as Schema
const headerNames = (name: EventName): string[] => {
  const other: EventName = streamOf[name] === 'intake' ? 'RevokeToken' : 'TokenRevoked'
  return schemaOf(other)
    .fields.map((field) => field.name)
    .filter((field) => field !== 'tokenId')
}

function typeText(type: unknown): string {
  if (typeof type === 'string') return type
  if (Array.isArray(type)) return type.map(typeText).join(' or ')
  const { logicalType, type: base, name, symbols, items } = type as Record<string, unknown>
  if (logicalType === 'decimal') return 'decimal'
  if (logicalType === 'timestamp-micros') return 'timestamp-micros'
  if (base === 'enum') return (symbols as string[]).join(', ')
  return base === 'array' ? `list of ${typeText(items)}` : String(name ?? base)
}

/** Fields of records that stand inside an event, as `caps.limit`. */
function rows({ name, doc, type }: Field, before = ''): string[] {
  const inner = [type, ...(Array.isArray(type) ? type : [])].map((one) =>
    typeof one === 'object' && one !== null && 'items' in one ? one.items : one,
  )
  const record = inner.find((one) => typeof one === 'object' && one !== null && 'fields' in one) as Schema | undefined
  return [
    `| \`${before}${name}\` | ${typeText(type)} | ${doc} |`,
    ...(record?.fields ?? []).flatMap((field) => rows(field, `${before}${name}.`)),
  ]
}

const table = (fields: readonly Field[]): string =>
  `| field | type | meaning |\n| --- | --- | --- |\n${fields.flatMap((field) => rows(field)).join('\n')}\n`

function reference(): string {
  const header = (sample: EventName, title: string) =>
    `## ${title}\n\n${table(schemaOf(sample).fields.filter((field) => headerNames(sample).includes(field.name)))}`
  const parts = [header('TokenRevoked', 'Every fact'), header('RevokeToken', 'Every request')]
  for (const { name: stream, holds, writtenBy, keptDays } of streams) {
    parts.push(
      `## ${stream}\n\n${holds}; written by the ${writtenBy}; kept ${keptDays === null ? 'always' : `${keptDays} days`}.\n`,
    )
    for (const name of eventNames.filter((one) => streamOf[one] === stream)) {
      const { doc, fields } = schemaOf(name)
      parts.push(`### ${name}\n\n${doc}\n\n${table(fields.filter((field) => !headerNames(name).includes(field.name)))}`)
    }
  }
  return parts.join('\n')
}

test('the documented events are the ones in the schemas (UPDATE_DOCS=1 writes them)', () => {
  const start = '<!-- events -->\n'
  const text = readFileSync(page, 'utf8')
  const wanted = `${text.slice(0, text.indexOf(start) + start.length)}\n${reference()}`
  if (process.env.UPDATE_DOCS === '1') writeFileSync(page, wanted)
  else expect(text).toBe(wanted)
})
