/** Shuts the real clock, timers and chance out of a simulation: whoever reaches for them, a library too, is told so. */
import crypto from 'node:crypto'
import { syncBuiltinESMExports } from 'node:module'

/** There is no way back: for a process that does nothing but simulate. */
export function shutOutRealWorld(): void {
  const refuse = (what: string) => () => {
    throw new Error(`${what} was used inside the simulation: take a Clock or a Random.`)
  }
  for (const name of ['setTimeout', 'setInterval', 'setImmediate'] as const)
    Object.defineProperty(globalThis, name, { value: refuse(name) })
  Math.random = refuse('Math.random')
  performance.now = refuse('performance.now')
  AbortSignal.timeout = refuse('AbortSignal.timeout')
  const RealDate = Date
  RealDate.now = refuse('Date.now')
  globalThis.Date = new Proxy(RealDate, {
    construct(target, given, newTarget) {
      if (given.length === 0) return refuse('new Date()')()
      return Reflect.construct(target, given, newTarget) as object
    },
  })
  for (const name of ['randomBytes', 'randomUUID', 'randomInt', 'randomFillSync'] as const)
    Object.defineProperty(crypto, name, { value: refuse(`crypto.${name}`) })
  globalThis.crypto.getRandomValues = refuse('crypto.getRandomValues')
  syncBuiltinESMExports()
}
