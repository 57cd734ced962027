/** Answers requests about a tenant's members, tokens and label sets, and puts acts of platform admins on record. Pure. */
import { refusal } from '../directory/decide.ts'
import type { Directory } from '../directory/state.ts'
import type { Draft, Moment, Requested } from '../processor.ts'
import { type Accounts, hasAllContents, hasAllTokens, liveTokens, tokensPerMemberMax } from './state.ts'

/** Ids of members that a tenant ever added or removed. */
export const membersPerTenantMax = 100_000
/** Label sets that a tenant ever registered. */
export const labelSetsPerTenantMax = 1_000

/**
 * A token id that is already taken is refused: ids are random, so only a repeated request meets this. A member need not
 * have been added, but one that was removed gets no token.
 */
export function decideIssueToken(
  request: Requested<'IssueToken'>,
  accounts: Accounts,
  directory: Directory,
  { now }: Moment,
): Draft[] {
  const refuse = refusal(request, request.tokenId)
  if (!directory.tenants.has(request.tenantId)) return refuse('tenant_unknown')
  if (accounts.tokens.get(request.tenantId)?.has(request.tokenId)) return refuse('token_exists')
  if (hasAllTokens(accounts, request.tenantId, now)) return refuse('too_many')
  const { tenantId, tokenId, secretHash, role, memberId, expiresAt } = request
  if (memberId !== null) {
    if (accounts.members.get(tenantId)?.get(memberId) === 'removed') return refuse('member_removed')
    if (liveTokens(accounts, tenantId, memberId, now).length >= tokensPerMemberMax) return refuse('too_many')
  }
  return [{ type: 'TokenIssued', tenantId, tokenId, secretHash, role, memberId, expiresAt }]
}

/** Revoking twice is answered twice; both times the token does not work. One that ended long ago may be unknown. */
export function decideRevokeToken(request: Requested<'RevokeToken'>, accounts: Accounts): Draft[] {
  const { tenantId, tokenId } = request
  if (!accounts.tokens.get(tenantId)?.has(tokenId)) return refusal(request, tokenId)('token_unknown')
  return [{ type: 'TokenRevoked', tenantId, tokenId }]
}

/** Adding a member that is there is answered again; of another kind, it is of that kind from now on. */
export function decideAddMember(request: Requested<'AddMember'>, accounts: Accounts, directory: Directory): Draft[] {
  const { tenantId, memberId, kind } = request
  const refuse = refusal(request, memberId)
  if (!directory.tenants.has(tenantId)) return refuse('tenant_unknown')
  const members = accounts.members.get(tenantId)
  if (!members?.has(memberId) && (members?.size ?? 0) >= membersPerTenantMax) return refuse('too_many')
  return [{ type: 'MemberAdded', tenantId, memberId, kind }]
}

/** One that was never added can be removed too when it has tokens, or was removed before: it is gone either way. */
export function decideRemoveMember(request: Requested<'RemoveMember'>, accounts: Accounts, { now }: Moment): Draft[] {
  const { tenantId, memberId } = request
  const refuse = refusal(request, memberId)
  const members = accounts.members.get(tenantId)
  const tokenIds = liveTokens(accounts, tenantId, memberId, now)
  if (!members?.has(memberId)) {
    if (tokenIds.length === 0) return refuse('member_unknown')
    if ((members?.size ?? 0) >= membersPerTenantMax) return refuse('too_many')
  }
  return [
    { type: 'MemberRemoved', tenantId, memberId },
    ...tokenIds.map((tokenId): Draft => ({ type: 'TokenRevoked', tenantId, tokenId })),
  ]
}

/** Every act is on record by itself, also when the same is done twice. */
export function decideRecordAdminAct(request: Requested<'RecordAdminAct'>, directory: Directory): Draft[] {
  const { tenantId, justification, method, route, path } = request
  if (!directory.tenants.has(tenantId)) return refusal(request, tenantId)('tenant_unknown')
  return [{ type: 'AdminActed', tenantId, justification, method, route, path }]
}

/** The version in force is registered again when it is asked for again. */
export function decideRegisterLabelSet(
  request: Requested<'RegisterLabelSet'>,
  accounts: Accounts,
  directory: Directory,
  { now }: Moment,
): Draft[] {
  const { tenantId, labelSetId, hash, payloadRef, payloadBytes, labelCount, exampleCount } = request
  const refuse = refusal(request, labelSetId)
  if (!directory.tenants.has(tenantId)) return refuse('tenant_unknown')
  const sets = accounts.labelSets.get(tenantId)
  if (!sets?.has(labelSetId) && (sets?.size ?? 0) >= labelSetsPerTenantMax) return refuse('too_many')
  if (hasAllContents(accounts, tenantId, hash, now)) return refuse('too_many')
  return [
    { type: 'LabelSetRegistered', tenantId, labelSetId, hash, payloadRef, payloadBytes, labelCount, exampleCount },
  ]
}

export const contentDaysMin = 7
export const contentDaysMax = 90
/** Erasures of one tenant that were asked for and not carried out yet. */
export const erasuresPerTenantMax = 10

export function decideSetRetention(request: Requested<'SetRetention'>, directory: Directory): Draft[] {
  const { tenantId, contentDays } = request
  const refuse = refusal(request, String(contentDays))
  if (!directory.tenants.has(tenantId)) return refuse('tenant_unknown')
  if (contentDays < contentDaysMin || contentDays > contentDaysMax) return refuse('days_invalid')
  return [{ type: 'RetentionSet', tenantId, contentDays }]
}

export function decideEraseContent(
  request: Requested<'EraseContent'>,
  accounts: Accounts,
  directory: Directory,
): Draft[] {
  const { tenantId, erasureId } = request
  const refuse = refusal(request, erasureId)
  if (!directory.tenants.has(tenantId)) return refuse('tenant_unknown')
  if ((accounts.erasures.get(tenantId)?.size ?? 0) >= erasuresPerTenantMax) return refuse('too_many')
  return [{ type: 'ErasureRequested', tenantId, erasureId }]
}

/** Two processes may carry out the same erasure: the first that says so is on record. */
export function decideReportErased(request: Requested<'ReportErased'>, accounts: Accounts): Draft[] {
  const { tenantId, erasureId, keys, payloads } = request
  if (!accounts.erasures.get(tenantId)?.has(erasureId)) return refusal(request, erasureId)('erasure_unknown')
  return [{ type: 'ContentErased', tenantId, erasureId, keys, payloads }]
}
