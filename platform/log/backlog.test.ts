import { expect, test } from 'vitest'
import { backlog } from './backlog.ts'

const records = (count: number, size: number) =>
  Array.from({ length: count }, () => ({ key: 'k', value: new Uint8Array(size) }))

test('what waits is bounded in records and in bytes, and room comes back when a write ends, however it ends', async () => {
  const waiting = backlog({ waitingRecordsMax: 3, waitingBytesMax: 100 })
  const endings: (() => void)[] = []
  const slow = () => new Promise<void>((resolve) => endings.push(resolve))
  const never = async () => expect.unreachable()

  const first = waiting.during(records(2, 40), slow)
  await expect(waiting.during(records(1, 21), never)).rejects.toMatchObject({ code: 'LOG_BUSY' })
  await expect(waiting.during(records(2, 1), never)).rejects.toMatchObject({ code: 'LOG_BUSY' })
  const second = waiting.during(records(1, 20), slow)
  await expect(waiting.during(records(1, 0), never)).rejects.toMatchObject({ code: 'LOG_BUSY' })
  for (const end of endings) end()
  await Promise.all([first, second])

  await expect(waiting.during(records(3, 1), () => Promise.reject(new Error('no')))).rejects.toThrow('no')
  expect(await waiting.during(records(3, 33), async () => 'room again')).toBe('room again')
})

test('a call over the limits by itself passes when nothing else waits', async () => {
  const waiting = backlog({ waitingRecordsMax: 3, waitingBytesMax: 100 })
  expect(await waiting.during(records(5, 50), async () => 'written')).toBe('written')
})
