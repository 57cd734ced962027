import { expect, test } from 'vitest'
import { isFailure, PlatformError } from '../errors.ts'
import type { TestHome, TestThread } from './testing/thread.ts'
import { startThread } from './threads.ts'

function start(home: Partial<TestHome> = {}, workerData?: unknown) {
  return startThread<TestThread>(new URL('./testing/thread.ts', import.meta.url), home, { workerData })
}

const thrownBy = (call: Promise<unknown>): Promise<unknown> =>
  call.then(
    () => undefined,
    (error: unknown) => error,
  )

test('what is given, asked and answered crosses as it is, in both directions', async () => {
  const { call, ended } = start({ double: (number) => number * 2n }, { of: ['anything', 1n] })
  expect(await call.given()).toEqual({ of: ['anything', 1n] })
  const value = {
    big: 2n ** 63n - 1n,
    bytes: Uint8Array.of(1, 2, 3),
    none: undefined,
    nothing: null,
    list: [new Map([[1, 'one']])],
  }
  expect(await call.echo(value)).toEqual(value)
  expect(await call.doubleAtHome(21n)).toBe(42n)
  await thrownBy(call.leave())
  expect((await ended).message).toContain('has ended with 0')
})

test('an error comes out as what it was, with its cause and what libraries put beside the message', async () => {
  const { call, ended } = start({
    refuse() {
      throw new PlatformError('LOG_UNAVAILABLE', { doing: 'a test' })
    },
  })
  const error = await thrownBy(call.refuse())
  expect(error).toBeInstanceOf(PlatformError)
  expect(error).toMatchObject({
    name: 'PlatformError',
    code: 'LOG_GAP',
    canRetry: false,
    facts: { partition: 3, seq: 2n ** 60n, stream: 'jobs' },
    message: new PlatformError('LOG_GAP', { partition: 3, seq: 2n ** 60n, stream: 'jobs' }).message,
    stack: expect.stringContaining('testing/thread.ts'),
    cause: { name: 'TypeError', message: 'the cause', code: 'ECONNRESET', table: 'ledger', port: 5432 },
  })
  expect(await thrownBy(call.throwText())).toMatchObject({ message: 'only words' })
  // There and back again.
  const fromHome = await thrownBy(call.refuseAtHome())
  expect(isFailure(fromHome, 'LOG_UNAVAILABLE') && fromHome.canRetry).toBe(true)
  await thrownBy(call.leave())
  await ended
})

test('what a thread tells is heard in order, and before the answer to what was asked of it', async () => {
  const heard: number[] = []
  const { call, ended } = start({ told: (word) => void heard.push(word) })
  await call.tell(1_000)
  expect(heard).toEqual(Array.from({ length: 1_000 }, (_, word) => word))
  await thrownBy(call.leave())
  await ended
})

test('a thread that dies says of what, and everything that was asked of it fails with that', async () => {
  const { call, ended } = start()
  const waiting = [thrownBy(call.never()), thrownBy(call.die())]
  expect(await ended).toMatchObject({ message: expect.stringContaining('nobody catches this') })
  for (const error of await Promise.all(waiting))
    expect(error).toMatchObject({ message: expect.stringContaining('nobody catches this') })
  expect(await thrownBy(call.echo(1)), 'and asking goes on failing').toBeInstanceOf(Error)
})

test('a file that cannot be loaded is a thread that ended before it answered', async () => {
  const { call, ended } = startThread<TestThread>(new URL('./testing/no-such-file.ts', import.meta.url), {})
  const asked = thrownBy(call.echo(1))
  expect((await ended).message).toContain('no-such-file')
  expect(await asked).toMatchObject({ message: expect.stringContaining('no-such-file') })
})
