/** An OIDC issuer for tests: a real HTTP server on loopback with discovery document and key set, and keys to sign with. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type CryptoKey, exportJWK, generateKeyPair, type JWTPayload, SignJWT } from 'jose'

export type SigningKey = { kid: string; alg: string; privateKey: CryptoKey; publicKey: CryptoKey }

export type Issuer = {
  /** As in the claim `iss`. */
  url: string
  jwksUrl: string
  /** Makes a key, which is not published yet. */
  makeKey(kid: string, alg?: string): Promise<SigningKey>
  /** These are the issuer's keys from now on. */
  publish(...keys: readonly SigningKey[]): Promise<void>
  /** What the server does when it is asked. */
  behave(how: 'well' | 'failing' | 'hanging' | 'nonsense' | 'redirecting' | 'endless'): void
  /** Whom the discovery document names as the issuer; by default itself. */
  claimToBe(issuer: string | undefined): void
  /** Paths asked for, in order. */
  readonly asked: readonly string[]
  close(): Promise<void>
}

export async function startIssuer(): Promise<Issuer> {
  let jwks: { keys: object[] } = { keys: [] }
  let behaviour: Parameters<Issuer['behave']>[0] = 'well'
  let pretended: string | undefined
  const asked: string[] = []
  const server = createServer((request, response) => {
    asked.push(request.url ?? '')
    const { port } = server.address() as AddressInfo
    const url = `http://127.0.0.1:${port}`
    const json = (body: object) => response.setHeader('Content-Type', 'application/json').end(JSON.stringify(body))
    if (behaviour === 'hanging') return
    if (behaviour === 'failing') return void response.writeHead(503).end()
    if (behaviour === 'nonsense') return void response.end('<html>')
    if (behaviour === 'redirecting' && request.url !== '/elsewhere')
      return void response.writeHead(302, { Location: `${url}/elsewhere` }).end()
    if (behaviour === 'endless') return void response.end(`${' '.repeat(2 * 1_048_576)}${JSON.stringify(jwks)}`)
    if (request.url === '/keys' || request.url === '/elsewhere') return void json(jwks)
    json({ issuer: pretended ?? url, jwks_uri: `${url}/keys` })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    url,
    jwksUrl: `${url}/keys`,
    asked,
    async makeKey(kid, alg = 'ES256') {
      return { kid, alg, ...(await generateKeyPair(alg, { extractable: true })) }
    },
    async publish(...keys) {
      jwks = {
        keys: await Promise.all(
          keys.map(async ({ kid, alg, publicKey }) => ({ ...(await exportJWK(publicKey)), kid, alg, use: 'sig' })),
        ),
      }
    },
    behave(how) {
      behaviour = how
    },
    claimToBe(issuer) {
      pretended = issuer
    },
    close() {
      server.closeAllConnections()
      return new Promise((resolve) => server.close(() => resolve()))
    },
  }
}

export const secondsNow = (): number => Math.floor(Date.now() / 1_000)

/** Claims as they come, sound or not; one given as undefined is left out. */
export type Claims = Record<string, unknown>

/** A JWT as the issuer would sign it. */
export function signed(issuer: Issuer, { alg, kid, privateKey }: SigningKey, claims: Claims = {}): Promise<string> {
  const now = secondsNow()
  const payload = { iss: issuer.url, aud: 'pf3', sub: 'worker-7', iat: now, exp: now + 300, ...claims }
  return new SignJWT(payload as JWTPayload).setProtectedHeader({ alg, kid }).sign(privateKey)
}
