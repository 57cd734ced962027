/** What is remembered of tokens and members, and what is let go again. */
import { expect, test } from 'vitest'
import type { FactBody } from '../../schemas/events.generated.ts'
import { noon, Scene, tenantId } from '../testing/given.ts'
import { tuple } from '../tuple.ts'
import { membersPerTenantMax } from './decide.ts'
import { liveTokens, tokensPerMemberMax } from './state.ts'

type TokenIssued = Extract<FactBody, { type: 'TokenIssued' }>
const issued = (tokenId: string, more: Partial<TokenIssued> = {}): TokenIssued => ({
  type: 'TokenIssued',
  tokenId,
  secretHash: 'ab12',
  role: 'submitter',
  memberId: 'agent-7',
  expiresAt: null,
  ...more,
})
const revoked = (tokenId: string): FactBody => ({ type: 'TokenRevoked', tokenId })
const ofMember = (scene: Scene, memberId = 'agent-7') =>
  scene.state.accounts.memberTokens.get(tuple(tenantId, memberId))

test('a token works until the moment it expires, and until it is revoked', () => {
  const scene = new Scene()
  scene.take(issued('a', { expiresAt: noon + 10n }))
  scene.take(issued('b'))
  expect(scene.state.accounts.tokens.get(tuple(tenantId, 'a'))).toEqual({ isRevoked: false, memberId: 'agent-7' })
  const live = (now: bigint) => liveTokens(scene.state.accounts, tenantId, 'agent-7', now)
  expect([live(noon + 9n), live(noon + 10n)]).toEqual([['a', 'b'], ['b']])
  scene.take(revoked('b'))
  expect(live(noon + 9n)).toEqual(['a'])
  expect(liveTokens(scene.state.accounts, tenantId, 'nobody', noon)).toEqual([])
})

test('a token of nobody is no token of a member, and is revoked like any other', () => {
  const scene = new Scene()
  scene.take(issued('a', { memberId: null }))
  expect([...scene.state.accounts.memberTokens]).toEqual([])
  scene.take(revoked('a'))
  expect(scene.state.accounts.tokens.get(tuple(tenantId, 'a'))).toEqual({ isRevoked: true, memberId: null })
})

test('a member whose last token was revoked is not remembered; a token that was never issued changes nothing', () => {
  const scene = new Scene()
  scene.take(issued('a'))
  scene.take(issued('b'))
  scene.take(revoked('a'))
  expect([...(ofMember(scene)?.keys() ?? [])]).toEqual(['b'])
  scene.take(revoked('unknown'))
  scene.take(revoked('b'))
  expect(ofMember(scene)).toBeUndefined()
})

test('expired tokens are forgotten when a member has as many as it may, and not before', () => {
  const scene = new Scene()
  for (let n = 0; n < tokensPerMemberMax; n++)
    scene.take(issued(`k${n}`, { expiresAt: n < 3 ? noon + BigInt(n) * 1_000_000n : null }))
  expect(ofMember(scene)?.size).toBe(tokensPerMemberMax)
  scene.take(issued('next'))
  expect(ofMember(scene)?.size).toBe(tokensPerMemberMax - 3 + 1)
  expect(ofMember(scene)?.has('k3')).toBe(true)
})

test('a token that expires at the very moment another is issued is expired', () => {
  const scene = new Scene()
  for (let n = 0; n < tokensPerMemberMax; n++) {
    const issuedAt = scene.now + 1_000_000n * BigInt(tokensPerMemberMax - n + 1)
    scene.take(issued(`k${n}`, { expiresAt: n === 0 ? issuedAt : n === 1 ? issuedAt + 1_000_001n : null }))
  }
  scene.take(issued('next'))
  expect([ofMember(scene)?.has('k0'), ofMember(scene)?.has('k1')]).toEqual([false, true])
})

test('a tenant has so many members and no more; those it has can still be changed', () => {
  const scene = new Scene()
  const members = new Map(Array.from({ length: membersPerTenantMax - 1 }, (_, n) => [`m${n}`, 'agent' as const]))
  scene.state.accounts.members.set(tenantId, members)
  const refused = (memberId: string, requestType: string) => [
    { type: 'RequestRefused', tenantId, requestType, reason: 'too_many', subject: memberId },
  ]
  scene.take(issued('a', { memberId: 'never-added' }))
  scene.take({ type: 'MemberAdded', memberId: 'last', kind: 'staff' })
  const ask = (type: 'AddMember' | 'RemoveMember', memberId: string) =>
    scene.ask(type === 'AddMember' ? { type, memberId, kind: 'user' } : { type, memberId })
  expect(ask('AddMember', 'one-more')).toEqual(refused('one-more', 'AddMember'))
  expect(ask('RemoveMember', 'never-added')).toEqual(refused('never-added', 'RemoveMember'))
  expect(ask('AddMember', 'last')).toMatchObject([{ type: 'MemberAdded', kind: 'user' }])
})
