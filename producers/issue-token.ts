/** Asks for a new token of a tenant. The token itself is made here, given to the caller once, and kept nowhere. */
import { createHash } from 'node:crypto'
import type { Random } from '../platform/clock.ts'
import type { IssueTokenBody } from '../schemas/events.generated.ts'
import { idFrom } from '../schemas/ids.ts'
import { type Appended, type Caller, type RequestAppender, randomText } from './append-request.ts'

export type TokenRequest = { tenantId: string } & Pick<IssueTokenBody, 'role' | 'memberId' | 'expiresAt'>

const tokenBytes = 32

/** `token` works once the owner's fact is readable. Asked again, another token is issued. */
export async function issueToken(
  appender: RequestAppender,
  random: Random,
  caller: Caller,
  asked: TokenRequest,
): Promise<Appended & { tokenId: string; token: string }> {
  const token = `pf3_${Buffer.from(random.bytes(tokenBytes)).toString('base64url')}`
  const tokenId = idFrom('tok', randomText(random))
  const appended = await appender.append(caller, {
    type: 'IssueToken',
    ...asked,
    tokenId,
    secretHash: tokenHash(token),
  })
  return { ...appended, tokenId, token }
}

/**
 * What is kept of a token: SHA-256 in hex. A token has 256 random bits, so a slow hash would protect nothing that a
 * fast one does not.
 */
export const tokenHash = (token: string): string => createHash('sha256').update(token, 'utf8').digest('hex')
