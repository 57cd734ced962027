/** Asks that a token of a tenant stop working. */
import type { Appended, Caller, RequestAppender } from './append-request.ts'

/** Revoking twice is answered twice; a token that never was is refused with `token_unknown`. */
export const revokeToken = (
  appender: RequestAppender,
  caller: Caller,
  token: { tenantId: string; tokenId: string },
): Promise<Appended> => appender.append(caller, { type: 'RevokeToken', ...token })
