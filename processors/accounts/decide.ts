/** Answers requests about a tenant's tokens and label sets, and puts acts of platform admins on record. Pure. */
import { refusal } from '../directory/decide.ts'
import type { Directory } from '../directory/state.ts'
import type { Draft, Requested } from '../processor.ts'
import { tuple } from '../tuple.ts'
import type { Accounts } from './state.ts'

/** A token id that is already taken is refused: ids are random, so only a repeated request meets this. */
export function decideIssueToken(request: Requested<'IssueToken'>, accounts: Accounts, directory: Directory): Draft[] {
  const refuse = refusal(request, request.tokenId)
  if (!directory.tenants.has(request.tenantId)) return refuse('tenant_unknown')
  if (accounts.tokens.has(tuple(request.tenantId, request.tokenId))) return refuse('token_exists')
  const { tenantId, tokenId, secretHash, role, memberId, expiresAt } = request
  return [{ type: 'TokenIssued', tenantId, tokenId, secretHash, role, memberId, expiresAt }]
}

/** Revoking twice is answered twice; both times the token does not work. */
export function decideRevokeToken(request: Requested<'RevokeToken'>, accounts: Accounts): Draft[] {
  const { tenantId, tokenId } = request
  if (!accounts.tokens.has(tuple(tenantId, tokenId))) return refusal(request, tokenId)('token_unknown')
  return [{ type: 'TokenRevoked', tenantId, tokenId }]
}

/** Every act is on record by itself, also when the same is done twice. */
export function decideRecordAdminAct(request: Requested<'RecordAdminAct'>, directory: Directory): Draft[] {
  const { tenantId, justification, method, route, path } = request
  if (!directory.tenants.has(tenantId)) return refusal(request, tenantId)('tenant_unknown')
  return [{ type: 'AdminActed', tenantId, justification, method, route, path }]
}

export function decideRegisterLabelSet(request: Requested<'RegisterLabelSet'>, directory: Directory): Draft[] {
  const { tenantId, labelSetId, hash, payloadRef, payloadBytes, labelCount, exampleCount } = request
  if (!directory.tenants.has(tenantId)) return refusal(request, labelSetId)('tenant_unknown')
  return [
    { type: 'LabelSetRegistered', tenantId, labelSetId, hash, payloadRef, payloadBytes, labelCount, exampleCount },
  ]
}
