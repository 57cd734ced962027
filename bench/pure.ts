/** The pure parts, a piece at a time: where the time of a job goes when nothing is waited for. */
import { createCipheriv, randomBytes } from 'node:crypto'
import avro from 'avsc'
import { Bench as Tiny } from 'tinybench'
import { systemRandom } from '../platform/clock.ts'
import { keyFrom, seal } from '../platform/vault/sealing.ts'
import { parsePriceBook, type RatedWork, rate, starterBookJson } from '../pricing/index.ts'
import { parseEventSchema, schemaIdOf } from '../schemas/avro-schema.ts'
import { codecFor } from '../schemas/codec.ts'
import { lineIdFrom } from '../schemas/ids.ts'
import { readOwnSchemas } from '../schemas/own-schemas.ts'
import { goldenVersions } from '../schemas/tools/golden.ts'
import type { Bench, Row } from './report.ts'

const msEach = 400
const text = Buffer.from('A good day, all in all. '.repeat(20))

/** A name and what is done once, on our side and beside it. */
type Pair = { what: string; beside: string; ours: () => unknown; other: () => unknown }

export const pure: Bench = {
  about: 'Single steps without waiting: encoding and decoding a fact, sealing a payload, rating a job.',
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
}

function pairs(): Pair[] {
  const own = readOwnSchemas()
  const byId = new Map([...own].map(([name, schema]) => [schemaIdOf(schema), { name, schema }]))
  const codec = codecFor({ idOf: (name) => schemaIdOf(own.get(name) ?? ''), schemaOf: (id) => byId.get(id) }, own)
  const wire = Buffer.from(goldenVersions('JobRated').at(-1)?.records[0]?.wire ?? '', 'base64')
  const fact = codec.decode(wire)
  const json = JSON.stringify(fact, (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value))
  const plain = avro.Type.forSchema(parseEventSchema(own.get('JobRated') ?? '') as avro.Schema)
  const plainFact: unknown = plain.fromBuffer(wire.subarray(5))

  const parsed = parsePriceBook(starterBookJson())
  if (!parsed.ok) throw new Error(parsed.problems.join('; '))
  const { book } = parsed
  const work: RatedWork = {
    tenantId: 'acme',
    jobId: 'job_1',
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
  const key = keyFrom(randomBytes(32))
  return [
    {
      what: 'encode JobRated',
      beside: 'JSON.stringify',
      ours: () => codec.encode(fact),
      other: () => JSON.stringify(fact, inWords),
    },
    { what: 'decode JobRated', beside: 'JSON.parse', ours: () => codec.decode(wire), other: () => JSON.parse(json) },
    {
      what: 'encode JobRated',
      beside: 'avsc, longs as numbers',
      ours: () => codec.encode(fact),
      other: () => plain.toBuffer(plainFact),
    },
    {
      what: 'decode JobRated',
      beside: 'avsc, longs as numbers',
      ours: () => codec.decode(wire),
      other: () => plain.fromBuffer(wire.subarray(5)),
    },
    {
      what: `seal ${text.byteLength} bytes`,
      beside: 'node:crypto, AES-256-GCM',
      ours: () => seal(key, text, ['acme', 'job_1', 'input'], systemRandom),
      other: () => {
        const cipher = createCipheriv('aes-256-gcm', key, randomBytes(12))
        return Buffer.concat([cipher.update(text), cipher.final(), cipher.getAuthTag()])
      },
    },
    {
      what: 'rate a job of five buckets',
      beside: 'its line ids alone (SHA-256)',
      ours: () => rate(book, work),
      other: () => [0, 1, 2, 3].map((n) => lineIdFrom('acme', 'job_1', String(n), 0)),
    },
  ]
}

const inWords = (_: string, value: unknown): unknown => (typeof value === 'bigint' ? String(value) : value)
