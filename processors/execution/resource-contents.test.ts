import { expect, test } from 'vitest'
import { PlatformError } from '../../platform/errors.ts'
import { contentFreshMs } from '../../platform/vault/fresh-content.ts'
import { resourceContents, type Wanted } from './resource-contents.ts'

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const of = (ref: string, tenantId = 'harbor'): Wanted => ({ tenantId, ref })

/** A vault that counts what it is asked, and a clock that is set by hand. */
function scene() {
  let nowMs = 1_000_000
  const timers = new Map<() => void, number>()
  const stored = new Map<string, Uint8Array>()
  const asked: string[] = []
  const failures: Error[] = []
  const failSometimes = () => {
    const failure = failures.shift()
    if (failure) throw failure
  }
  const contents = resourceContents({
    vault: {
      async has(tenantId, ref) {
        asked.push(`has ${ref}`)
        failSometimes()
        return stored.has(`${tenantId} ${ref}`)
      },
    },
    async read({ tenantId, ref }) {
      asked.push(`read ${ref}`)
      failSometimes()
      return stored.get(`${tenantId} ${ref}`)
    },
    clock: {
      nowMs: () => nowMs,
      after(delayMs, run) {
        timers.set(run, nowMs + delayMs)
        return () => void timers.delete(run)
      },
    },
  })
  return {
    contents,
    stored,
    asked,
    failures,
    timers,
    setClock: (byMs: number) => {
      nowMs += byMs
    },
    /** Time passes, and timers come. */
    pass(ms: number) {
      nowMs += ms
      for (const [run, at] of timers)
        if (at <= nowMs) {
          timers.delete(run)
          run()
        }
    },
  }
}

test('jobs at the same time, and soon after, read once', async () => {
  const { contents, stored, asked, pass } = scene()
  stored.set('harbor a', bytes('A'))
  expect(await Promise.all([contents.content(of('a')), contents.content(of('a'))])).toEqual([bytes('A'), bytes('A')])
  pass(contentFreshMs - 1)
  expect(await contents.content(of('a'))).toEqual(bytes('A'))
  expect(asked).toEqual(['read a'])
})

test('later the vault is asked whether it is there, once for all who ask, and not for the content', async () => {
  const { contents, stored, asked, pass } = scene()
  stored.set('harbor a', bytes('A'))
  await contents.content(of('a'))
  for (let n = 0; n < 2; n++) {
    pass(contentFreshMs)
    const [one, two] = await Promise.all([contents.content(of('a')), contents.content(of('a'))])
    expect([one, two]).toEqual([bytes('A'), bytes('A')])
  }
  expect(asked).toEqual(['read a', 'has a', 'has a'])
})

test('what was erased is handed on for as long as an erasure waits, and no longer', async () => {
  const { contents, stored, pass } = scene()
  stored.set('harbor a', bytes('A'))
  await contents.content(of('a'))
  stored.clear()
  pass(contentFreshMs - 1)
  expect(await contents.content(of('a'))).toEqual(bytes('A'))
  pass(1)
  expect(await contents.content(of('a'))).toBeUndefined()
})

test('what was missing is found as soon as it is stored again', async () => {
  const { contents, stored } = scene()
  expect(await contents.content(of('a'))).toBeUndefined()
  stored.set('harbor a', bytes('A'))
  expect(await contents.content(of('a'))).toEqual(bytes('A'))
})

test.each([
  ['set back', [-10_000]],
  ['set back until it shows the same time', [-10_000, 10_000]],
])('a clock that is %s lengthens nothing', async (_, jumps) => {
  const { contents, stored, pass, setClock } = scene()
  stored.set('harbor a', bytes('A'))
  await contents.content(of('a'))
  stored.clear()
  const [back = 0, ...forth] = jumps
  pass(contentFreshMs)
  setClock(back - contentFreshMs)
  for (const ms of forth) setClock(ms)
  expect(await contents.content(of('a'))).toBeUndefined()
})

test('a timer that is late lengthens nothing', async () => {
  const { contents, stored, setClock } = scene()
  stored.set('harbor a', bytes('A'))
  await contents.content(of('a'))
  stored.clear()
  setClock(contentFreshMs)
  expect(await contents.content(of('a'))).toBeUndefined()
})

test('a failure of the vault is told to who asked, and asked again', async () => {
  const { contents, stored, asked, failures, pass } = scene()
  stored.set('harbor a', bytes('A'))
  failures.push(new PlatformError('DATABASE_UNAVAILABLE'))
  await expect(contents.content(of('a'))).rejects.toMatchObject({ code: 'DATABASE_UNAVAILABLE' })
  expect(await contents.content(of('a'))).toEqual(bytes('A'))
  pass(contentFreshMs)
  failures.push(new PlatformError('DATABASE_UNAVAILABLE'))
  await expect(contents.content(of('a'))).rejects.toMatchObject({ code: 'DATABASE_UNAVAILABLE' })
  expect(await contents.content(of('a'))).toEqual(bytes('A'))
  expect(asked).toEqual(['read a', 'read a', 'has a', 'read a'])
})

test('a ref is of its tenant alone, and beyond eight the least recently used is given up', async () => {
  const { contents, stored, asked, timers } = scene()
  stored.set('harbor a', bytes('A'))
  await contents.content(of('a'))
  expect(await contents.content(of('a', 'other'))).toBeUndefined()
  for (const ref of ['b', 'c', 'd', 'e', 'f', 'g', 'h', 'a', 'i', 'a']) {
    stored.set(`harbor ${ref}`, bytes(ref))
    await contents.content(of(ref))
  }
  await contents.content(of('b'))
  const reads = ['a', 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'b'].map((ref) => `read ${ref}`)
  expect(asked).toEqual(reads)
  expect(timers.size).toBe(8)
  contents.close()
  expect(timers.size).toBe(0)
})
