/** A JWT of the issuer as a credential: which are taken, for whom they speak, and everything that must not be one. */
import { createHmac } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { exportJWK, exportSPKI, SignJWT } from 'jose'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { tokenCharsMax } from '../../platform/bearer-token.ts'
import { limitDefaults } from '../limits/limits.ts'
import { type Client, clientOf } from '../testing/client.ts'
import { type Claims, type Issuer, type SigningKey, secondsNow, signed, startIssuer } from '../testing/issuer.ts'
import { openTenant, type Service, startService } from '../testing/service.ts'
import { algorithms, clockSkewS, subjectId, tokenAgeMaxS } from './oidc.ts'

let issuer: Issuer
let key: SigningKey
let service: Service
beforeAll(async () => {
  issuer = await startIssuer()
  key = await issuer.makeKey('first')
  await issuer.publish(key)
  const oidc = { issuer: issuer.url, audience: 'pf3', jwksUrl: undefined, allowsPlatformAdmin: false, cooldownMs: 0 }
  service = await startService({ oidc })
  await openTenant(service, 'harbor')
})
afterAll(async () => {
  await service.stop()
  await issuer.close()
})

const reader: Claims = { pf3_tenant: 'harbor', pf3_role: 'reader' }
const withClaims = async (claims: Claims, by: SigningKey = key): Promise<Client> =>
  service.as(await signed(issuer, by, claims))
const status = async (token: string) => (await service.as(token).get('/v1/jobs')).status

describe('a JWT of the issuer', () => {
  test('speaks for the tenant, role and member it names', async () => {
    const submitter = await withClaims({ ...reader, pf3_role: 'submitter', pf3_member: 'ada' })
    const job = { capability: 'classify.sentiment', input: { text: 'fine' } }
    expect((await submitter.post('/v1/jobs', job)).expect(202)).toMatchObject({ memberId: 'ada' })
    ;(await submitter.get('/v1/usage?from=2026-01-01&to=2026-01-02')).problem(403, 'FORBIDDEN')
    ;(await (await withClaims(reader)).post('/v1/jobs', job)).problem(403, 'FORBIDDEN')
    const admin = await withClaims({ ...reader, pf3_role: 'tenant-admin' })
    ;(await admin.get('/v1/tenants/harbor/tokens')).expect(200)
  })

  test('stands in facts as its subject; one that could be a name or an address only as a hash', async () => {
    const cap = { metric: 'requests', limit: 1_000, period: 'day' }
    for (const sub of ['worker-7', 'ada@harbor.example', `long-${'x'.repeat(200)}`]) {
      const admin = await withClaims({ ...reader, pf3_role: 'tenant-admin', sub })
      ;(await admin.put('/v1/tenants/harbor/caps/by-jwt', cap)).expect(200)
    }
    const { events } = (await (await withClaims(reader)).get('/v1/audit?type=CapSet&limit=3')).expect(200)
    expect((events as { actor: string }[]).map(({ actor }) => actor)).toEqual([
      `token:${subjectId(issuer.url, `long-${'x'.repeat(200)}`)}`,
      expect.stringMatching(/^token:oidc-hash:[0-9a-f]{64}$/),
      'token:oidc:worker-7',
    ])
  })

  test.each(['EdDSA', 'ES384', 'PS256', 'RS256'])('may be signed with %s', async (alg) => {
    const other = await issuer.makeKey(alg, alg)
    await issuer.publish(key, other)
    ;(await (await withClaims(reader, other)).get('/v1/jobs')).expect(200)
    expect(algorithms).toContain(alg)
  })

  test('works with a key that was published after the service had read the keys', async () => {
    const next = await issuer.makeKey('rotated-in')
    const token = await signed(issuer, next, reader)
    expect(await status(token)).toBe(401)
    await issuer.publish(key, next)
    expect(await status(token)).toBe(200)
  })

  test.each<[string, () => Claims]>([
    ['a little too early', () => ({ iat: secondsNow() + clockSkewS - 5, nbf: secondsNow() + clockSkewS - 5 })],
    ['a little too late', () => ({ exp: secondsNow() - clockSkewS + 5 })],
    ['meant for others too', () => ({ aud: ['others', 'pf3'] })],
  ])('is taken when it is %s', async (_, claims) => {
    expect(await status(await signed(issuer, key, { ...reader, ...claims() }))).toBe(200)
  })
})

describe('it is no credential', () => {
  test.each<[string, () => Claims]>([
    ['of another issuer', () => ({ iss: 'https://issuer.example' })],
    ['of nobody', () => ({ iss: undefined })],
    ['for another audience', () => ({ aud: 'others' })],
    ['for no audience', () => ({ aud: undefined })],
    ['expired', () => ({ exp: secondsNow() - clockSkewS - 5 })],
    ['without an end', () => ({ exp: undefined })],
    ['without a beginning', () => ({ iat: undefined })],
    ['not yet valid', () => ({ nbf: secondsNow() + clockSkewS + 5 })],
    ['issued in the future', () => ({ iat: secondsNow() + clockSkewS + 5 })],
    ['issued too long ago', () => ({ iat: secondsNow() - tokenAgeMaxS - clockSkewS - 5 })],
    ['without a subject', () => ({ sub: undefined })],
    ['with an empty subject', () => ({ sub: '' })],
    ['of a tenant that does not exist', () => ({ pf3_tenant: 'nowhere' })],
    ['without a tenant', () => ({ pf3_tenant: undefined })],
    ['of two tenants', () => ({ pf3_tenant: ['harbor', 'platform'] })],
    ['with SQL for a tenant', () => ({ pf3_tenant: "harbor' OR '1'='1" })],
    ['without a role', () => ({ pf3_role: undefined })],
    ['with a role of another house', () => ({ pf3_role: 'owner' })],
    ['with a role as it stands in events', () => ({ pf3_role: 'tenant_admin' })],
    ['with a role every object has', () => ({ pf3_role: 'constructor' })],
    ['with a member that is none', () => ({ pf3_member: 7 })],
    [
      'a platform admin, which the configuration does not allow',
      () => ({ pf3_tenant: 'platform', pf3_role: 'platform-admin' }),
    ],
    [
      'an admin of the tenant of the platform, which reaches as far',
      () => ({ pf3_tenant: 'platform', pf3_role: 'tenant-admin' }),
    ],
  ])('%s', async (_, claims) => {
    const answer = await (await withClaims({ ...reader, ...claims() })).get('/v1/price-books')
    const { detail } = answer.problem(401, 'UNAUTHENTICATED')
    expect(detail).toBe('The token is not known, has expired or was revoked.')
  })

  test('when it is not signed', async () => {
    const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
    const [, payload = ''] = (await signed(issuer, key, reader)).split('.')
    for (const alg of ['none', 'None', 'NONE', '']) expect(await status(`${part({ alg })}.${payload}.`)).toBe(401)
    expect(await status(`${part({ alg: 'none' })}.${payload}.c2lnbmVk`)).toBe(401)
  })

  test('when it is signed with the public key as a shared secret', async () => {
    const rsa = await issuer.makeKey('rsa', 'RS256')
    await issuer.publish(key, rsa)
    const [, payload = ''] = (await signed(issuer, rsa, reader)).split('.')
    const head = Buffer.from(JSON.stringify({ alg: 'HS256', kid: 'rsa' })).toString('base64url')
    for (const secret of [await exportSPKI(rsa.publicKey), `${await exportSPKI(rsa.publicKey)}\n`]) {
      const mac = createHmac('sha256', secret).update(`${head}.${payload}`).digest('base64url')
      expect(await status(`${head}.${payload}.${mac}`)).toBe(401)
    }
  })

  test('when it was changed, cut off, or signed by somebody else', async () => {
    const token = await signed(issuer, key, reader)
    const [head = '', payload = '', signature = ''] = token.split('.')
    const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as Claims
    const changed = Buffer.from(JSON.stringify({ ...claims, pf3_role: 'tenant-admin' })).toString('base64url')
    const stranger = await issuer.makeKey(key.kid)
    const bad = [
      `${head}.${changed}.${signature}`,
      `${head}.${payload}.${signature.slice(0, -4)}`,
      `${head}.${payload}.`,
      `${head}.${payload}`,
      token.slice(0, token.length / 2),
      await signed(issuer, stranger, reader),
      await signed(issuer, await issuer.makeKey('nobody-knows'), reader),
    ]
    expect(await Promise.all(bad.map(status))).toEqual(bad.map(() => 401))
    expect(await status(token)).toBe(200)
  })

  test('when it brings its own key', async () => {
    const own = await issuer.makeKey('own')
    const now = secondsNow()
    const token = await new SignJWT({ ...reader, iss: issuer.url, aud: 'pf3', sub: 's', iat: now, exp: now + 60 })
      .setProtectedHeader({ alg: 'ES256', jwk: await exportJWK(own.publicKey), jku: issuer.jwksUrl })
      .sign(own.privateKey)
    expect(await status(token)).toBe(401)
  })

  test('when it is longer than 8 kB', async () => {
    const padded = (chars: number) => signed(issuer, key, { ...reader, padding: 'x'.repeat(chars) })
    const fits = await padded(5_500)
    const long = await padded(6_500)
    expect([fits.length < tokenCharsMax, long.length > tokenCharsMax]).toEqual([true, true])
    expect([await status(fits), await status(long)]).toEqual([200, 401])
  })
})

test('the claims of the documentation are taken as it says', async () => {
  const page = readFileSync(join(import.meta.dirname, '../../docs/identity.md'), 'utf8')
  const claims = JSON.parse(/```json\n([\s\S]*?)```/.exec(page)?.[1] ?? '') as Claims
  await openTenant(service, String(claims['pf3_tenant']))
  const job = { capability: 'classify.sentiment', input: { text: 'fine' } }
  const submitted = (await (await withClaims(claims)).post('/v1/jobs', job)).expect(202)
  expect(submitted).toMatchObject({ memberId: claims['pf3_member'] })
})

test('while the issuer cannot be reached known keys go on working, and unknown ones are told when to come again', async () => {
  const known = await signed(issuer, key, reader)
  expect(await status(known)).toBe(200)
  issuer.behave('failing')
  const unknown = await withClaims(reader, await issuer.makeKey('unseen'))
  const answer = await unknown.get('/v1/jobs')
  answer.problem(401, 'UNAUTHENTICATED')
  expect(answer.headers.get('retry-after')).toMatch(/^\d+$/)
  expect(await status(known)).toBe(200)
  issuer.behave('well')
  expect(service.logged.filter(({ message }) => message.includes('keys of the issuer')).length).toBeGreaterThan(0)
})

test('while the issuer cannot be reached, JWTs that nobody can check do not count against their address', async () => {
  issuer.behave('failing')
  const oidc = { issuer: issuer.url, audience: 'pf3', jwksUrl: issuer.jwksUrl, allowsPlatformAdmin: false }
  const { api, url } = await service.openDoor({ oidc, limits: { ...limitDefaults, failuresPerAddressMax: 3 } })
  const byJwt = clientOf(url, await signed(issuer, key, reader))
  for (let nth = 0; nth < 5; nth++) (await byJwt.get('/v1/jobs')).problem(401, 'UNAUTHENTICATED')
  const issued = await service.root.post('/v1/tenants/harbor/tokens', { role: 'reader' })
  const own = clientOf(url, String(issued.expect(201)['token']))
  ;(await own.get('/v1/jobs')).expect(200)
  // What can be checked, and is not good, counts as ever.
  for (let nth = 0; nth < 3; nth++) (await clientOf(url, 'pf3_no-such').get('/v1/jobs')).problem(401, 'UNAUTHENTICATED')
  ;(await own.get('/v1/jobs')).problem(429, 'TOO_MANY_FAILURES')
  await api.stop()
  issuer.behave('well')
})

test('an issuer that may name platform admins names them for the platform only', async () => {
  const oidc = { issuer: issuer.url, audience: 'pf3', jwksUrl: issuer.jwksUrl, allowsPlatformAdmin: true }
  const { api, url } = await service.openDoor({ oidc })
  const as = async (claims: Claims) => clientOf(url, await signed(issuer, key, claims))
  const admin = await as({ pf3_tenant: 'platform', pf3_role: 'platform-admin' })
  ;(await admin.get('/v1/tenants')).expect(200)
  ;(await admin.get('/v1/tenants/harbor/caps')).problem(403, 'JUSTIFICATION_REQUIRED')
  const tenantAdmin = await as({ pf3_tenant: 'platform', pf3_role: 'tenant-admin' })
  ;(await tenantAdmin.delete('/v1/tenants/harbor/caps/none')).problem(403, 'JUSTIFICATION_REQUIRED')
  const elsewhere = await as({ pf3_tenant: 'harbor', pf3_role: 'platform-admin' })
  ;(await elsewhere.get('/v1/tenants')).problem(401, 'UNAUTHENTICATED')
  await api.stop()
})

test('without an issuer a JWT is nothing', async () => {
  const { api, url } = await service.openDoor({ oidc: undefined })
  ;(await clientOf(url, await signed(issuer, key, reader)).get('/v1/jobs')).problem(401, 'UNAUTHENTICATED')
  await api.stop()
})
