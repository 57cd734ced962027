/**
 * The archive: every fact of a partition in segments, each a set of Avro files with the schemas inside, and a signed
 * manifest that names their hashes and the manifest before. What was archived cannot be changed, left out or put in
 * another place without that showing; anybody with an Avro library and the public key can read and check it.
 */
import { createHash, createPrivateKey, createPublicKey, type KeyObject, sign, verify } from 'node:crypto'
import { PassThrough } from 'node:stream'
import { deflateRaw, inflateRaw } from 'node:zlib'
import { z } from 'zod'
import { avroFileDecoder, avroFileEncoder } from '../../schemas/avro-file.ts'
import type { EventName } from '../../schemas/codec.ts'
import { type Fact, streamOf } from '../../schemas/events.generated.ts'
import { PlatformError } from '../errors.ts'
import type { ArchiveStore } from './archive-store.ts'

/** Facts in one segment at most: it is held in memory while it is written or read. */
export const segmentFactsMax = 10_000
const manifestBytesMax = 4 * 1024 * 1024
const fileBytesMax = 256 * 1024 * 1024

const fileForm = z.strictObject({
  name: z.string(),
  stream: z.string(),
  event: z.string(),
  records: z.int().min(1),
  bytes: z.int().min(1),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
})
const manifestForm = z.strictObject({
  format: z.literal('pf3-archive-1'),
  partition: z.int().min(0),
  partitions: z.int().min(1),
  /** First and last fact; the next segment begins right after. */
  fromSeq: z.string().regex(/^\d{1,19}$/),
  toSeq: z.string().regex(/^\d{1,19}$/),
  /** Of the manifest before this one; null for the first. */
  previousSha256: z.string().nullable(),
  files: z.array(fileForm).min(1),
})
export type SegmentManifest = z.infer<typeof manifestForm>
/** The manifest as the very text that was signed. */
const signedForm = z.strictObject({ manifest: z.string(), signature: z.string() })

export type Signer = { privateKey: KeyObject }
/** An Ed25519 key from 32 secret bytes. */
export function signerFrom(seed: Uint8Array): Signer {
  // PKCS #8 of an Ed25519 private key (RFC 8410): a fixed head, then the seed.
  const der = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), seed])
  return { privateKey: createPrivateKey({ key: der, format: 'der', type: 'pkcs8' }) }
}
export const publicKeyOf = ({ privateKey }: Signer): KeyObject => createPublicKey(privateKey)

export type ArchiveReader = {
  /** Facts of a partition, in order, a segment at a time, checked as they are read. Throws ARCHIVE_DAMAGED and ARCHIVE_UNAVAILABLE. */
  facts(partition: number): AsyncGenerator<Fact[]>
  /** The last fact that is in the archive, 0 for none, and the hash of its manifest. */
  end(partition: number): Promise<{ seq: bigint; sha256: string | null }>
  /** Undefined for an archive with nothing in it. */
  partitions(): Promise<number | undefined>
}

/**
 * Archives what follows what is there, in segments of at most `segmentFactsMax` facts. Of several that do this at once
 * one wins each segment, and the others go on behind it. Stopped half-way, it leaves files that no manifest names, and
 * goes on the next time.
 */
export async function archivePartition(
  parts: { store: ArchiveStore; signer: Signer; ownSchemas: ReadonlyMap<EventName, string> },
  { partition, partitions }: { partition: number; partitions: number },
  factsAfter: (seq: bigint) => AsyncIterable<Fact>,
): Promise<{ segments: number; facts: number; seq: bigint }> {
  const reader = archiveReader({ ...parts, publicKey: publicKeyOf(parts.signer) })
  const done = { segments: 0, facts: 0 }
  let end = await reader.end(partition)
  let source = factsAfter(end.seq)[Symbol.asyncIterator]()
  for (;;) {
    const facts = await take(source, partition, end.seq)
    const [first] = facts
    if (!first) return { ...done, seq: end.seq }
    const manifest: SegmentManifest = {
      format: 'pf3-archive-1',
      partition,
      partitions,
      fromSeq: String(first.seq),
      toSeq: String(facts.at(-1)?.seq ?? first.seq),
      previousSha256: end.sha256,
      files: await putFiles(parts, partition, facts),
    }
    const { isFirst, sha256 } = await putManifest(parts, manifest)
    if (isFirst) {
      end = { seq: BigInt(manifest.toSeq), sha256 }
      done.segments += 1
      done.facts += facts.length
    } else {
      await source.return?.()
      end = await reader.end(partition) // Another archived from here meanwhile.
      source = factsAfter(end.seq)[Symbol.asyncIterator]()
    }
  }
}

/** The next facts, at most as many as a segment has. */
async function take(source: AsyncIterator<Fact>, partition: number, after: bigint): Promise<Fact[]> {
  const facts: Fact[] = []
  while (facts.length < segmentFactsMax) {
    const { value, done } = await source.next()
    if (done) break
    const expected = after + BigInt(facts.length) + 1n
    if (value.seq !== expected) throw new PlatformError('LOG_GAP', { partition, expected, found: value.seq })
    facts.push(value)
  }
  return facts
}

async function putFiles(
  { store, ownSchemas }: { store: ArchiveStore; ownSchemas: ReadonlyMap<EventName, string> },
  partition: number,
  facts: readonly Fact[],
): Promise<SegmentManifest['files']> {
  const byEvent = Map.groupBy(facts, ({ type }) => type)
  const files: SegmentManifest['files'] = []
  for (const [event, some] of [...byEvent].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const content = await encoded(ownSchemas.get(event) ?? '', some)
    const sha256 = hashOf(content)
    const name = `${folder(partition, facts[0]?.seq ?? 0n)}${event}-${sha256.slice(0, 16)}.avro`
    await store.putIfAbsent(name, content)
    files.push({ name, stream: streamOf[event], event, records: some.length, bytes: content.byteLength, sha256 })
  }
  return files
}

async function encoded(schema: string, facts: readonly Fact[]): Promise<Buffer> {
  const encoder = avroFileEncoder(schema, { codec: 'deflate', codecs: avroCodecs })
  const chunks: Buffer[] = []
  const sink = encoder.pipe(new PassThrough())
  const ended = new Promise<void>((resolve, reject) => {
    sink.on('data', (chunk: Buffer) => chunks.push(chunk)).on('end', resolve)
    encoder.on('error', reject)
  })
  for (const fact of facts) encoder.write(fact)
  encoder.end()
  await ended
  return Buffer.concat(chunks)
}

const avroCodecs = {
  deflate: deflateRaw,
  null: (data: Buffer, done: (error: null, data: Buffer) => void) => done(null, data),
}

async function putManifest({ store, signer }: { store: ArchiveStore; signer: Signer }, manifest: SegmentManifest) {
  const text = JSON.stringify(manifest)
  const signature = sign(null, Buffer.from(text), signer.privateKey).toString('base64')
  const name = manifestName(manifest.partition, BigInt(manifest.fromSeq))
  const isFirst = await store.putIfAbsent(name, Buffer.from(JSON.stringify({ manifest: text, signature })))
  return { isFirst, sha256: hashOf(Buffer.from(text)) }
}

export function archiveReader({
  store,
  publicKey,
  ownSchemas,
}: {
  store: ArchiveStore
  publicKey: KeyObject
  ownSchemas: ReadonlyMap<EventName, string>
}): ArchiveReader {
  async function manifestAt(partition: number, fromSeq: bigint, previousSha256: string | null) {
    const name = manifestName(partition, fromSeq)
    const content = await store.get(name, manifestBytesMax)
    if (!content) return undefined
    const damaged = (problem: string) =>
      new PlatformError('ARCHIVE_DAMAGED', { file: name, problem, place: store.place })
    const read = signedForm.safeParse(parsed(content))
    if (!read.success) throw damaged('is not a signed manifest')
    const { manifest: text, signature } = read.data
    if (!verify(null, Buffer.from(text), publicKey, Buffer.from(signature, 'base64')))
      throw damaged('was not signed with this key, or was changed')
    const manifest = manifestForm.safeParse(parsed(Buffer.from(text)))
    if (!manifest.success) throw damaged('is not a manifest this build knows')
    const { data } = manifest
    if (data.partition !== partition || BigInt(data.fromSeq) !== fromSeq) throw damaged('belongs to another place')
    if (data.previousSha256 !== previousSha256) throw damaged('does not follow the manifest before it')
    return { manifest: data, sha256: hashOf(Buffer.from(text)) }
  }

  async function* manifests(partition: number) {
    let previous: string | null = null
    for (let from = 1n; ; ) {
      const found: Awaited<ReturnType<typeof manifestAt>> = await manifestAt(partition, from, previous)
      if (!found) return
      yield found
      previous = found.sha256
      from = BigInt(found.manifest.toSeq) + 1n
    }
  }

  async function factsOf({ files, fromSeq, toSeq }: SegmentManifest): Promise<Fact[]> {
    const facts: Fact[] = []
    for (const file of files) {
      const damaged = (problem: string) =>
        new PlatformError('ARCHIVE_DAMAGED', { file: file.name, problem, place: store.place })
      const content = await store.get(file.name, fileBytesMax)
      if (!content) throw damaged('is missing')
      if (hashOf(content) !== file.sha256) throw damaged('is not what was signed')
      const own = ownSchemas.get(file.event as EventName)
      if (own === undefined) throw damaged(`holds ${file.event}, which this build does not know`)
      const some = await decoded(own, file.event, content)
      if (some.length !== file.records) throw damaged(`has ${some.length} records, not ${file.records}`)
      facts.push(...some)
    }
    facts.sort((a, b) => Number(a.seq - b.seq))
    const isGapless = facts.every((fact, index) => fact.seq === BigInt(fromSeq) + BigInt(index))
    if (!isGapless || facts.at(-1)?.seq !== BigInt(toSeq))
      throw new PlatformError('ARCHIVE_DAMAGED', {
        problem: `the facts ${fromSeq} to ${toSeq} are not all there`,
        place: store.place,
      })
    return facts
  }

  return {
    async *facts(partition) {
      for await (const { manifest } of manifests(partition)) yield factsOf(manifest)
    },
    async end(partition) {
      let end: { seq: bigint; sha256: string | null } = { seq: 0n, sha256: null }
      for await (const { manifest, sha256 } of manifests(partition)) end = { seq: BigInt(manifest.toSeq), sha256 }
      return end
    },
    async partitions() {
      // The platform's own facts begin every installation, but its partition may be any.
      for await (const { name } of store.list('p')) {
        const [partition] = /^p(\d+)\//.exec(name)?.slice(1).map(Number) ?? []
        const found = partition === undefined ? undefined : await manifestAt(partition, 1n, null)
        if (found) return found.manifest.partitions
      }
      return undefined
    },
  }
}

function decoded(ownSchema: string, event: string, content: Uint8Array): Promise<Fact[]> {
  return new Promise((resolve, reject) => {
    const facts: Fact[] = []
    const decoder = avroFileDecoder(ownSchema, { codecs: { deflate: inflateRaw } })
    decoder.on('data', (fact: object) => facts.push({ ...fact, type: event } as Fact))
    decoder.on('end', () => resolve(facts))
    decoder.on('error', reject)
    decoder.end(content)
  })
}

const folder = (partition: number, seq: bigint): string => `p${partition}/${String(seq).padStart(19, '0')}/`
const manifestName = (partition: number, fromSeq: bigint): string => `${folder(partition, fromSeq)}manifest.json`
const hashOf = (content: Uint8Array): string => createHash('sha256').update(content).digest('hex')

function parsed(content: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(content).toString('utf8'))
  } catch {
    return undefined
  }
}
