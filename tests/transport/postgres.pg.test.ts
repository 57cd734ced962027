/** Connections to a PostgreSQL server: TLS 1.3 and password to the server that was meant, or none. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openPostgres } from '../../platform/postgres/postgres.ts'
import { startPostgres } from '../postgres/start-postgres.ts'
import { makeCertificate } from './certificate.ts'

const dir = mkdtempSync(join(tmpdir(), 'pf3-pg-tls-'))
const certificate = makeCertificate(['localhost'])
const ca = join(dir, 'ca.pem')
const otherCa = join(dir, 'other.pem')
writeFileSync(ca, certificate.cert)
writeFileSync(otherCa, makeCertificate(['localhost']).cert)
let modern: Awaited<ReturnType<typeof startPostgres>>
let old: Awaited<ReturnType<typeof startPostgres>>
beforeAll(async () => {
  modern = await startPostgres({ tls: certificate, password: 'correcthorse' })
  old = await startPostgres({ tls: certificate, settings: ['ssl_max_protocol_version=TLSv1.2'] })
})
afterAll(async () => {
  await modern.stop()
  await old.stop()
  rmSync(dir, { recursive: true, force: true })
})

const withPassword = (url: string, password: string): string => {
  const asked = new URL(url)
  asked.password = password
  return asked.href
}

const open = (url: string, host: string, root: string) => {
  const asked = new URL(url)
  asked.hostname = host
  asked.search = `sslmode=verify-full&sslrootcert=${root}`
  return openPostgres({ url: asked.href, poolMax: 1, connectWaitMs: 5_000 })
}

test('a server with TLS 1.3 and a certificate for its name is spoken to by TLS 1.3, with the password it asks for', async () => {
  const database = await open(modern.url, 'localhost', ca)
  const { rows } = await database.asOwner((tx) =>
    tx.query('SELECT ssl, version FROM pg_stat_ssl WHERE pid = pg_backend_pid()'),
  )
  expect(rows).toEqual([{ ssl: true, version: 'TLSv1.3' }])
  await database.close()
})

test.each([
  ['TLS 1.2 at most', () => old.url, 'localhost', ca, /protocol version/],
  ['another authority', () => modern.url, 'localhost', otherCa, /self-signed|unable to/],
  ['a certificate for another name', () => modern.url, '127.0.0.1', ca, /does not match|altnames/],
  [
    'another password',
    () => withPassword(modern.url, 'wrongbattery'),
    'localhost',
    ca,
    /password authentication failed/,
  ],
  ['a password that nobody was told', () => withPassword(modern.url, ''), 'localhost', ca, /password/],
] as const)('a server with %s is not spoken to', async (_, url, host, root, why) => {
  const refused = await open(url(), host, root).then(
    () => undefined,
    (error: Error) => error,
  )
  expect(refused).toMatchObject({ code: 'DATABASE_UNAVAILABLE' })
  expect(String(refused?.cause)).toMatch(why)
  expect(`${refused} ${refused?.cause}`).not.toMatch(/correcthorse|wrongbattery/)
})
