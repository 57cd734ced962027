/**
 * FULL_TRANSITIVE, and a little stricter: whether records of every earlier version can be read by the next one and the
 * other way round, without losing what they say. The Avro library judges what can be resolved; what it lets pass but
 * would change the meaning of a recorded fact is refused here as well.
 *
 * Not to be seen from schemas: a field that keeps its name and type but comes to mean something else, and a rename
 * done as one optional field removed and another one added. Reviewers look for those.
 */
import { type AvroField, type AvroRecord, type AvroSchema, parseEventSchema } from './avro-schema.ts'
import { avroType } from './codec.ts'

/** Why `next` may not follow these versions, oldest first; empty when it may. Each reason names the version. */
export function reasonsAgainst(next: string, earlier: readonly string[]): string[] {
  const type = attempt(() => avroType(next))
  if (typeof type === 'string') return [`it is not a valid Avro schema: ${type}`]
  return earlier.flatMap((text, index) =>
    reasonsAgainstOne(next, text).map((reason) => `version ${index + 1}: ${reason}`),
  )
}

function reasonsAgainstOne(next: string, earlier: string): string[] {
  const reasons: string[] = []
  const forward = attempt(() => avroType(next).createResolver(avroType(earlier)))
  if (typeof forward === 'string') reasons.push(`the new schema cannot read its records: ${forward}`)
  const backward = attempt(() => avroType(earlier).createResolver(avroType(next)))
  if (typeof backward === 'string') reasons.push(`it cannot read new records: ${backward}`)
  compareRecords(parseEventSchema(earlier), parseEventSchema(next), reasons)
  return reasons
}

function attempt<T extends object>(work: () => T): T | string {
  try {
    return work()
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

function compareRecords(earlier: AvroRecord, next: AvroRecord, reasons: string[]): void {
  // The library would match a bare name, or an alias, where other readers do not.
  if (fullName(earlier) !== fullName(next)) reasons.push(`${fullName(earlier)} is now called ${fullName(next)}`)
  if (next.aliases) reasons.push(`${next.name} has aliases: an older reader would miss what was renamed`)
  for (const field of next.fields) {
    if (field.aliases) reasons.push(`${next.name}.${field.name} has aliases: an older reader would see its default`)
    const before = earlier.fields.find(({ name }) => name === field.name)
    if (before) compareFields(`${next.name}.${field.name}`, before, field, reasons)
  }
}

const fullName = ({ namespace, name }: AvroRecord): string => (namespace ? `${namespace}.${name}` : name)

function compareFields(at: string, earlier: AvroField, next: AvroField, reasons: string[]): void {
  if (JSON.stringify(earlier.default) !== JSON.stringify(next.default)) {
    reasons.push(`${at} has another default: records without the field would change`)
  }
  compareTypes(at, earlier.type, next.type, reasons)
}

/** What can be resolved and still means something else. */
function compareTypes(at: string, earlier: AvroSchema, next: AvroSchema, reasons: string[]): void {
  if (Array.isArray(earlier) || Array.isArray(next)) {
    const [before, after] = [branches(earlier), branches(next)]
    for (const branch of after) {
      const same = before.find((candidate) => branchName(candidate) === branchName(branch))
      if (same === undefined) reasons.push(`${at} can now be ${branchName(branch)}`)
      else compareTypes(at, same, branch, reasons)
    }
    for (const branch of before) {
      if (!after.some((candidate) => branchName(candidate) === branchName(branch))) {
        reasons.push(`${at} can no longer be ${branchName(branch)}`)
      }
    }
    return
  }
  if (meaning(earlier) !== meaning(next)) reasons.push(`${at} was ${meaning(earlier)} and is ${meaning(next)}`)
  if (typeof earlier === 'string' || typeof next === 'string') return
  if (earlier.type === 'array' && next.type === 'array') compareTypes(`${at}[]`, earlier.items, next.items, reasons)
  if (earlier.type === 'record' && next.type === 'record') compareRecords(earlier, next, reasons)
  if (earlier.type === 'enum' && next.type === 'enum') {
    const gone = earlier.symbols.filter((symbol) => !next.symbols.includes(symbol))
    if (gone.length > 0)
      reasons.push(`${at} lost ${gone.join(', ')}: records that say so would read as ${next.default}`)
    if (next.default === undefined)
      reasons.push(`${at} has no default: an older reader cannot read a symbol added later`)
    else if (earlier.default !== next.default) reasons.push(`${at} has another default for symbols it does not know`)
  }
}

const branches = (type: AvroSchema): AvroSchema[] => (Array.isArray(type) ? type : [type])

/** Branches of a union are told apart by this, as Avro does. */
function branchName(type: AvroSchema): string {
  if (typeof type === 'string') return type
  if (Array.isArray(type)) return 'union'
  return 'name' in type ? type.name : type.type
}

/** Type with everything that changes how a value is understood but that the resolver ignores. */
function meaning(type: AvroSchema): string {
  if (typeof type === 'string') return type
  if (Array.isArray(type)) return 'union'
  if ('name' in type) return `${type.type} ${type.name}`
  if ('logicalType' in type) {
    const size = type.logicalType === 'decimal' ? `(${type.precision},${type.scale ?? 0})` : ''
    return `${type.type} as ${type.logicalType}${size}`
  }
  return type.type
}
