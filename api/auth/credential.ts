/** The credential that a request goes by: looked at again where the request takes long, since it may have ended meanwhile. */
import { type AuthenticateParts, authenticate } from './authenticate.ts'
import type { Principal } from './principal.ts'

export type Credential = {
  who: Principal
  /** Throws as `authenticate` does when it is no longer good; one that was looked at less than `ageMsMax` ago is. */
  check(ageMsMax: number): Promise<void>
}

/** Throws as `authenticate` does. */
export async function credentialOf(authorization: string | undefined, parts: AuthenticateParts): Promise<Credential> {
  const { clock } = parts
  let lookedMs = clock.nowMs()
  return {
    who: await authenticate(authorization, parts),
    async check(ageMsMax) {
      const nowMs = clock.nowMs()
      if (Math.abs(nowMs - lookedMs) < ageMsMax) return
      await authenticate(authorization, parts)
      lookedMs = nowMs
    },
  }
}
