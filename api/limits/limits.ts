/**
 * How much is let in at all, so that what is let in is answered in time: requests that work at once, requests of a tenant
 * in a while and at once, failed credentials of an address. Counted before anything is read or looked up: what is under
 * way in this process, what adds up over time for all processes together where they share a Redis.
 */
import { type RateLimiterAbstract, RateLimiterMemory, RateLimiterRedis, RateLimiterRes } from 'rate-limiter-flexible'
import { batcher } from '../../platform/batcher.ts'
import type { Clock } from '../../platform/clock.ts'
import type { RedisServer } from '../../platform/redis/redis.ts'
import type { EpochMs } from '../../schemas/units.ts'
import { Problem } from '../http/problem.ts'
import { networkOf } from './network-of.ts'

export type LimitOptions = {
  /** Requests that work at once; one that only waits, for its answer or its body, does not count. */
  workingMax: number
  /** Requests under way at once, waiting or not. */
  openMax: number
  /** Requests of one tenant in `windowS` seconds. */
  perTenantMax: number
  /** Requests of one tenant under way at once. */
  openPerTenantMax: number
  /** Failed credentials of one address (of IPv6, one network of 64 bits) in a minute; null where addresses say nothing, as behind a proxy. */
  failuresPerAddressMax: number | null
}

export const limitDefaults: LimitOptions = {
  workingMax: 256,
  openMax: 10_000,
  perTenantMax: 10_000,
  openPerTenantMax: 2_000,
  failuresPerAddressMax: 100,
}

/** Where processes count together. Keys hold tenant ids and addresses, and are gone after their window. */
export type SharedCounts = {
  commands: RedisServer['commands']
  /** Begins every key. */
  prefix: string
  clock: Pick<Clock, 'nowMs'>
}

/** The window that `perTenantMax` is counted in, in seconds. */
export const windowS = 10
const failureWindowS = 60
/** An address without any failure is not asked about again for so long: most requests would ask for nothing else. */
const quietMs = 1_000
const quietAddressesMax = 10_000
/** Requests that are counted together, and that wait to be. */
const grouped = { itemsMax: 1_000, waitingMax: 50_000 }

export type Place = {
  /** From now on the request only waits: its place is another's. Safe to call again. */
  rest(): void
  /** Takes a place again after a rest, or throws OVERLOADED. Safe to call again. */
  work(): void
  /** Gives everything back. Safe to call again. */
  leave(): void
}

export type Limits = {
  /** A place for a request, or OVERLOADED. */
  enter(): Place
  /**
   * Throws TOO_MANY_FAILURES when credentials from there have failed too often; where processes count together, first
   * failures at another one are noticed within a second.
   */
  checkAddress(address: string): Promise<void>
  credentialFailed(address: string): Promise<void>
  /** Counts a request of the tenant, or throws RATE_LIMITED. The headers say how much is left. */
  ofTenant(tenantId: string): Promise<{ headers: Record<string, string>; leave(): void }>
}

/**
 * `shared`: counts of time windows are kept there. While it does not answer, each process counts in its own memory, from
 * nothing: what is let in grows to the limit times the number of processes, and nobody is turned away for that.
 */
export function limits(options: LimitOptions, shared?: SharedCounts): Limits {
  const { workingMax, openMax, perTenantMax, openPerTenantMax, failuresPerAddressMax } = options
  const perTenant = counter('tenant', { points: perTenantMax, duration: windowS }, shared)
  // What comes in while Redis is asked is asked together: exactly as many are let in, with a command for many requests.
  const countOfTenant = batcher((tenantIds: readonly string[]) => countAll(perTenant, perTenantMax, tenantIds), grouped)
  const perAddress =
    failuresPerAddressMax === null
      ? null
      : counter('address', { points: failuresPerAddressMax, duration: failureWindowS }, shared)
  /** Until when an address is known to have failed nowhere. */
  const quietUntil = new Map<string, EpochMs>()
  const asking = new Map<string, Promise<void>>()
  const openOf = new Map<string, number>()
  let working = 0
  let open = 0

  /** Throws TOO_MANY_FAILURES. */
  async function askOf(network: string, failures: RateLimiterAbstract): Promise<void> {
    const found = await failures.get(network)
    if (found && found.remainingPoints <= 0) throw tooMany('TOO_MANY_FAILURES', found.msBeforeNext)
    if (!shared || found) return
    if (quietUntil.size >= quietAddressesMax) quietUntil.clear()
    quietUntil.set(network, shared.clock.nowMs() + quietMs)
  }

  return {
    enter() {
      if (working >= workingMax || open >= openMax) throw new Problem('OVERLOADED')
      working += 1
      open += 1
      let isWorking = true
      let isOpen = true
      const rest = () => {
        if (isWorking) working -= 1
        isWorking = false
      }
      return {
        rest,
        work() {
          if (isWorking) return
          if (working >= workingMax) throw new Problem('OVERLOADED')
          working += 1
          isWorking = true
        },
        leave() {
          rest()
          if (isOpen) open -= 1
          isOpen = false
        },
      }
    },

    async checkAddress(address) {
      if (!perAddress) return
      const network = networkOf(address)
      if (shared && (quietUntil.get(network) ?? 0) > shared.clock.nowMs()) return
      // Asked once for all who come from there in the meantime.
      const asked = asking.get(network) ?? askOf(network, perAddress).finally(() => asking.delete(network))
      asking.set(network, asked)
      await asked
    },

    async credentialFailed(address) {
      if (!perAddress) return
      quietUntil.delete(networkOf(address))
      await consume(perAddress, networkOf(address), 1)
    },

    async ofTenant(tenantId) {
      const { isOver, left, resetMs } = await countOfTenant(tenantId)
      const headers = {
        'RateLimit-Policy': `"tenant";q=${perTenantMax};w=${windowS}`,
        RateLimit: `"tenant";r=${left};t=${Math.ceil(resetMs / 1_000)}`,
      }
      if (isOver) throw tooMany('RATE_LIMITED', resetMs, headers)
      const before = openOf.get(tenantId) ?? 0
      if (before >= openPerTenantMax) throw tooMany('TOO_MANY_AT_ONCE', 1_000, headers)
      openOf.set(tenantId, before + 1)
      return {
        headers,
        leave() {
          const now = (openOf.get(tenantId) ?? 1) - 1
          if (now === 0) openOf.delete(tenantId)
          else openOf.set(tenantId, now)
        },
      }
    },
  }
}

type Window = { points: number; duration: number }

function counter(of: string, window: Window, shared: SharedCounts | undefined): RateLimiterAbstract {
  const inMemory = new RateLimiterMemory(window)
  if (!shared) return inMemory
  return new RateLimiterRedis({
    ...window,
    storeClient: shared.commands,
    keyPrefix: `${shared.prefix}${of}`,
    insuranceLimiter: inMemory,
    rejectIfRedisNotReady: true,
    // Whoever has used everything up is turned away without asking again, so that a flood ends here.
    inMemoryBlockOnConsumed: window.points,
  })
}

type Counted = { isOver: boolean; left: number; resetMs: number }

/** Counts one request for each key, and answers in their order what each has come to. */
async function countAll(limiter: RateLimiterAbstract, max: number, keys: readonly string[]): Promise<Counted[]> {
  const counted: Counted[] = []
  const places = Map.groupBy(keys.keys(), (place) => keys[place] ?? '')
  const countOne = async ([key, ofKey]: [string, number[]]) => {
    const { count, resetMs } = await consume(limiter, key, ofKey.length)
    for (const [nth, place] of ofKey.entries()) {
      const withThis = count - ofKey.length + nth + 1
      counted[place] = { isOver: withThis > max, left: Math.max(0, max - withThis), resetMs }
    }
  }
  await Promise.all([...places].map(countOne))
  return counted
}

/** How many there have been in the window, with these; infinitely many of a key that is turned away without asking. */
async function consume(limiter: RateLimiterAbstract, key: string, points: number) {
  try {
    const { consumedPoints, msBeforeNext } = await limiter.consume(key, points)
    return { count: consumedPoints, resetMs: msBeforeNext }
  } catch (error) {
    if (!(error instanceof RateLimiterRes)) throw error
    const { consumedPoints, msBeforeNext } = error
    return { count: consumedPoints === 0 ? Number.POSITIVE_INFINITY : consumedPoints, resetMs: msBeforeNext }
  }
}

const tooMany = (
  code: 'RATE_LIMITED' | 'TOO_MANY_AT_ONCE' | 'TOO_MANY_FAILURES',
  waitMs: number,
  headers: Record<string, string> = {},
): Problem =>
  new Problem(code, { headers: { ...headers, 'Retry-After': String(Math.max(1, Math.ceil(waitMs / 1_000))) } })
