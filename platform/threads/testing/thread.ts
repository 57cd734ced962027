/** A thread for tests: answers, fails in every way, calls back, and dies. */
import { setTimeout as sleep } from 'node:timers/promises'
import { workerData } from 'node:worker_threads'
import { PlatformError } from '../../errors.ts'
import { answerCalls } from '../threads.ts'

export type TestThread = typeof answers
export type TestHome = { told(word: number): void; double(number: bigint): bigint; refuse(): void }

const answers = {
  given: () => workerData as unknown,
  echo: (value: unknown) => value,
  refuse() {
    const cause = Object.assign(new TypeError('the cause'), { code: 'ECONNRESET', table: 'ledger', port: 5432 })
    throw new PlatformError('LOG_GAP', { partition: 3, seq: 2n ** 60n, stream: 'jobs' }, { cause })
  },
  throwText() {
    throw 'only words' // As a library might.
  },
  doubleAtHome: (number: bigint) => call.double(number),
  refuseAtHome: () => call.refuse(),
  tell(words: number) {
    for (let word = 0; word < words; word++) void call.told.asEvent(word)
  },
  never: () => new Promise<void>(() => {}),
  die() {
    setImmediate(() => {
      throw new PlatformError('INTERNAL', { problem: 'nobody catches this' })
    })
    return sleep(10_000)
  },
  leave: () => close(),
}
const { call, close } = answerCalls<TestHome>(answers)
