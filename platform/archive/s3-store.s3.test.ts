import { randomBytes } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3'
import { expect, inject, onTestFinished, test } from 'vitest'
import { history } from '../../projections/testing/history.ts'
import type { Fact } from '../../schemas/events.generated.ts'
import { readOwnSchemas } from '../../schemas/own-schemas.ts'
import { archivePartition, archiveReader, publicKeyOf, signerFrom } from './archive.ts'
import { s3Store } from './s3-store.ts'
import { storeContract } from './store-contract.ts'

const credentials = { accessKeyId: 'test', secretAccessKey: 'test' }

async function freshBucket() {
  const bucket = `pf3-${randomBytes(6).toString('hex')}`
  const endpoint = inject('s3Url')
  const client = new S3Client({ endpoint, region: 'us-east-1', credentials, forcePathStyle: true })
  await client.send(new CreateBucketCommand({ Bucket: bucket }))
  client.destroy()
  return { bucket, endpoint, region: 'us-east-1', credentials, isPathStyle: true }
}

for (const prefix of ['', 'deep/in/it/'])
  storeContract(`S3, prefix ${JSON.stringify(prefix)}`, async () => {
    const options = { ...(await freshBucket()), prefix }
    const store = s3Store(options)
    return { store, another: () => s3Store(options), close: store.close }
  })

test('archives under two prefixes of one bucket know nothing of each other', async () => {
  const options = await freshBucket()
  const [a, b] = [s3Store({ ...options, prefix: 'a/' }), s3Store({ ...options, prefix: 'b/' })]
  expect(await a.putIfAbsent('x', Buffer.from('1'))).toBe(true)
  expect(await b.putIfAbsent('x', Buffer.from('2'))).toBe(true)
  const names: string[] = []
  for await (const { name } of b.list('')) names.push(name)
  expect(names).toEqual(['x'])
  expect(Buffer.from((await b.get('x', 9)) ?? []).toString()).toBe('2')
})

test('an archive of facts in a bucket is read as it was written, also when two wrote it at once', async () => {
  const store = s3Store({ ...(await freshBucket()), prefix: 'facts/' })
  const [facts = []] = history({ seed: 3, jobs: 100, partitionCount: 1 }).byPartition
  const parts = { store, signer: signerFrom(new Uint8Array(32).fill(5)), ownSchemas: readOwnSchemas() }
  const after = async function* (seq: bigint) {
    for (const fact of facts) if (fact.seq > seq) yield fact
  }
  const write = () => archivePartition(parts, { partition: 0, partitions: 1 }, after)
  const done = await Promise.all([write(), write()])
  expect(done.reduce((sum, one) => sum + one.facts, 0)).toBe(facts.length)
  const reader = archiveReader({ ...parts, publicKey: publicKeyOf(parts.signer) })
  const read: Fact[] = []
  for await (const segment of reader.facts(0)) read.push(...segment)
  expect(read).toEqual(facts)
  expect(await reader.partitions()).toBe(1)
})

test('a bucket that is not there is unavailable, by its name', async () => {
  const store = s3Store({ ...(await freshBucket()), bucket: 'pf3-no-such-bucket', prefix: '' })
  const wanted = { code: 'ARCHIVE_UNAVAILABLE', facts: { place: 's3://pf3-no-such-bucket/' } }
  await expect(store.putIfAbsent('x', Buffer.from('1'))).rejects.toMatchObject(wanted)
  await expect(store.list('').next()).rejects.toMatchObject(wanted)
})

test('a server that fails is tried a few times, not for ever', async () => {
  let requests = 0
  const server = createServer((_, response) => {
    requests++
    response.writeHead(503).end()
  }).listen(0, '127.0.0.1')
  onTestFinished(() => void server.close())
  await new Promise((resolve) => server.once('listening', resolve))
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const store = s3Store({ bucket: 'bucket', prefix: '', endpoint, isPathStyle: true, region: 'us-east-1', credentials })
  onTestFinished(() => store.close())
  await expect(store.putIfAbsent('x', Buffer.from('1'))).rejects.toMatchObject({ code: 'ARCHIVE_UNAVAILABLE' })
  expect(requests).toBe(4)
})
