/** What a tenant has besides caps: its tokens, and the resources its jobs work with. */
import type { Fact } from '../../schemas/events.generated.ts'
import { tuple } from '../tuple.ts'

export type Accounts = {
  /** (tenant, token) → whether it still works. */
  tokens: Map<string, 'issued' | 'revoked'>
  /** (tenant, label set) → hash of the version in force. */
  labelSets: Map<string, string>
  /** (tenant, hash) → where the vault keeps that version: jobs admitted under an earlier one still need it. */
  contentRefs: Map<string, string>
}

export const emptyAccounts = (): Accounts => ({ tokens: new Map(), labelSets: new Map(), contentRefs: new Map() })

/** Takes in one fact, in place. */
export function evolveAccounts(accounts: Accounts, fact: Fact): void {
  switch (fact.type) {
    case 'TokenIssued':
      accounts.tokens.set(tuple(fact.tenantId, fact.tokenId), 'issued')
      return
    case 'TokenRevoked':
      accounts.tokens.set(tuple(fact.tenantId, fact.tokenId), 'revoked')
      return
    case 'LabelSetRegistered':
      accounts.labelSets.set(tuple(fact.tenantId, fact.labelSetId), fact.hash)
      accounts.contentRefs.set(tuple(fact.tenantId, fact.hash), fact.payloadRef)
      return
  }
}
