/**
 * A stand-in for brokers, in tests that must not need one: it speaks as much of Kafka's protocol as readers, the start of a
 * log and a fence go by, keeps records in memory, and behaves as badly as it is told to.
 */
import { createRequire } from 'node:module'
import { connect, createServer, type Socket } from 'node:net'
import { type Clock, systemClock } from '../../../clock.ts'
import type { KafkaConnection, OutgoingRecord } from '../client.ts'
import { encodeProduce } from '../record-batch.ts'

/** What of kafkajs' reader and writer of the protocol is used here. */
type Reader = {
  readInt8(): number
  readInt16(): number
  readInt32(): number
  readInt64(): { toString(): string }
  readString(): string
  readArray<Item>(read: (reader: Reader) => Item): Item[]
}
type Writer = {
  buffer: Buffer
  writeInt8(value: number): Writer
  writeInt16(value: number): Writer
  writeInt32(value: number): Writer
  writeInt64(value: number | string): Writer
  writeString(value: string | null): Writer
  writeBytes(value: Buffer): Writer
  writeArray(values: readonly (Writer | number)[]): Writer
}
const fromHere = createRequire(import.meta.url)
const Encoder: new () => Writer = fromHere('kafkajs/src/protocol/encoder')
const Decoder: new (bytes: Buffer) => Reader = fromHere('kafkajs/src/protocol/decoder')

/** Kafka's number of each request, and the one version that the stand-in knows. */
const known = {
  Fetch: { key: 1, version: 4 },
  ListOffsets: { key: 2, version: 1 },
  Metadata: { key: 3, version: 1 },
  OffsetFetch: { key: 9, version: 1 },
  FindCoordinator: { key: 10, version: 1 },
  ApiVersions: { key: 18, version: 0 },
  InitProducerId: { key: 22, version: 0 },
} as const
export type RequestName = keyof typeof known
const names: readonly RequestName[] = [
  'Fetch',
  'ListOffsets',
  'Metadata',
  'OffsetFetch',
  'FindCoordinator',
  'ApiVersions',
  'InitProducerId',
]
/** A read of nothing stands here so long, whatever it asks for: tests have clocks that run ahead. */
const standsMs = 5
const host = '127.0.0.1'
/** A port that nobody listens on. */
const nowhere = 1
const ok = 0

/** Twenty times as fast as time: what is given up after 10 s is given up after half of one. */
export const hurriedClock = (): Clock => {
  const startMs = systemClock.nowMs()
  return {
    nowMs: () => startMs + (systemClock.nowMs() - startMs) * 20,
    after: (delayMs, run) => systemClock.after(delayMs / 20, run),
  }
}

type Batch = { first: number; next: number; bytes: Buffer }
/** Of its only partition: what is there, from where on it is undecided, and the number of the broker that leads it. */
type Topic = { batches: Batch[]; stable: number; leader: number }

export type StandIn = {
  connection: KafkaConnection
  topic(name: string): Topic
  /** One batch at the end of the topic, decided. */
  write(topic: string, records: readonly OutgoingRecord[]): void
  /** Comes before each answer, with the topics that were asked for; what it never resolves is never answered. */
  beforeAnswer: (request: RequestName, topics: readonly string[]) => Promise<void> | void
  /** While it is not, connections are refused. */
  isThere: boolean
  /** Connections that were tried, and those that are open. */
  dialled: number
  open(): number
  close(): Promise<void>
}

/** `fetchOldest`: what it says of Fetch, by which brokers of Kafka 4 are told from older ones. */
export async function standIn(
  topicNames: readonly string[],
  fetchOldest: number = known.Fetch.version,
): Promise<StandIn> {
  const topics = new Map<string, Topic>(topicNames.map((name) => [name, { batches: [], stable: 0, leader: 1 }]))
  const sockets = new Set<Socket>()
  const topic = (name: string): Topic => {
    const found = topics.get(name)
    if (!found) throw new Error(`there is no topic ${name}`)
    return found
  }
  const endOf = (name: string): number => topic(name).batches.at(-1)?.next ?? 0

  const server = createServer((socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
    socket.on('error', () => undefined)
    let unread = Buffer.alloc(0)
    socket.on('data', (data) => {
      unread = Buffer.concat([unread, data])
      while (unread.length >= 4 && unread.length >= 4 + unread.readInt32BE(0)) {
        const frame = unread.subarray(4, 4 + unread.readInt32BE(0))
        unread = unread.subarray(4 + frame.length)
        void serve(frame, socket)
      }
    })
  })
  const port = await new Promise<number>((resolve) =>
    server.listen(0, host, () => {
      const address = server.address()
      resolve(typeof address === 'object' && address ? address.port : nowhere)
    }),
  )

  async function serve(frame: Buffer, socket: Socket): Promise<void> {
    const reader = new Decoder(frame)
    const key = reader.readInt16()
    reader.readInt16() // The version is the only one that is known.
    const correlation = reader.readInt32()
    reader.readString() // Who asks.
    const name = names.find((one) => known[one].key === key)
    if (!name) throw new Error(`the stand-in knows no request ${key}`)
    const { asked = [], answer } = requests[name](reader)
    await made.beforeAnswer(name, asked)
    const { buffer } = await answer()
    const head = new Encoder().writeInt32(buffer.length + 4).writeInt32(correlation)
    if (!socket.destroyed) socket.write(Buffer.concat([head.buffer, buffer]))
  }

  type Request = { asked?: readonly string[]; answer: () => Writer | Promise<Writer> }
  const requests: Record<RequestName, (reader: Reader) => Request> = {
    ApiVersions: () => ({
      answer() {
        const each = names.map((name) => {
          const { key, version } = known[name]
          const oldest = name === 'Fetch' ? fetchOldest : version
          return new Encoder().writeInt16(key).writeInt16(oldest).writeInt16(version)
        })
        return new Encoder().writeInt16(ok).writeArray(each)
      },
    }),
    Metadata(reader) {
      const asked = reader.readArray((one) => one.readString())
      return { asked, answer: () => metadata(asked) }
    },
    ListOffsets(reader) {
      reader.readInt32() // No replica.
      const asked = reader.readArray((one) => {
        const name = one.readString()
        one.readArray((part) => [part.readInt32(), part.readInt64()])
        return name
      })
      return { asked, answer: () => new Encoder().writeArray(asked.map(endBytes)) }
    },
    Fetch(reader) {
      for (let skipped = 0; skipped < 3; skipped++) reader.readInt32() // No replica, and how long it stands.
      const bytesMax = reader.readInt32()
      reader.readInt8() // Committed.
      const asked = reader.readArray((one) => ({ name: one.readString(), from: one.readArray(fromOf)[0] ?? 0 }))
      return { asked: asked.map(({ name }) => name), answer: () => fetched(asked, bytesMax) }
    },
    FindCoordinator: () => ({
      answer: () =>
        new Encoder().writeInt32(0).writeInt16(ok).writeString(null).writeInt32(1).writeString(host).writeInt32(port),
    }),
    InitProducerId: () => ({
      answer: () => new Encoder().writeInt32(0).writeInt16(ok).writeInt64(1).writeInt16(0),
    }),
    OffsetFetch(reader) {
      reader.readString() // The group.
      const asked = reader.readArray((one) => ({ name: one.readString(), parts: one.readArray((p) => p.readInt32()) }))
      const none = (part: number) => new Encoder().writeInt32(part).writeInt64(-1).writeString('').writeInt16(ok)
      const each = asked.map(({ name, parts }) => new Encoder().writeString(name).writeArray(parts.map(none)))
      return { answer: () => new Encoder().writeArray(each) }
    },
  }

  const fromOf = (reader: Reader): number => {
    reader.readInt32()
    const from = Number(reader.readInt64().toString())
    reader.readInt32()
    return from
  }

  function metadata(asked: readonly string[]): Writer {
    const nodes = [...new Set([1, ...[...topics.values()].map(({ leader }) => leader)])]
    const brokers = nodes.map((node) =>
      new Encoder().writeInt32(node).writeString(host).writeInt32(port).writeString(null),
    )
    const each = asked.map((name) => {
      const { leader } = topic(name)
      const part = new Encoder().writeInt16(ok).writeInt32(0).writeInt32(leader)
      const partition = part.writeArray([leader]).writeArray([leader])
      return new Encoder().writeInt16(ok).writeString(name).writeInt8(0).writeArray([partition])
    })
    return new Encoder().writeArray(brokers).writeInt32(1).writeArray(each)
  }

  function endBytes(name: string): Writer {
    const partition = new Encoder().writeInt32(0).writeInt16(ok).writeInt64(-1).writeInt64(endOf(name))
    return new Encoder().writeString(name).writeArray([partition])
  }

  async function fetched(asked: readonly { name: string; from: number }[], bytesMax: number): Promise<Writer> {
    let room = bytesMax
    let count = 0
    const each = asked.map(({ name, from }) => {
      const { batches, stable } = topic(name)
      const found: Buffer[] = []
      for (const { next, bytes } of batches) {
        if (next <= from || next > stable) continue
        if (count > 0 && bytes.length > room) break
        room -= bytes.length
        count += 1
        found.push(bytes)
      }
      const partition = new Encoder().writeInt32(0).writeInt16(ok).writeInt64(endOf(name)).writeInt64(stable)
      return new Encoder().writeString(name).writeArray([partition.writeArray([]).writeBytes(Buffer.concat(found))])
    })
    if (count === 0) await new Promise((resolve) => setTimeout(resolve, standsMs))
    return new Encoder().writeInt32(0).writeArray(each)
  }

  const made: StandIn = {
    connection: {
      brokers: [`${host}:${port}`],
      socketFactory({ onConnect }) {
        made.dialled += 1
        return connect({ host, port: made.isThere ? port : nowhere }, onConnect)
      },
    },
    topic,
    write(name, records) {
      const first = endOf(name)
      const batch = { topic: name, partition: 0, firstSequence: 0, records: [...records] }
      const writer = { transactionalId: '', producerId: '1', producerEpoch: 0 }
      const body = encodeProduce({ ...writer, timeoutMs: 0, nowMs: 0, batches: [batch] })
      const bytes = body.subarray(body.length - batchBytesIn(body, name))
      bytes.writeBigInt64BE(BigInt(first), 0)
      const next = first + records.length
      topic(name).batches.push({ first, next, bytes })
      topic(name).stable = next
    },
    beforeAnswer: () => undefined,
    isThere: true,
    dialled: 0,
    open: () => sockets.size,
    async close() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
  return made
}

/** Of a body with no transactional id and one topic: what stands before its batch is as long as this says. */
const batchBytesIn = (body: Buffer, topic: string): number =>
  body.readInt32BE(2 + 2 + 4 + 4 + 2 + Buffer.byteLength(topic) + 4 + 4)
