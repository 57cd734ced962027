import { jwtVerify } from 'jose'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Clock } from '../../platform/clock.ts'
import { type Issuer, type SigningKey, signed, startIssuer } from '../testing/issuer.ts'
import { cooldownMsDefault, issuerKeys, KeysUnavailableError, keysFreshMs, keysTrustedMs } from './issuer-keys.ts'

let issuer: Issuer
let one: SigningKey
let two: SigningKey
let nowMs: number
let faults: unknown[]
const clock: Clock = { nowMs: () => nowMs, after: () => () => undefined }

beforeEach(async () => {
  issuer = await startIssuer()
  ;[one, two] = await Promise.all([issuer.makeKey('one'), issuer.makeKey('two')])
  await issuer.publish(one)
  nowMs = Date.now()
  faults = []
})
afterEach(() => issuer.close())

type Given = { jwksUrl?: string; cooldownMs?: number }
function checker({ jwksUrl, cooldownMs }: Given = {}): (key: SigningKey) => Promise<'good'> {
  const keys = issuerKeys(
    { issuer: issuer.url, jwksUrl, ...(cooldownMs !== undefined && { cooldownMs }) },
    { clock, onFault: (error) => faults.push(error) },
  )
  return async (key) => {
    await jwtVerify(await signed(issuer, key), keys)
    return 'good'
  }
}

describe('keys are fetched', () => {
  test('when they are first needed, and once for many callers', async () => {
    const check = checker()
    expect(issuer.asked).toEqual([])
    await Promise.all(Array.from({ length: 50 }, () => check(one)))
    expect(issuer.asked).toEqual(['/.well-known/openid-configuration', '/keys'])
  })

  test('from where the configuration says, without asking for the discovery document', async () => {
    expect(await checker({ jwksUrl: issuer.jwksUrl })(one)).toBe('good')
    expect(issuer.asked).toEqual(['/keys'])
  })

  test('anew for a key that is not known, so that a rotation needs nobody', async () => {
    const check = checker({ cooldownMs: 0 })
    await check(one)
    await issuer.publish(one, two)
    expect(await check(two)).toBe('good')
    expect(await check(one)).toBe('good')
  })

  test('anew beside the request when they are old, so that a withdrawn key stops working', async () => {
    const check = checker()
    await check(one)
    await issuer.publish(two)
    nowMs += keysFreshMs - 1
    expect(await check(one)).toBe('good')
    expect(issuer.asked).toHaveLength(2)
    nowMs += 1
    await check(one)
    await expect.poll(() => check(two).catch(() => 'not yet')).toBe('good')
    await expect(check(one)).rejects.toThrow('no applicable key')
  })

  test('at most once per cooldown, however many unknown keys come', async () => {
    const check = checker({ jwksUrl: issuer.jwksUrl })
    await check(one)
    for (let n = 0; n < 50; n++) await expect(check(two)).rejects.toThrow('no applicable key')
    expect(issuer.asked).toHaveLength(1)
  })
})

describe('an issuer that cannot be reached', () => {
  test('does not touch keys that are known, until they are no longer trusted', async () => {
    const check = checker()
    await check(one)
    issuer.behave('failing')
    nowMs += keysTrustedMs - 1
    expect(await check(one)).toBe('good')
    await expect.poll(() => faults.length).toBe(1)
    nowMs += cooldownMsDefault
    await expect(check(one)).rejects.toThrow(KeysUnavailableError)
    issuer.behave('well')
    nowMs += cooldownMsDefault
    expect(await check(one)).toBe('good')
  })

  test('is asked once per cooldown, and callers hear when it is asked again', async () => {
    issuer.behave('failing')
    const check = checker()
    await expect(check(one)).rejects.toMatchObject({ retryAfterMs: cooldownMsDefault })
    nowMs += 10_000
    for (let n = 0; n < 50; n++)
      await expect(check(one)).rejects.toMatchObject({ retryAfterMs: cooldownMsDefault - 10_000 })
    expect(issuer.asked).toHaveLength(1)
    issuer.behave('well')
    nowMs += 20_000
    expect(await check(one)).toBe('good')
  })

  test('and hangs is given up', async () => {
    issuer.behave('hanging')
    await expect(checker()(one)).rejects.toThrow(KeysUnavailableError)
    expect(faults).toMatchObject([{ name: 'TimeoutError' }])
  }, 20_000)
})

test.each(['nonsense', 'redirecting', 'endless'] as const)(
  'an issuer that answers in a %s way is no issuer',
  async (how) => {
    issuer.behave(how)
    await expect(checker({ jwksUrl: issuer.jwksUrl })(one)).rejects.toThrow(KeysUnavailableError)
    expect(faults).toHaveLength(1)
  },
)

test('a discovery document that speaks for another issuer is not believed', async () => {
  issuer.claimToBe('https://issuer.example')
  await expect(checker()(one)).rejects.toThrow(KeysUnavailableError)
  expect(faults).toMatchObject([{ message: expect.stringContaining('speaks for another issuer') }])
})
