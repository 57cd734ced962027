/** What is wrong is found, said and told how to mend; what is right is not complained of; nothing is changed. */
import { once } from 'node:events'
import { chmod, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeEach, expect, onTestFinished, test } from 'vitest'
import { lockDataDir } from '../../platform/postgres/data-dir-lock.ts'
import { examine } from './doctor.ts'
import type { Finding } from './finding.ts'

let dir: string
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'pf3-doctor-'))
  onTestFinished(() => rm(dir, { recursive: true, force: true }))
})

const ask = (env: Record<string, string> = {}) => examine({ PF3_DATA_DIR: join(dir, 'data'), PF3_PORT: '0', ...env })
const wrong = (findings: readonly Finding[]) =>
  findings.flatMap((one) => ('problem' in one ? [[one.what, one.problem]] : []))

test('a fresh machine is in order, and is left as it was', async () => {
  const findings = await ask()
  expect(wrong(findings)).toEqual([])
  expect(findings.map(({ what }) => what)).toEqual([
    'Node.js',
    'machine',
    'configuration',
    'data directory',
    'free space',
    'master key',
    'socket directories',
    'database',
    'port',
  ])
  expect(await readdir(dir)).toEqual([])
})

test('a wrong configuration is told whole, option by option', async () => {
  const [finding] = wrong(await ask({ PF3_PORT: 'x', PF3_NO_SUCH: '1' }))
  expect(finding).toEqual([
    'configuration',
    expect.stringMatching(/PF3_PORT: .*\n.*PF3_NO_SUCH|PF3_NO_SUCH: .*\n.*PF3_PORT/s),
  ])
})

test('a data directory that is a file, or open to all, and a key that is none, or open to others', async () => {
  await writeFile(join(dir, 'data'), 'x')
  expect(wrong(await ask())).toEqual([['data directory', `${join(dir, 'data')} is not a directory`]])
  await rm(join(dir, 'data'))
  await mkdir(join(dir, 'data'))
  await chmod(join(dir, 'data'), 0o755)
  await writeFile(join(dir, 'data/master.key'), 'short', { mode: 0o600 })
  expect(wrong(await ask()).map(([what]) => what)).toEqual(['data directory', 'master key'])
  await chmod(join(dir, 'data'), 0o700)
  await writeFile(join(dir, 'data/master.key'), Buffer.alloc(32))
  await chmod(join(dir, 'data/master.key'), 0o644)
  expect(wrong(await ask())).toEqual([['master key', expect.stringMatching(/can be read by others/)]])
  await chmod(join(dir, 'data/master.key'), 0o600)
  expect(wrong(await ask())).toEqual([])
})

test('a port that another program has; one that a service has is fine', async () => {
  const serve = async (status: number) => {
    const server = createServer((_, response) => response.writeHead(status).end()).listen(0, '127.0.0.1')
    await new Promise((resolve) => server.once('listening', resolve))
    onTestFinished(() => void server.close())
    return String((server.address() as AddressInfo).port)
  }
  expect(wrong(await ask({ PF3_PORT: await serve(404) }))).toEqual([['port', expect.stringMatching(/EADDRINUSE/)]])
  expect(wrong(await ask({ PF3_PORT: await serve(200) }))).toEqual([])
})

test('what cannot be reached, without a word of a password', async () => {
  const findings = await ask({
    PF3_POSTGRES_URL: 'postgres://pf3:very-secret@127.0.0.1:1/pf3',
    PF3_REDIS_URL: 'redis://:very-secret@127.0.0.1:1',
    PF3_OIDC_ISSUER: 'http://127.0.0.1:1',
    PF3_OIDC_AUDIENCE: 'pf3',
    PF3_SCRIPTED_URL: 'http://127.0.0.1:1',
    PF3_SCRIPTED_KEY: 'very-secret-too',
  })
  expect(wrong(findings).map(([what]) => what)).toEqual(['database', 'Redis', 'issuer of JWTs', 'provider scripted'])
  for (const finding of findings) if ('problem' in finding) expect(finding.remedy).toMatch(/\.$/)
  expect(JSON.stringify(findings)).not.toContain('very-secret')
})

test('an address with a password is refused and not printed', async () => {
  for (const name of ['PF3_SCRIPTED_URL', 'PF3_OIDC_ISSUER', 'PF3_OIDC_JWKS_URL']) {
    const oidc = { PF3_OIDC_ISSUER: 'http://127.0.0.1:1', PF3_OIDC_AUDIENCE: 'pf3' }
    const findings = await ask({ ...oidc, [name]: 'http://me:very-secret@127.0.0.1:1/' })
    expect(wrong(findings)).toEqual([['configuration', expect.stringContaining(name)]])
    expect(JSON.stringify(findings)).not.toContain('very-secret')
  }
})

test('a port at an IPv6 address is told as in a URL', async () => {
  const server = createServer((_, response) => response.end()).listen(0, '::1')
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  const { port } = server.address() as AddressInfo
  expect(await ask({ PF3_HOST: '::1', PF3_PORT: String(port) })).toContainEqual({
    what: 'port',
    found: `[::1]:${port}: a service is there`,
  })
})

test('a database that another process has open, with its pid', async () => {
  const ofDatabase = async () => (await ask()).find(({ what }) => what === 'database')
  expect(await ofDatabase()).toMatchObject({ found: 'built in; no process has it open' })
  const unlock = await lockDataDir(join(dir, 'data'))
  expect(await ofDatabase()).toMatchObject({
    found: expect.stringContaining(`another pf3 process (pid ${process.pid}) has it open`),
  })
  await unlock()
})

test('a certificate that is not there', async () => {
  const files = { PF3_TLS_CERT_FILE: join(dir, 'c.pem'), PF3_TLS_KEY_FILE: join(dir, 'k.pem') }
  expect(wrong(await ask(files))).toEqual([['certificate', expect.stringMatching(/cannot be read/)]])
})
