import { createConnection, type Socket } from 'node:net'
import { afterAll, beforeAll } from 'vitest'
import { systemClock } from '../../clock.ts'
import { contractPartitions, contractRecordBytesMax, logContract } from '../contract.ts'
import { type KafkaConnection, kafkaClient } from './client.ts'
import { kafkaLog } from './kafka.ts'
import { applyTopics, topicPlans } from './topics.ts'

const brokers = (process.env['PF3_TEST_KAFKA_BROKERS'] ?? '').split(',')
const admin = kafkaClient({ brokers }).admin()
beforeAll(() => admin.connect())
afterAll(() => admin.disconnect())

const endTransaction = 26

/** Connections that break at the end of a transaction: before the broker hears of it, or before it is heard. */
function breakable() {
  let breaks: 'before' | 'after' | undefined
  const socketFactory: KafkaConnection['socketFactory'] = ({ host, port, onConnect }) => {
    const socket: Socket = createConnection({ host, port }, onConnect)
    const write = socket.write.bind(socket)
    socket.write = ((frame: Buffer, ...rest: []) => {
      if (breaks === undefined || frame.readInt16BE(4) !== endTransaction) return write(frame, ...rest)
      if (breaks === 'before') socket.destroy()
      else {
        socket.removeAllListeners('data')
        socket.once('data', () => socket.destroy())
        write(frame, ...rest)
      }
      return true
    }) as typeof socket.write
    return socket
  }
  return {
    socketFactory,
    breakAt(at: typeof breaks) {
      breaks = at
    },
  }
}

let opened = 0

logContract('the log on Kafka', async () => {
  opened += 1
  const prefix = `contract-${process.pid}-${opened}.`
  await applyTopics(
    admin,
    topicPlans({ prefix, partitionCount: contractPartitions, replicationFactor: 1 }),
    systemClock,
  )
  const { socketFactory, breakAt } = breakable()
  const open = (connection: KafkaConnection) =>
    kafkaLog({
      connection,
      prefix,
      partitionCount: contractPartitions,
      clock: systemClock,
      recordBytesMax: contractRecordBytesMax,
      waitingRecordsMax: 100,
    })
  const logs = [await open({ brokers, socketFactory })]
  return {
    log: logs[0] as Awaited<ReturnType<typeof open>>,
    offsetsHaveGaps: true,
    async another() {
      const more = await open({ brokers })
      logs.push(more)
      return more
    },
    async losingCommits(isDurable, run) {
      breakAt(isDurable ? 'after' : 'before')
      await run()
      breakAt(undefined)
    },
    close: async () => void (await Promise.all(logs.map((log) => log.close()))),
  }
})
