import { describe, expect, test } from 'vitest'
import type { FactBody, RequestBody } from '../../schemas/events.generated.ts'
import { noon, Scene, submit, tenantId } from '../testing/given.ts'
import { erasuresPerTenantMax } from './decide.ts'
import { contentRefOf, tokensPerMemberMax } from './state.ts'

const issue = (tokenId: string): Extract<RequestBody, { type: 'IssueToken' }> => ({
  type: 'IssueToken',
  tokenId,
  secretHash: 'ab12',
  role: 'submitter',
  memberId: 'agent-7',
  expiresAt: 1_800_000_000_000_000n,
})
const revoke = (tokenId: string): RequestBody => ({ type: 'RevokeToken', tokenId })
const register = (hash: string): Extract<RequestBody, { type: 'RegisterLabelSet' }> => ({
  type: 'RegisterLabelSet',
  labelSetId: 'folders',
  hash,
  payloadRef: `vault-${hash}`,
  payloadBytes: 20n,
  labelCount: 2,
  exampleCount: 3,
})
const refused = (
  requestType: string,
  reason: Extract<FactBody, { type: 'RequestRefused' }>['reason'],
  subject: string,
) => [{ type: 'RequestRefused', tenantId, requestType, reason, subject }]
/** A partition whose directory does not know the tenant. */
const strangers = (): Scene => {
  const scene = new Scene()
  scene.directory.tenants.delete(tenantId)
  return scene
}

describe('a token', () => {
  test('is issued as it was asked for', () => {
    expect(new Scene().ask(issue('k1'))).toEqual([{ ...issue('k1'), type: 'TokenIssued', tenantId }])
  })

  test('is refused under an id that is taken, also when that token was revoked', () => {
    const scene = new Scene()
    scene.ask(issue('k1'))
    expect(scene.ask(issue('k1'))).toEqual(refused('IssueToken', 'token_exists', 'k1'))
    scene.ask(revoke('k1'))
    expect(scene.ask(issue('k1'))).toEqual(refused('IssueToken', 'token_exists', 'k1'))
    expect(scene.ask(issue('k2'))).toHaveLength(1)
  })

  test('is refused for a tenant nobody registered', () => {
    expect(strangers().ask(issue('k1'))).toEqual(refused('IssueToken', 'tenant_unknown', 'k1'))
  })

  test('is revoked, and revoking it again says so again', () => {
    const scene = new Scene()
    scene.ask(issue('k1'))
    expect(scene.ask(revoke('k1'))).toEqual([{ type: 'TokenRevoked', tenantId, tokenId: 'k1' }])
    expect(scene.ask(revoke('k1'))).toEqual([{ type: 'TokenRevoked', tenantId, tokenId: 'k1' }])
    expect(scene.state.accounts.tokens.get(tenantId)?.get('k1')?.endsAt).not.toBeNull()
  })

  test('that never was cannot be revoked', () => {
    expect(new Scene().ask(revoke('k1'))).toEqual(refused('RevokeToken', 'token_unknown', 'k1'))
  })
})

describe('a member', () => {
  const add = (memberId: string, kind: 'agent' | 'staff' | 'user' = 'agent') =>
    ({ type: 'AddMember', memberId, kind }) as const
  const remove = (memberId: string): RequestBody => ({ type: 'RemoveMember', memberId })
  const token = (tokenId: string, over: Partial<ReturnType<typeof issue>> = {}) => ({ ...issue(tokenId), ...over })

  test('is added, and again when it is of another kind', () => {
    const scene = new Scene()
    expect(scene.ask(add('agent-7'))).toEqual([{ ...add('agent-7'), type: 'MemberAdded', tenantId }])
    expect(scene.ask(add('agent-7', 'staff'))).toEqual([
      { type: 'MemberAdded', tenantId, memberId: 'agent-7', kind: 'staff' },
    ])
  })

  test('is refused in a tenant nobody registered', () => {
    expect(strangers().ask(add('agent-7'))).toEqual(refused('AddMember', 'tenant_unknown', 'agent-7'))
  })

  test('takes its tokens with it, and no others: not those that were revoked, have expired, or are of somebody else', () => {
    const scene = new Scene()
    scene.ask(add('agent-7'))
    scene.ask(token('k1'))
    scene.ask(token('k2', { expiresAt: null }))
    scene.ask(token('expired', { expiresAt: noon }))
    scene.ask(token('revoked'))
    scene.ask(revoke('revoked'))
    scene.ask(token('other', { memberId: 'agent-8' }))
    scene.ask(token('nobody', { memberId: null }))
    expect(scene.ask(remove('agent-7'))).toEqual([
      { type: 'MemberRemoved', tenantId, memberId: 'agent-7' },
      { type: 'TokenRevoked', tenantId, tokenId: 'k1' },
      { type: 'TokenRevoked', tenantId, tokenId: 'k2' },
    ])
    expect(scene.ask(remove('agent-7'))).toEqual([{ type: 'MemberRemoved', tenantId, memberId: 'agent-7' }])
  })

  test('that was removed gets no token until it is added again', () => {
    const scene = new Scene()
    scene.ask(add('agent-7'))
    scene.ask(remove('agent-7'))
    expect(scene.ask(token('k1'))).toEqual(refused('IssueToken', 'member_removed', 'k1'))
    scene.ask(add('agent-7'))
    expect(scene.ask(token('k2'))).toMatchObject([{ type: 'TokenIssued', memberId: 'agent-7' }])
  })

  test('that was never added may have tokens, and can be removed with them', () => {
    const scene = new Scene()
    expect(scene.ask(remove('agent-7'))).toEqual(refused('RemoveMember', 'member_unknown', 'agent-7'))
    scene.ask(token('k1'))
    expect(scene.ask(remove('agent-7'))).toMatchObject([{ type: 'MemberRemoved' }, { type: 'TokenRevoked' }])
    expect(scene.ask(token('k2'))).toEqual(refused('IssueToken', 'member_removed', 'k2'))
  })

  test('has so many tokens and no more, of which those that have expired do not count', () => {
    const scene = new Scene()
    const endsSoon = noon + 3_600_000_000n
    for (let n = 0; n < tokensPerMemberMax; n++)
      scene.take({ ...token(`k${n}`, { expiresAt: n < 2 ? endsSoon : null }), type: 'TokenIssued' })
    expect(scene.ask(token('one-more'))).toEqual(refused('IssueToken', 'too_many', 'one-more'))
    scene.now = endsSoon
    expect(scene.ask(token('next'))).toHaveLength(1)
    expect(scene.ask(token('last'))).toHaveLength(1)
    expect(scene.ask(token('one-more'))).toEqual(refused('IssueToken', 'too_many', 'one-more'))
  })
})

describe('an act of a platform admin', () => {
  const record: Extract<RequestBody, { type: 'RecordAdminAct' }> = {
    type: 'RecordAdminAct',
    justification: 'Support case 4711',
    method: 'POST',
    route: '/v1/tenants/{t}/tokens',
    path: '/v1/tenants/harbor/tokens',
  }

  test('is on record as it was justified, once for every time', () => {
    const scene = new Scene()
    for (let time = 0; time < 2; time++)
      expect(scene.ask(record)).toEqual([{ ...record, type: 'AdminActed', tenantId }])
  })

  test('is refused in a tenant nobody registered', () => {
    expect(strangers().ask(record)).toEqual(refused('RecordAdminAct', 'tenant_unknown', tenantId))
  })
})

describe('a label set', () => {
  test('is registered as it was asked for, and jobs use the version in force when they are admitted', () => {
    const scene = new Scene()
    expect(scene.ask(register('v1'))).toEqual([{ ...register('v1'), type: 'LabelSetRegistered', tenantId }])
    expect(scene.ask(submit('job-1', { resourceId: 'folders' })).at(-1)).toMatchObject({ resourceHash: 'v1' })
    scene.ask(register('v2'))
    expect(scene.ask(submit('job-2', { resourceId: 'folders' })).at(-1)).toMatchObject({ resourceHash: 'v2' })
  })

  test('keeps the place of every earlier version, which jobs admitted under it still need', () => {
    const scene = new Scene()
    scene.ask(register('v1'))
    scene.ask(register('v2'))
    for (const hash of ['v1', 'v2']) expect(contentRefOf(scene.state.accounts, tenantId, hash)).toBe(`vault-${hash}`)
  })

  test('is refused for a tenant nobody registered', () => {
    expect(strangers().ask(register('v1'))).toEqual(refused('RegisterLabelSet', 'tenant_unknown', 'folders'))
  })
})

describe('content', () => {
  const set = (contentDays: number): RequestBody => ({ type: 'SetRetention', contentDays })
  const erase = (erasureId: string): RequestBody => ({ type: 'EraseContent', erasureId })
  const report = (erasureId: string): RequestBody => ({ type: 'ReportErased', erasureId, keys: 3n, payloads: 70n })

  test('is kept from 7 to 90 days', () => {
    const scene = new Scene()
    for (const days of [7, 90])
      expect(scene.ask(set(days))).toEqual([{ type: 'RetentionSet', tenantId, contentDays: days }])
    for (const days of [6, 91, -1])
      expect(scene.ask(set(days))).toEqual(refused('SetRetention', 'days_invalid', String(days)))
    expect(strangers().ask(set(7))).toEqual(refused('SetRetention', 'tenant_unknown', '7'))
  })

  test('is said to be erased once for every time it was asked', () => {
    const scene = new Scene()
    expect(scene.ask(report('e1'))).toEqual(refused('ReportErased', 'erasure_unknown', 'e1'))
    expect(scene.ask(erase('e1'))).toEqual([{ type: 'ErasureRequested', tenantId, erasureId: 'e1' }])
    expect(scene.ask(report('e1'))).toEqual([
      { type: 'ContentErased', tenantId, erasureId: 'e1', keys: 3n, payloads: 70n },
    ])
    expect(scene.ask(report('e1'))).toEqual(refused('ReportErased', 'erasure_unknown', 'e1'))
    expect([...scene.state.accounts.erasures]).toEqual([])
    expect(strangers().ask(erase('e1'))).toEqual(refused('EraseContent', 'tenant_unknown', 'e1'))
  })

  test('waits for so many erasures and no more', () => {
    const scene = new Scene()
    for (let n = 0; n < erasuresPerTenantMax; n++) scene.ask(erase(`e${n}`))
    expect(scene.ask(erase('one-more'))).toEqual(refused('EraseContent', 'too_many', 'one-more'))
    scene.ask(report('e0'))
    expect(scene.ask(erase('one-more'))).toHaveLength(1)
  })
})
