/** Clients of brokers that are away, or do not answer: when they are given up, and that nothing of them is left then. */
import { expect, onTestFinished, test } from 'vitest'
import { sleep, systemClock } from '../../clock.ts'
import { openAdmins } from './admins.ts'
import { openBrokers } from './brokers.ts'
import { hurriedClock, type StandIn, standIn } from './testing/stand-in.ts'
import { openTransactions } from './transactions.ts'

const parts = [{ topic: 'jobs', partition: 0 }]
const never = () => new Promise<void>(() => undefined)

async function brokersThat(options: Partial<Pick<StandIn, 'isThere' | 'beforeAnswer'>>): Promise<StandIn> {
  const brokers = Object.assign(await standIn(['jobs']), options)
  onTestFinished(() => brokers.close())
  return brokers
}

/** Long enough for kafkajs to connect again, which it would every quarter of a second. */
async function expectNothingLeft(brokers: StandIn): Promise<void> {
  const { dialled } = brokers
  brokers.isThere = true
  await sleep(systemClock, 1_000)
  expect({ dialled: brokers.dialled, open: brokers.open() }).toEqual({ dialled, open: 0 })
}

test('readers that were given up while they connected do not go on to', async () => {
  const notices: string[] = []
  const brokers = await brokersThat({ isThere: false })
  const connection = { ...brokers.connection, onNotice: (what: string) => void notices.push(what) }
  const reader = openBrokers(parts, connection, hurriedClock())
  const reading = async () => {
    while (!(await reader.trying(async () => undefined)));
  }
  await expect(reading()).rejects.toMatchObject({ code: 'LOG_UNAVAILABLE' })
  await reader.close()
  const told = notices.length
  await expectNothingLeft(brokers)
  expect(notices.slice(told)).toEqual([])
})

test('a reader that was closed does not connect again', async () => {
  const brokers = await brokersThat({})
  const reader = openBrokers(parts, brokers.connection, hurriedClock())
  await reader.trying(async () => void (await reader.ends()))
  await reader.close()
  await expect(reader.trying(async () => undefined)).rejects.toMatchObject({ code: 'LOG_UNAVAILABLE' })
  await expectNothingLeft(brokers)
})

test('transactions that were given up while they connected do not go on to', async () => {
  const brokers = await brokersThat({ isThere: false })
  const { connection } = brokers
  const parts = { transactionalId: 'owner-0', topics: ['jobs'], connection, clock: hurriedClock(), timeoutMs: 15_000 }
  const transactions = openTransactions(parts)
  await expect(transactions.fence()).rejects.toThrow('there was no answer')
  await transactions.close()
  await expectNothingLeft(brokers)
})

test('an admin client is closed in time also while it connects to brokers that do not answer', {
  timeout: 10_000,
}, async () => {
  const brokers = await brokersThat({ beforeAnswer: never })
  const admins = openAdmins(brokers.connection, hurriedClock())
  const asked = admins.ask((admin) => admin.listTopics())
  asked.catch(() => undefined)
  await expect.poll(() => brokers.open()).toBe(1)
  await admins.close()
  await expectNothingLeft(brokers)
  await expect(asked).rejects.toThrow()
})
