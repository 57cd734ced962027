import { describe, expect, test } from 'vitest'
import type { FactBody, RequestBody } from '../../schemas/events.generated.ts'
import { Scene, submit, tenantId } from '../testing/given.ts'
import { tuple } from '../tuple.ts'

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
    expect(scene.state.accounts.tokens.get(tuple(tenantId, 'k1'))).toBe('revoked')
  })

  test('that never was cannot be revoked', () => {
    expect(new Scene().ask(revoke('k1'))).toEqual(refused('RevokeToken', 'token_unknown', 'k1'))
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
    expect(scene.state.accounts.contentRefs.get(tuple(tenantId, 'v1'))).toBe('vault-v1')
    expect(scene.state.accounts.contentRefs.get(tuple(tenantId, 'v2'))).toBe('vault-v2')
  })

  test('is refused for a tenant nobody registered', () => {
    expect(strangers().ask(register('v1'))).toEqual(refused('RegisterLabelSet', 'tenant_unknown', 'folders'))
  })
})
