/** What was archived is what is read, and nothing else is: every way to change, drop or move a part of it shows. */
import { generateKeyPairSync } from 'node:crypto'
import { cp, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { history } from '../../projections/testing/history.ts'
import type { Fact } from '../../schemas/events.generated.ts'
import { readOwnSchemas } from '../../schemas/own-schemas.ts'
import { archivePartition, archiveReader, publicKeyOf, segmentFactsMax, signerFrom } from './archive.ts'
import type { ArchiveStore } from './archive-store.ts'
import { directoryStore } from './directory-store.ts'

const signer = signerFrom(new Uint8Array(32).fill(5))
const ownSchemas = readOwnSchemas()
const past = history({ seed: 11, jobs: 300, partitionCount: 2 })

async function freshDir(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'pf3-archive-'))
  onTestFinished(() => rm(dir, { recursive: true, force: true }))
  return dir
}

async function* after(facts: readonly Fact[], seq: bigint): AsyncGenerator<Fact> {
  for (const fact of facts) if (fact.seq > seq) yield fact
}
const write = (store: ArchiveStore, partition: number, facts: readonly Fact[]) =>
  archivePartition({ store, signer, ownSchemas }, { partition, partitions: 2 }, (seq) => after(facts, seq))
const readerOf = (store: ArchiveStore, publicKey = publicKeyOf(signer)) =>
  archiveReader({ store, publicKey, ownSchemas })
async function all(store: ArchiveStore, partition: number, publicKey = publicKeyOf(signer)): Promise<Fact[]> {
  const facts: Fact[] = []
  for await (const segment of readerOf(store, publicKey).facts(partition)) facts.push(...segment)
  return facts
}

test('comes back as it was, in order, whatever number of runs wrote it', async () => {
  const store = directoryStore(await freshDir())
  for (const [partition, facts] of past.byPartition.entries()) {
    const half = Math.floor(facts.length / 2)
    expect(await write(store, partition, facts.slice(0, half))).toEqual({ segments: 1, facts: half, seq: BigInt(half) })
    expect(await write(store, partition, facts)).toMatchObject({ segments: 1, facts: facts.length - half })
    expect(await write(store, partition, facts)).toEqual({ segments: 0, facts: 0, seq: BigInt(facts.length) })
    expect(await all(store, partition)).toEqual(facts)
  }
  expect(await readerOf(store).partitions()).toBe(2)
  expect(await readerOf(directoryStore(await freshDir())).partitions()).toBeUndefined()
})

test('long logs are cut into segments', async () => {
  const store = directoryStore(await freshDir())
  const [sample] = past.byPartition[0] ?? []
  if (!sample) throw new Error('no fact')
  const facts = Array.from({ length: segmentFactsMax + 5 }, (_, n) => ({
    ...sample,
    seq: BigInt(n + 1),
    eventId: `e${n}`,
  }))
  expect(await write(store, 0, facts)).toMatchObject({ segments: 2, facts: facts.length })
  expect((await all(store, 0)).map(({ eventId }) => eventId)).toEqual(facts.map(({ eventId }) => eventId))
})

test('several at once write every fact once', async () => {
  const dir = await freshDir()
  const [facts = []] = past.byPartition
  const done = await Promise.all(
    [100, 350, facts.length, facts.length].map((count) => write(directoryStore(dir), 0, facts.slice(0, count))),
  )
  expect(done.reduce((sum, one) => sum + one.facts, 0)).toBe(facts.length)
  expect(await all(directoryStore(dir), 0)).toEqual(facts)
})

test('a writer that died half-way is gone on from', async () => {
  const dir = await freshDir()
  const store = directoryStore(dir)
  const [facts = []] = past.byPartition
  let puts = 0
  const dying: ArchiveStore = {
    ...store,
    putIfAbsent: async (name, content) => {
      if (++puts > 3) throw new Error('died')
      return store.putIfAbsent(name, content)
    },
  }
  await expect(write(dying, 0, facts)).rejects.toThrow('died')
  expect(await all(store, 0)).toEqual([])
  await write(store, 0, facts)
  expect(await all(store, 0)).toEqual(facts)
})

test('a log with a gap is not archived', async () => {
  const [facts = []] = past.byPartition
  const store = directoryStore(await freshDir())
  await expect(write(store, 0, facts.toSpliced(5, 1))).rejects.toMatchObject({ code: 'LOG_GAP' })
  expect(await all(store, 0)).toEqual([])
})

/** An archive of three segments in partition 0 and one in partition 1; the paths of its files. */
async function someArchive() {
  const dir = await freshDir()
  const store = directoryStore(dir)
  const [first = [], second = []] = past.byPartition
  for (const count of [200, 400, first.length]) await write(store, 0, first.slice(0, count))
  await write(store, 1, second)
  const files = (await readdir(dir, { recursive: true })).filter((name) => /\.(avro|json)$/.test(name)).sort()
  const segments = (await readdir(join(dir, 'p0'))).sort()
  const inSecond = files.filter((name) => name.startsWith(`p0/${segments[1]}/`))
  const avro = inSecond.find((name) => name.endsWith('.avro')) ?? ''
  const path = (name: string) => join(dir, name)
  return { dir, store, path, segments, avro, manifest: `p0/${segments[1]}/manifest.json` }
}
type Archive = Awaited<ReturnType<typeof someArchive>>

const edit = async (path: string, change: (text: string) => string) =>
  writeFile(path, change(await readFile(path, 'latin1')), 'latin1')

test.each<[string, (archive: Archive) => Promise<unknown>, RegExp]>([
  [
    'a changed byte of a file',
    async ({ path, avro }) => {
      const bytes = await readFile(path(avro))
      bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1
      return writeFile(path(avro), bytes)
    },
    /is not what was signed/,
  ],
  ['a file that is gone', ({ path, avro }) => rm(path(avro)), /is missing/],
  [
    'a changed manifest',
    ({ path, manifest }) => edit(path(manifest), (text) => text.replace('records\\":', 'records\\":1')),
    /was not signed with this key/,
  ],
  ['a manifest that is no JSON', ({ path, manifest }) => edit(path(manifest), () => '{'), /is not a signed manifest/],
  [
    "another partition's segment in its place",
    async ({ path, segments }) => {
      await rm(path(`p0/${segments[0]}`), { recursive: true })
      await cp(path(`p1/${segments[0]}`), path(`p0/${segments[0]}`), { recursive: true })
    },
    /belongs to another place/,
  ],
  [
    'a later segment in the place of an earlier one',
    async ({ path, segments }) => {
      await rm(path(`p0/${segments[1]}`), { recursive: true })
      await rename(path(`p0/${segments[2]}`), path(`p0/${segments[1]}`))
    },
    /belongs to another place/,
  ],
])('%s is found', async (_, spoil, says) => {
  const archive = await someArchive()
  await spoil(archive)
  await expect(all(archive.store, 0)).rejects.toThrow(says)
  await expect(all(archive.store, 0)).rejects.toMatchObject({ code: 'ARCHIVE_DAMAGED' })
})

test('a manifest of the same key that does not follow the one before it is found', async () => {
  const archive = await someArchive()
  const other = await freshDir()
  const [facts = []] = past.byPartition
  // Written by the same key from another cut: sound in itself, but not the one that was followed.
  for (const count of [100, 200, 400]) await write(directoryStore(other), 0, facts.slice(0, count))
  await rm(archive.path(`p0/${archive.segments[1]}`), { recursive: true })
  await cp(join(other, 'p0', archive.segments[1] ?? ''), archive.path(`p0/${archive.segments[1]}`), { recursive: true })
  await expect(all(archive.store, 0)).rejects.toThrow(/does not follow the manifest before it/)
})

test("another's key opens nothing", async () => {
  const { store } = await someArchive()
  const { publicKey } = generateKeyPairSync('ed25519')
  await expect(all(store, 0, publicKey)).rejects.toThrow(/was not signed with this key/)
})

test('segments at the end can be missing: that an archive ends is told by its end, which the next run goes on from', async () => {
  const { store, path, segments } = await someArchive()
  const [facts = []] = past.byPartition
  await rm(path(`p0/${segments[2]}`), { recursive: true })
  expect((await readerOf(store).end(0)).seq).toBe(400n)
  await write(store, 0, facts)
  expect(await all(store, 0)).toEqual(facts)
})
