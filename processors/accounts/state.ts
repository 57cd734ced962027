/** What a tenant has besides caps: its members, its tokens, and the resources its jobs work with. */
import type { Fact, MemberAddedMemberKind } from '../../schemas/events.generated.ts'
import type { EpochMicros } from '../../schemas/units.ts'
import type { Recorded } from '../processor.ts'
import { tuple } from '../tuple.ts'

/** Tokens of one member that work at the same time: all of them end in one decision when the member is removed. */
export const tokensPerMemberMax = 1_000

export type Accounts = {
  /** (tenant, token) → whether it was revoked, and whose it is. */
  tokens: Map<string, { isRevoked: boolean; memberId: string | null }>
  /** (tenant, member) → its tokens that were not revoked, and when they end by themselves. */
  memberTokens: Map<string, Map<string, EpochMicros | null>>
  /** Tenant → every member it ever added or removed, and what that is now. */
  members: Map<string, Map<string, MemberAddedMemberKind | 'removed'>>
  /** Tenant → erasures that were asked for and not reported yet. */
  erasures: Map<string, Set<string>>
  /** (tenant, label set) → hash of the version in force. */
  labelSets: Map<string, string>
  /** (tenant, hash) → where the vault keeps that version: jobs admitted under an earlier one still need it. */
  contentRefs: Map<string, string>
}

export const emptyAccounts = (): Accounts => ({
  tokens: new Map(),
  memberTokens: new Map(),
  members: new Map(),
  erasures: new Map(),
  labelSets: new Map(),
  contentRefs: new Map(),
})

/** Takes in one fact, in place. */
export function evolveAccounts(accounts: Accounts, fact: Fact): void {
  switch (fact.type) {
    case 'TokenIssued':
      return issue(accounts, fact)
    case 'TokenRevoked':
      return revoke(accounts, fact)
    case 'MemberAdded':
      membersOf(accounts, fact.tenantId).set(fact.memberId, fact.kind)
      return
    case 'MemberRemoved':
      membersOf(accounts, fact.tenantId).set(fact.memberId, 'removed')
      return
    case 'ErasureRequested': {
      const open = accounts.erasures.get(fact.tenantId) ?? new Set()
      accounts.erasures.set(fact.tenantId, open.add(fact.erasureId))
      return
    }
    case 'ContentErased': {
      const open = accounts.erasures.get(fact.tenantId)
      open?.delete(fact.erasureId)
      if (open?.size === 0) accounts.erasures.delete(fact.tenantId)
      return
    }
    case 'LabelSetRegistered':
      accounts.labelSets.set(tuple(fact.tenantId, fact.labelSetId), fact.hash)
      accounts.contentRefs.set(tuple(fact.tenantId, fact.hash), fact.payloadRef)
      return
  }
}

/** Tokens of a member that still work. */
export const liveTokens = (accounts: Accounts, tenantId: string, memberId: string, now: EpochMicros): string[] =>
  [...(accounts.memberTokens.get(tuple(tenantId, memberId)) ?? [])].flatMap(([tokenId, expiresAt]) =>
    expiresAt === null || expiresAt > now ? [tokenId] : [],
  )

function issue(accounts: Accounts, { tenantId, tokenId, memberId, expiresAt, occurredAt }: Recorded<'TokenIssued'>) {
  accounts.tokens.set(tuple(tenantId, tokenId), { isRevoked: false, memberId })
  if (memberId === null) return
  const key = tuple(tenantId, memberId)
  const known = accounts.memberTokens.get(key) ?? new Map<string, EpochMicros | null>()
  if (known.size >= tokensPerMemberMax)
    for (const [id, endsAt] of known) if (endsAt !== null && endsAt <= occurredAt) known.delete(id)
  known.set(tokenId, expiresAt)
  accounts.memberTokens.set(key, known)
}

function revoke(accounts: Accounts, { tenantId, tokenId }: Recorded<'TokenRevoked'>) {
  const token = accounts.tokens.get(tuple(tenantId, tokenId))
  if (!token) return
  token.isRevoked = true
  if (token.memberId === null) return
  const key = tuple(tenantId, token.memberId)
  const left = accounts.memberTokens.get(key)
  left?.delete(tokenId)
  if (left?.size === 0) accounts.memberTokens.delete(key)
}

function membersOf(accounts: Accounts, tenantId: string): Map<string, MemberAddedMemberKind | 'removed'> {
  const known = accounts.members.get(tenantId)
  if (known) return known
  const made = new Map<string, MemberAddedMemberKind | 'removed'>()
  accounts.members.set(tenantId, made)
  return made
}
