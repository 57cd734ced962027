/** The pure parts, a piece at a time: where the time of a job goes when nothing is waited for. */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import avro from 'avsc'
import { Bench as Tiny } from 'tinybench'
import { systemRandom } from '../platform/clock.ts'
import { keyFrom, open, seal } from '../platform/vault/sealing.ts'
import { parsePriceBook, type RatedWork, rate, starterBookJson } from '../pricing/index.ts'
import { parseEventSchema, schemaIdOf } from '../schemas/avro-schema.ts'
import { codecFor } from '../schemas/codec.ts'
import { jobIdFrom, lineIdFrom } from '../schemas/ids.ts'
import { readOwnSchemas } from '../schemas/own-schemas.ts'
import { goldenVersions } from '../schemas/tools/golden.ts'
import type { Bench, Row } from './report.ts'

const msEach = 400
const text = Buffer.from('A good day, all in all. '.repeat(20))

/** A name and what is done once, on our side and beside it. */
type Pair = { what: string; beside: string; ours: () => unknown; other: () => unknown }

const besides = (about: string, pairs: () => readonly Pair[]): Bench => ({
  about,
  limits: 'Averages of tight loops with warm caches: in the service each costs more.',
  async run({ rounds }) {
    const rows: Row[] = []
    for (const { what, beside, ours, other } of pairs()) {
      const found: Row = { what, unit: 'µs', ours: [], beside: { name: beside, rounds: [] } }
      for (let round = 0; round < rounds; round++) {
        const tiny = new Tiny({ time: msEach, warmupTime: 100 }).add('ours', ours).add('other', other)
        await tiny.run()
        const [own = Number.NaN, peer = Number.NaN] = tiny.tasks.map(({ result }) =>
          'latency' in result ? result.latency.mean * 1_000 : Number.NaN,
        )
        found.ours.push(own)
        found.beside?.rounds.push(peer)
      }
      rows.push(found)
    }
    return { rows, setting: 'one thread' }
  },
})

export const codec = besides(
  'A fact encoded and decoded, beside JSON and beside avsc itself, without wire format and longs.',
  () => {
    const own = readOwnSchemas()
    const byId = new Map([...own].map(([name, schema]) => [schemaIdOf(schema), { name, schema }]))
    const ours = codecFor({ idOf: (name) => schemaIdOf(own.get(name) ?? ''), schemaOf: (id) => byId.get(id) }, own)
    const wire = Buffer.from(goldenVersions('JobRated').at(-1)?.records[0]?.wire ?? '', 'base64')
    const fact = ours.decode(wire)
    const json = JSON.stringify(fact, inWords)
    const plain = avro.Type.forSchema(parseEventSchema(own.get('JobRated') ?? '') as avro.Schema)
    const plainFact: unknown = plain.fromBuffer(wire.subarray(5))
    const encode = { what: 'encode JobRated', ours: () => ours.encode(fact) }
    const decode = { what: 'decode JobRated', ours: () => ours.decode(wire) }
    return [
      { ...encode, beside: 'JSON.stringify', other: () => JSON.stringify(fact, inWords) },
      { ...decode, beside: 'JSON.parse', other: () => JSON.parse(json) },
      { ...encode, beside: 'avsc, longs as numbers', other: () => plain.toBuffer(plainFact) },
      { ...decode, beside: 'avsc, longs as numbers', other: () => plain.fromBuffer(wire.subarray(5)) },
    ]
  },
)

export const crypto = besides(
  'A content sealed and opened, bound to whose and what it is, beside the cipher alone.',
  () => {
    const key = keyFrom(randomBytes(32))
    const context = ['acme', 'job_1', 'input']
    const sealed = seal(key, text, context, systemRandom)
    const encrypt = (nonce: Buffer) => {
      const cipher = createCipheriv('aes-256-gcm', key, nonce)
      return { bytes: Buffer.concat([cipher.update(text), cipher.final()]), tag: cipher.getAuthTag() }
    }
    const nonce = randomBytes(12)
    const { bytes, tag } = encrypt(nonce)
    const beside = 'node:crypto, AES-256-GCM'
    return [
      {
        what: `seal ${text.byteLength} bytes`,
        beside,
        ours: () => seal(key, text, context, systemRandom),
        other: () => encrypt(randomBytes(12)),
      },
      {
        what: `open ${text.byteLength} bytes`,
        beside,
        ours: () => open(key, sealed, context),
        other: () => {
          const decipher = createDecipheriv('aes-256-gcm', key, nonce).setAuthTag(tag)
          return Buffer.concat([decipher.update(bytes), decipher.final()])
        },
      },
    ]
  },
)

export const rating = besides('A job rated by its price book.', () => {
  const parsed = parsePriceBook(starterBookJson())
  if (!parsed.ok) throw new Error(parsed.problems.join('; '))
  const { book } = parsed
  const jobId = jobIdFrom('acme', 'key', 0)
  const work: RatedWork = {
    tenantId: 'acme',
    jobId,
    capability: 'generate.text',
    outcome: 'succeeded',
    attempt: { provider: 'scripted', model: 'scripted-1', keyOwner: 'platform' },
    usage: {
      inputUncachedTokens: 812n,
      inputCacheReadTokens: 128n,
      inputCacheWriteTokens: 0n,
      outputTokens: 233n,
      reasoningTokens: 40n,
    },
    maxCharge: null,
  }
  return [
    {
      what: 'rate a job of five buckets',
      beside: 'its line ids alone (SHA-256)',
      ours: () => rate(book, work),
      other: () => [0, 1, 2, 3].map((n) => lineIdFrom('acme', jobId, String(n), 0)),
    },
  ]
})

const inWords = (_: string, value: unknown): unknown => (typeof value === 'bigint' ? String(value) : value)
