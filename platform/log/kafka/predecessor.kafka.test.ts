/** A member that cannot say goodbye itself, as after kill -9: the group knows it for as long as its session lasts. */
import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { systemClock } from '../../clock.ts'
import { kafkaClient } from './client.ts'
import { memberNote, sayGoodbye } from './predecessor.ts'

const connection = { brokers: (process.env['PF3_TEST_KAFKA_BROKERS'] ?? '').split(',') }
const clock = systemClock

/** Joins and is never heard of again: its session would last ten minutes. */
async function silentMember(groupId: string): Promise<string> {
  const consumer = kafkaClient(connection).consumer({
    groupId,
    sessionTimeout: 600_000,
    heartbeatInterval: 300_000,
    maxWaitTimeInMs: 100,
  })
  onTestFinished(() => consumer.disconnect())
  const topic = `members-${groupId}`
  const admin = kafkaClient(connection).admin()
  await admin.connect()
  await admin.createTopics({ topics: [{ topic, numPartitions: 1 }], waitForLeaders: true })
  await admin.disconnect()
  await consumer.connect()
  await consumer.subscribe({ topics: [topic] })
  const joined = Promise.withResolvers<string>()
  consumer.on('consumer.group_join', ({ payload }) => joined.resolve(payload.memberId))
  await consumer.run({ autoCommit: false, eachBatch: async () => undefined })
  return joined.promise
}

async function membersOf(groupId: string): Promise<string[]> {
  const admin = kafkaClient(connection).admin()
  await admin.connect()
  const { groups } = await admin.describeGroups([groupId])
  await admin.disconnect()
  return groups.flatMap(({ members }) => members.map(({ memberId }) => memberId))
}

async function noteIn(): Promise<ReturnType<typeof memberNote>> {
  const dir = await mkdtemp(join(tmpdir(), 'pf3-member-'))
  onTestFinished(() => rm(dir, { recursive: true }))
  return memberNote(join(dir, 'member'))
}

test('the member that the note names leaves the group, and nobody else', async () => {
  const groupId = randomUUID()
  const memberId = await silentMember(groupId)
  const note = await noteIn()

  await sayGoodbye(note, { connection, groupId, clock })
  expect(await membersOf(groupId)).toEqual([memberId])

  await note.write(`${memberId}-of-another-start`)
  await sayGoodbye(note, { connection, groupId, clock })
  expect(await membersOf(groupId)).toEqual([memberId])

  await note.write(memberId)
  expect(await note.read()).toBe(memberId)
  await sayGoodbye(note, { connection, groupId, clock })
  expect(await membersOf(groupId)).toEqual([])
})

test('brokers that are away, and a note that cannot be kept, hold nobody up', async () => {
  const note = memberNote(join(tmpdir(), 'no-such-folder', randomUUID(), 'member'))
  await note.write('a')
  expect(await note.read()).toBeUndefined()
  const kept = await noteIn()
  await kept.write('a')
  await sayGoodbye(kept, { connection: { brokers: ['127.0.0.1:1'] }, groupId: 'g', clock })
})
