/** The platform administrator's token: from the environment, or made by a start, shown once, and kept as a hash from then on. */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Random } from '../platform/clock.ts'
import { tokenHash } from '../producers/index.ts'

export type RootToken = {
  /** SHA-256 in hex. */
  hash: string
  /** When none was kept. */
  made?: MadeToken
}

export type MadeToken = {
  token: string
  /**
   * For when somebody has been shown it. A start that ends before, also between the two, leaves nothing behind, and the next
   * one shows another: nobody is left with a token that was never seen.
   */
  keep(): Promise<void>
}

/** A token from the environment is used as it is and kept nowhere. */
export async function rootToken(given: string | undefined, dataDir: string, random: Random): Promise<RootToken> {
  if (given !== undefined) return { hash: tokenHash(given) }
  const path = join(dataDir, 'root-token.sha256')
  const kept = await readFile(path, 'utf8').catch(() => undefined)
  if (kept !== undefined && /^[0-9a-f]{64}\s*$/.test(kept)) return { hash: kept.trim() }
  const token = `pf3_${Buffer.from(random.bytes(32)).toString('base64url')}`
  const hash = tokenHash(token)
  return { hash, made: { token, keep: () => writeFile(path, `${hash}\n`, { mode: 0o600 }) } }
}
