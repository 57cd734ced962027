/** What is remembered of tokens and members, and what is let go again. */
import { expect, test } from 'vitest'
import type { FactBody } from '../../schemas/events.generated.ts'
import { noon, Scene, tenantId } from '../testing/given.ts'
import { tuple } from '../tuple.ts'
import { labelSetsPerTenantMax, membersPerTenantMax } from './decide.ts'
import {
  contentNeededMicros,
  contentRefOf,
  contentsPerTenantMax,
  liveTokens,
  tokensPerMemberMax,
  tokensPerTenantMax,
} from './state.ts'

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
  expect(scene.state.accounts.tokens.get(tenantId)?.get('a')).toEqual({ endsAt: noon + 10n, memberId: 'agent-7' })
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
  expect(scene.state.accounts.tokens.get(tenantId)?.get('a')).toEqual({ endsAt: scene.now, memberId: null })
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

test('a tenant has so many tokens that work and no more, however many have ended', () => {
  const scene = new Scene()
  const tokens = Array.from({ length: tokensPerTenantMax - 2 }, (_, n): [string, { endsAt: null; memberId: null }] => [
    `t${n}`,
    { endsAt: null, memberId: null },
  ])
  scene.state.accounts.tokens.set(tenantId, new Map(tokens))
  const ask = (tokenId: string) =>
    scene.ask({ type: 'IssueToken', tokenId, secretHash: 'ab12', role: 'reader', memberId: null, expiresAt: null })
  scene.take(issued('expired', { memberId: null, expiresAt: noon }))
  scene.take(issued('revoked', { memberId: null }))
  scene.take(revoked('revoked'))
  expect(ask('first')).toMatchObject([{ type: 'TokenIssued' }])
  expect(scene.state.accounts.tokens.get(tenantId)?.size).toBe(tokensPerTenantMax - 1)
  expect(ask('second')).toMatchObject([{ type: 'TokenIssued' }])
  expect(ask('third')).toMatchObject([{ type: 'RequestRefused', reason: 'too_many', subject: 'third' }])
  scene.take(revoked('first'))
  expect(ask('third')).toMatchObject([{ type: 'TokenIssued' }])
})

const registered = (labelSetId: string, hash: string): Extract<FactBody, { type: 'LabelSetRegistered' }> => ({
  type: 'LabelSetRegistered',
  labelSetId,
  hash,
  payloadRef: `vault-${hash}`,
  payloadBytes: 20n,
  labelCount: 2,
  exampleCount: 3,
})
const register = (scene: Scene, labelSetId: string, hash: string) =>
  scene.ask({ ...registered(labelSetId, hash), type: 'RegisterLabelSet' })

test('versions of label sets are kept while jobs may need them, and there are so many and no more', () => {
  const scene = new Scene()
  const refOf = (hash: string) => contentRefOf(scene.state.accounts, tenantId, hash)
  for (let n = 0; n < contentsPerTenantMax - 1; n++) scene.take(registered('folders', `v${n}`))
  scene.take(registered('twin', `v${contentsPerTenantMax - 2}`))
  scene.take(registered('folders', 'last'))
  expect(register(scene, 'folders', 'more')).toMatchObject([{ type: 'RequestRefused', reason: 'too_many' }])
  expect(register(scene, 'folders', 'v0')).toMatchObject([{ type: 'LabelSetRegistered' }])
  expect(refOf('v1')).toBe('vault-v1')
  scene.now += contentNeededMicros
  expect(register(scene, 'folders', 'more')).toMatchObject([{ type: 'LabelSetRegistered' }])
  expect([refOf('v1'), refOf('more'), refOf(`v${contentsPerTenantMax - 2}`)]).toEqual([
    undefined,
    'vault-more',
    `vault-v${contentsPerTenantMax - 2}`, // In force in the other set.
  ])
  expect(refOf('v0')).toBe('vault-v0') // Replaced a moment ago.
})

test('a tenant has so many label sets and no more; those it has can still be replaced', () => {
  const scene = new Scene()
  for (let n = 0; n < labelSetsPerTenantMax; n++) scene.take(registered(`set-${n}`, 'same'))
  expect(register(scene, 'one-more', 'same')).toMatchObject([{ type: 'RequestRefused', reason: 'too_many' }])
  expect(register(scene, 'set-0', 'other')).toMatchObject([{ type: 'LabelSetRegistered' }])
})
