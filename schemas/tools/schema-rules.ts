/** What every event's schema owes its readers, beyond being valid Avro. Checked by schema-rules.test.ts. */
import type { AvroRecord, AvroSchema } from '../avro-schema.ts'

type Header = { name: string; type: string; doc: string }

/** First fields of every fact and of every request, in this order, with these types and words. */
export type Headers = { fact: readonly Header[]; request: readonly Header[] }

const primitives = new Set(['null', 'boolean', 'int', 'long', 'string'])

/** Everything wrong with one event's schema; empty when nothing is. */
export function ruleBreaches(stream: string, schema: AvroRecord & { namespace: string }, headers: Headers): string[] {
  const found: string[] = []
  if (schema.namespace !== `webwaka.pf3.${stream}`) found.push(`namespace is ${schema.namespace}`)
  if (!/^[A-Z][A-Za-z]+$/.test(schema.name)) found.push('name is not in PascalCase')
  for (const [index, header] of headers[stream === 'intake' ? 'request' : 'fact'].entries()) {
    const field = schema.fields[index]
    const said: Header | undefined = field && {
      name: field.name,
      type: JSON.stringify(field.type),
      doc: field.doc ?? '',
    }
    if (JSON.stringify(said) !== JSON.stringify(header))
      found.push(`header field ${index + 1} is not ${header.name} as everywhere else`)
  }
  checkType(schema, schema.name, found, new Set())
  return found
}

function checkType(type: AvroSchema, at: string, found: string[], named: Set<string>): void {
  if (typeof type === 'string') {
    // Floating point never says exactly what was meant; bytes and maps have no words.
    if (!primitives.has(type) && !named.has(type)) found.push(`${at}: ${type} is not a type events are made of`)
    return
  }
  if (Array.isArray(type)) {
    if (type.length !== 2 || type[0] !== 'null') found.push(`${at}: a union is null or one other type, null first`)
    for (const branch of type) checkType(branch, at, found, named)
    return
  }
  if ('logicalType' in type) {
    if (type.logicalType === 'decimal' && (type.precision !== 38 || (type.scale ?? 0) !== 0))
      found.push(`${at}: a decimal is (38,0)`)
    if (!['decimal', 'timestamp-micros'].includes(type.logicalType))
      found.push(`${at}: ${type.logicalType} is not a unit here`)
    return
  }
  if (type.type === 'array') return checkType(type.items, at, found, named)
  if (named.has(type.name)) found.push(`${at}: ${type.name} is defined twice`)
  named.add(type.name)
  checkDoc(type.doc, at, found)
  if (type.type === 'enum') {
    if (type.default !== 'unknown' || !type.symbols.includes('unknown'))
      found.push(`${at}: an enum has the default unknown`)
    for (const symbol of type.symbols)
      if (!/^[a-z][a-z_]*$/.test(symbol)) found.push(`${at}: ${symbol} is not in snake_case`)
    return
  }
  checkFields(type, at, found, named)
}

function checkFields(type: AvroRecord, at: string, found: string[], named: Set<string>): void {
  const seen = new Set<string>()
  for (const field of type.fields) {
    const here = `${at}.${field.name}`
    if (seen.has(field.name)) found.push(`${here}: there are two of it`)
    seen.add(field.name)
    if (!/^[a-z][A-Za-z0-9]*$/.test(field.name)) found.push(`${here}: not in camelCase`)
    checkDoc(field.doc, here, found)
    const isOptional = Array.isArray(field.type)
    if (isOptional !== 'default' in field || (isOptional && field.default !== null)) {
      found.push(`${here}: what may be null has the default null, and in version 1 nothing else has a default`)
    }
    checkType(field.type, here, found, named)
  }
}

function checkDoc(doc: string | undefined, at: string, found: string[]): void {
  if (doc === undefined || doc.length < 4 || !doc.endsWith('.'))
    found.push(`${at}: the doc does not end in a full stop`)
}
