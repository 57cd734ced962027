/** What a tenant has besides caps: its members, its tokens, and the resources its jobs work with. */
import type { Fact, MemberAddedMemberKind } from '../../schemas/events.generated.ts'
import type { EpochMicros } from '../../schemas/units.ts'
import type { Recorded } from '../processor.ts'
import { tuple } from '../tuple.ts'

/** Tokens of one member that work at the same time: all of them end in one decision when the member is removed. */
export const tokensPerMemberMax = 1_000
/** Tokens of one tenant that work at the same time. Those that have ended are remembered until there are so many; then all are looked through. */
export const tokensPerTenantMax = 20_000
/** Versions of label sets of one tenant that jobs may need: those in force, and those replaced not long ago. */
export const contentsPerTenantMax = 10_000
/** After this no job that was admitted under a version is open: twice the longest deadline, in microseconds. */
export const contentNeededMicros = 172_800_000_000n

/** `endsAt`: when it was revoked, or expires; null for neither. */
type Token = { endsAt: EpochMicros | null; memberId: string | null }
/** `ref`: where the vault keeps it; `replacedAt`: since when it is in force nowhere, null while it is. */
type LabelSetContent = { ref: string; replacedAt: EpochMicros | null }

export type Accounts = {
  /** Tenant → its tokens. */
  tokens: Map<string, Map<string, Token>>
  /** (tenant, member) → its tokens that were not revoked, and when they end by themselves. */
  memberTokens: Map<string, Map<string, EpochMicros | null>>
  /** Tenant → every member it ever added or removed, and what that is now. */
  members: Map<string, Map<string, MemberAddedMemberKind | 'removed'>>
  /** Tenant → erasures that were asked for and not reported yet. */
  erasures: Map<string, Set<string>>
  /** Tenant → its label sets, and the hash of the version that is in force of each. */
  labelSets: Map<string, Map<string, string>>
  /** Tenant → versions of label sets by hash: jobs admitted under an earlier one still need it. */
  labelSetContents: Map<string, Map<string, LabelSetContent>>
}

export const emptyAccounts = (): Accounts => ({
  tokens: new Map(),
  memberTokens: new Map(),
  members: new Map(),
  erasures: new Map(),
  labelSets: new Map(),
  labelSetContents: new Map(),
})

/** Takes in one fact, in place. */
export function evolveAccounts(accounts: Accounts, fact: Fact): void {
  switch (fact.type) {
    case 'TokenIssued':
      return issue(accounts, fact)
    case 'TokenRevoked':
      return revoke(accounts, fact)
    case 'MemberAdded':
      madeIn(accounts.members, fact.tenantId).set(fact.memberId, fact.kind)
      return
    case 'MemberRemoved':
      madeIn(accounts.members, fact.tenantId).set(fact.memberId, 'removed')
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
      return registerLabelSet(accounts, fact)
  }
}

/** Tokens of a member that still work. */
export const liveTokens = (accounts: Accounts, tenantId: string, memberId: string, now: EpochMicros): string[] =>
  [...(accounts.memberTokens.get(tuple(tenantId, memberId)) ?? [])].flatMap(([tokenId, expiresAt]) =>
    isOver(expiresAt, now) ? [] : [tokenId],
  )

/** Whether the tenant has as many tokens that work as it may. */
export function hasAllTokens(accounts: Accounts, tenantId: string, now: EpochMicros): boolean {
  const known = accounts.tokens.get(tenantId)
  if (!known || known.size < tokensPerTenantMax) return false
  return count(known.values(), ({ endsAt }) => !isOver(endsAt, now)) >= tokensPerTenantMax
}

/** Where the vault keeps a version of a label set that a job was admitted under; undefined for one that no open job can need. */
export const contentRefOf = (accounts: Accounts, tenantId: string, hash: string): string | undefined =>
  accounts.labelSetContents.get(tenantId)?.get(hash)?.ref

/** Whether the tenant has as many versions of label sets as it may, without one of that hash. */
export function hasAllContents(accounts: Accounts, tenantId: string, hash: string, now: EpochMicros): boolean {
  const known = accounts.labelSetContents.get(tenantId)
  if (!known || known.size < contentsPerTenantMax || known.has(hash)) return false
  return count(known.values(), (content) => isNeeded(content, now)) >= contentsPerTenantMax
}

function count<Value>(values: Iterable<Value>, isCounted: (value: Value) => boolean): number {
  let counted = 0
  for (const value of values) if (isCounted(value)) counted += 1
  return counted
}

const isOver = (endsAt: EpochMicros | null, now: EpochMicros): boolean => endsAt !== null && endsAt <= now
const isNeeded = ({ replacedAt }: LabelSetContent, now: EpochMicros): boolean =>
  replacedAt === null || replacedAt + contentNeededMicros > now

function issue(accounts: Accounts, { tenantId, tokenId, memberId, expiresAt, occurredAt }: Recorded<'TokenIssued'>) {
  const tokens = madeIn(accounts.tokens, tenantId)
  if (tokens.size >= tokensPerTenantMax)
    for (const [id, { endsAt }] of tokens) if (isOver(endsAt, occurredAt)) tokens.delete(id)
  tokens.set(tokenId, { endsAt: expiresAt, memberId })
  if (memberId === null) return
  const key = tuple(tenantId, memberId)
  const known = accounts.memberTokens.get(key) ?? new Map<string, EpochMicros | null>()
  if (known.size >= tokensPerMemberMax)
    for (const [id, endsAt] of known) if (isOver(endsAt, occurredAt)) known.delete(id)
  known.set(tokenId, expiresAt)
  accounts.memberTokens.set(key, known)
}

function revoke(accounts: Accounts, { tenantId, tokenId, occurredAt }: Recorded<'TokenRevoked'>) {
  const token = accounts.tokens.get(tenantId)?.get(tokenId)
  if (!token) return
  if (!isOver(token.endsAt, occurredAt)) token.endsAt = occurredAt
  if (token.memberId === null) return
  const key = tuple(tenantId, token.memberId)
  const left = accounts.memberTokens.get(key)
  left?.delete(tokenId)
  if (left?.size === 0) accounts.memberTokens.delete(key)
}

function registerLabelSet(accounts: Accounts, fact: Recorded<'LabelSetRegistered'>) {
  const { tenantId, labelSetId, hash, payloadRef, occurredAt } = fact
  const sets = madeIn(accounts.labelSets, tenantId)
  const contents = madeIn(accounts.labelSetContents, tenantId)
  const before = sets.get(labelSetId)
  sets.set(labelSetId, hash)
  if (contents.size >= contentsPerTenantMax)
    for (const [old, content] of contents) if (!isNeeded(content, occurredAt)) contents.delete(old)
  contents.set(hash, { ref: payloadRef, replacedAt: null })
  const replaced = before === undefined ? undefined : contents.get(before)
  if (replaced && ![...sets.values()].includes(before ?? '')) replaced.replacedAt = occurredAt
}

function madeIn<Value>(byTenant: Map<string, Map<string, Value>>, tenantId: string): Map<string, Value> {
  const known = byTenant.get(tenantId)
  if (known) return known
  const made = new Map<string, Value>()
  byTenant.set(tenantId, made)
  return made
}
