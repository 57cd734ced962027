/**
 * The real service in a process of its own, logging all it ever logs, is given unique strings by every way in: content,
 * credentials, queries, headers, what is malformed, what its provider and its database say, and crashes. None comes out.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { routeTable } from '../../api/route-table.ts'
import { type Claims, secondsNow, signed, startIssuer } from '../../api/testing/issuer.ts'
import { cleanEnv, pf3Path, startServiceProcess } from '../../bin/demo/service-process.ts'
import { connectToRunning } from '../../platform/postgres/embedded.ts'
import { fields } from '../../platform/telemetry/context.ts'
import { type LogMessage, messages } from '../../platform/telemetry/messages.ts'
import { starterBookJson } from '../../pricing/index.ts'
import { speak } from '../hostile/raw-socket.ts'
import { badPrompts, startBadProvider } from './testing/bad-provider.ts'
import { type Canaries, canaries } from './testing/canaries.ts'

const why = { 'X-PF3-Justification': 'a test of the log' }
const json = { 'Content-Type': 'application/json' }

async function freshDir(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'pf3-canaries-'))
  onTestFinished(() => rm(dir, { recursive: true, force: true }))
  return dir
}

async function start(birds: Canaries, env: Record<string, string>) {
  let log = ''
  const dataDir = await freshDir()
  const rootToken = `pf3_${birds.plant('root token')}${birds.plant('root token')}`
  const service = await startServiceProcess({
    dataDir,
    port: 0,
    rootToken,
    env: { PF3_LOG_LEVEL: 'debug', PF3_LOCAL_THREADS: '1', PF3_PARTITIONS: '1', PF3_RETRY_BASE_MS: '1', ...env },
    onLog: (text) => {
      log += text
    },
  })
  onTestFinished(() => service.kill())
  const ask = async (token: string, method: string, path: string, body?: unknown, headers: object = {}) => {
    const text = body === undefined || typeof body === 'string' ? body : JSON.stringify(body)
    const response = await fetch(`${service.url}${path}`, {
      method,
      headers: { ...why, ...(body !== undefined && json), Authorization: `Bearer ${token}`, ...headers },
      ...(text !== undefined && { body: text }),
    })
    return { status: response.status, text: await response.text() }
  }
  return { ...service, dataDir, rootToken, ask, log: () => log }
}

type Running = Awaited<ReturnType<typeof start>>

/** A tenant whose every name, id and key that is not logged on purpose is a canary. */
async function openTenant({ ask, rootToken }: Running, birds: Canaries) {
  await ask(rootToken, 'POST', '/v1/price-books', starterBookJson())
  const name = birds.plant('name of a tenant')
  const tenant = { id: 'shop', level: 'client', name, currency: 'USD', timeZone: 'UTC' }
  expect((await ask(rootToken, 'POST', '/v1/tenants', tenant)).status).toBe(201)
  const issued = await ask(rootToken, 'POST', '/v1/tenants/shop/tokens', { role: 'tenant-admin' })
  const { token } = JSON.parse(issued.text) as { token: string }
  const member = birds.plant('id of a member')
  await ask(token, 'PUT', `/v1/tenants/shop/members/${member}`, { kind: 'staff' })
  await ask(token, 'PUT', `/v1/tenants/shop/caps/${birds.plant('id of a cap')}`, {
    metric: 'requests',
    limit: 1_000_000,
    period: 'day',
  })
  return { token, member }
}

async function sendContent({ ask }: Running, birds: Canaries, token: string): Promise<void> {
  const labels = [birds.plant('label'), birds.plant('label')]
  const examples = labels.map((label) => ({ label, text: birds.plant('labelled example') }))
  const labelSetId = birds.plant('id of a label set')
  expect((await ask(token, 'PUT', `/v1/label-sets/${labelSetId}`, { labels, examples })).status).toBe(200)
  const jobs = [
    { capability: 'classify.sentiment', input: { text: birds.plant('text of a job') } },
    { capability: 'generate.text', input: { prompt: birds.plant('prompt for the local engine') } },
    { capability: 'classify.category', input: { text: birds.plant('mail') }, params: { labelSetId } },
    ...badPrompts.map((kind) => ({
      capability: 'generate.text',
      model: 'scripted-1',
      input: { prompt: `${kind} ${birds.plant(`prompt for a provider: ${kind}`)}` },
    })),
  ]
  for (const job of jobs) {
    const headers = { 'Idempotency-Key': birds.plant('idempotency key') }
    const { status } = await ask(token, 'POST', '/v1/jobs?wait=30', job, headers)
    expect([200, 202]).toContain(status)
  }
}

/** Every operation, with canaries in every place a caller fills, as three callers. */
async function askEverything({ ask, rootToken }: Running, birds: Canaries, token: string): Promise<void> {
  for (const { method, path, body } of routeTable) {
    for (const [who, credential] of Object.entries({
      root: rootToken,
      tenant: token,
      stranger: `pf3_${birds.plant('token of nobody')}`,
    })) {
      const about = `${who} ${method} ${path}`
      const filled = path.replaceAll(/\{\w+\}/g, () => birds.plant(`path: ${about}`))
      const query = `?${birds.plant(`name in the query: ${about}`)}=${birds.plant(`value in the query: ${about}`)}`
      const wrong = { [birds.plant(`unknown field: ${about}`)]: 1, id: [birds.plant(`wrong type: ${about}`)] }
      await ask(credential, method.toUpperCase(), `${filled}${query}`, body ? wrong : undefined)
      await ask(credential, method.toUpperCase(), filled, body ? wrong : undefined)
    }
  }
}

async function sendMalformed({ ask, url }: Running, birds: Canaries, token: string): Promise<void> {
  const post = (body: string, headers: object = {}) => ask(token, 'POST', '/v1/jobs', body, headers)
  await post(`{"capability": "${birds.plant('JSON that ends too soon')}`)
  await post(`${birds.plant('JSON that is none')}`)
  await post(`{"${birds.plant('name twice')}": 1, "__proto__": {"${birds.plant('prototype')}": 1}}`)
  await post(`{"capability": "${birds.plant('unknown capability')}", "input": {}}`)
  await post('{}', { 'Content-Type': birds.plant('media type') })
  await post('{}', { 'Idempotency-Key': `${birds.plant('idempotency key of a wrong form')}\u00e9` })
  await post('{}', { 'X-Request-Id': `${birds.plant('request id of a wrong form')} (1)` })
  await post('{}', { 'X-PF3-Justification': birds.plant('justification') })
  await post('{}', { traceparent: birds.plant('traceparent'), 'User-Agent': birds.plant('user agent') })
  await post('{}', { Cookie: birds.plant('cookie'), Referer: `https://example.com/${birds.plant('referrer')}` })
  await post('{}', { Authorization: `Basic ${birds.plant('basic credential')}` })
  await ask(token, 'GET', `/v1/jobs?cursor=${birds.plant('cursor')}`)
  await ask(token, 'GET', `/${birds.plant('address of nothing')}`)
  await ask(token, 'GET', `/v1/jobs/${birds.plant('broken escape')}%zz`)
  await ask(token, 'GET', '/v1/jobs', undefined, { 'If-None-Match': birds.plant('etag') })
  const port = Number(new URL(url).port)
  const head = (more: string) => `POST /v1/jobs HTTP/1.1\r\nHost: x\r\nConnection: close\r\n${more}`
  const invalid = Buffer.concat([Buffer.from(`{"a":"${birds.plant('invalid UTF-8')}`), Buffer.from([0xc3, 0x28])])
  const authorization = `Authorization: Bearer ${token}\r\nContent-Type: application/json\r\n`
  await speak(port, [head(`${authorization}Content-Length: ${invalid.length}\r\n\r\n`), invalid])
  await speak(port, [head(`${authorization}Content-Length: 500\r\n\r\n{"${birds.plant('body cut off')}`)], {
    endsAfter: true,
  })
  await speak(port, [`${birds.plant('no request line')}\r\n\r\n`])
  await speak(port, [head(`${birds.plant('header without a colon')}\r\n\r\n`)])
  await speak(port, [head(`X-Long: ${birds.plant('head too large').repeat(2_000)}\r\n\r\n`)])
}

async function sendJwts({ ask }: Running, birds: Canaries, issuer: Awaited<ReturnType<typeof startIssuer>>) {
  const key = await issuer.makeKey(birds.plant('id of a key'))
  await issuer.publish(key)
  const claims = { sub: birds.plant('subject'), tenant: birds.plant('tenant claim'), role: birds.plant('role claim') }
  const send = async (one: Claims) => ask(await signed(issuer, key, one), 'GET', '/v1/jobs')
  issuer.claimToBe(`https://${birds.plant('discovery document')}.example`)
  await send(claims)
  issuer.claimToBe(undefined)
  await send(claims)
  await send({ ...claims, aud: birds.plant('audience') })
  await send({ ...claims, exp: secondsNow() - 900 })
}

/** The database says no, and quotes the row: as it does for any rule of which the caller did not know. */
async function breakDatabase({ ask, dataDir }: Running, birds: Canaries, token: string): Promise<void> {
  const database = await connectToRunning(dataDir)
  if (!database) throw new Error('nothing runs there')
  await database
    .asOwner(async (tx) => {
      await tx.query(`CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN RAISE EXCEPTION 'never %', NEW USING DETAIL = NEW.idempotency_key, HINT = NEW.idempotency_key; END $$`)
      await tx.query('CREATE TRIGGER refuse BEFORE INSERT ON submission FOR EACH ROW EXECUTE FUNCTION refuse()')
    })
    .finally(() => database.close())
  const headers = { 'Idempotency-Key': birds.plant('row that the database quotes') }
  const job = { capability: 'classify.sentiment', input: { text: birds.plant('text of a job that cannot be kept') } }
  expect((await ask(token, 'POST', '/v1/jobs', job, headers)).status).toBe(500)
}

/** Lines of the log, each checked against its contract. */
function linesOf(log: string): Record<string, unknown>[] {
  const known = ['time', 'level', 'service', 'message', 'error', ...Object.keys(fields)]
  const lines = log.split('\n').filter((line) => line !== '')
  return lines.map((line) => {
    const parsed = JSON.parse(line) as Record<string, unknown>
    expect(Object.keys(parsed).filter((name) => !known.includes(name))).toEqual([])
    expect(messages[parsed['message'] as LogMessage]).toMatchObject({ level: parsed['level'] })
    return parsed
  })
}

test('nothing that callers, providers, issuers and the database say stands in the log', async () => {
  const birds = canaries()
  const provider = await startBadProvider(birds.plant)
  onTestFinished(provider.close)
  const issuer = await startIssuer()
  onTestFinished(issuer.close)
  const service = await start(birds, {
    PF3_SCRIPTED_URL: provider.baseUrl,
    PF3_SCRIPTED_KEY: birds.plant('key of the provider'),
    PF3_OIDC_ISSUER: issuer.url,
    PF3_OIDC_AUDIENCE: 'pf3',
    PF3_FAILED_CREDENTIALS: '0',
    PF3_ATTEMPTS_MAX: '2',
  })
  const { token } = await openTenant(service, birds)
  await sendContent(service, birds, token)
  await askEverything(service, birds, token)
  await sendMalformed(service, birds, token)
  await sendJwts(service, birds, issuer)
  await breakDatabase(service, birds, token)
  const told = birds.plant('correlation id, told on purpose')
  await service.ask(token, 'GET', '/v1/jobs', undefined, { 'X-Request-Id': told })
  await service.stop()

  expect(birds.foundIn(service.log())).toEqual(['correlation id, told on purpose'])
  expect(service.log()).not.toContain(token)
  const lines = linesOf(service.log())
  const count = (message: LogMessage) => lines.filter((line) => line['message'] === message).length
  expect(count('a request was answered')).toBeGreaterThan(routeTable.length * 6)
  expect(count('a request failed')).toBeGreaterThan(0)
  expect(count('the keys of the issuer could not be read')).toBeGreaterThan(0)
  expect(provider.calls()).toBeGreaterThanOrEqual(badPrompts.length)
  expect(birds.count()).toBeGreaterThan(300)
}, 180_000)

test.each(['exception', 'rejection', 'no error'])(
  'a crash quotes nothing: %s',
  async (kind) => {
    const birds = canaries()
    const service = await start(birds, {
      NODE_OPTIONS: `--import=${join(import.meta.dirname, 'testing/crash-on-signal.ts')}`,
      CRASH: kind,
      CANARY: birds.plant('what the crash quotes'),
    })
    process.kill(service.pid, 'SIGUSR2')
    expect(await service.ended).toBe(3)
    expect(birds.foundIn(service.log())).toEqual([])
    const said = linesOf(service.log()).map(({ message }) => message)
    expect(said.slice(-2)).toEqual(['the runtime warns', 'a fault that nobody handles'])
  },
  60_000,
)

test.each([
  ['an option that is a secret', (canary: string) => ({ PF3_ROOT_TOKEN: canary })],
  ['an address with a password', (canary: string) => ({ PF3_SCRIPTED_URL: `http://me:${canary}@provider.example` })],
  ['an issuer with a password', (canary: string) => ({ PF3_OIDC_ISSUER: `http://me:${canary}@issuer.example` })],
  ['a database with a password', (canary: string) => ({ PF3_POSTGRES_URL: `postgres://me:${canary}@db.example/pf3` })],
  ['a database that is away', (canary: string) => ({ PF3_POSTGRES_URL: `postgres://me:${canary}@127.0.0.1:1/pf3` })],
  ['a file that is not JSON', (canary: string) => ({ PF3_CONFIG_FILE: `${canary}.json` })],
])(
  'a start that fails quotes no secret: %s',
  async (_, env) => {
    const dir = await freshDir()
    const birds = canaries()
    const canary = birds.plant('configuration')
    const given = env(canary)
    const file = join(dir, 'config.json')
    await writeFile(file, `${birds.plant('content of the file')}: 1`)
    if ('PF3_CONFIG_FILE' in given) given.PF3_CONFIG_FILE = file
    const child = spawn(process.execPath, [pf3Path, 'start'], {
      env: cleanEnv({ PF3_DATA_DIR: dir, PF3_PORT: '0', PF3_LOG_LEVEL: 'debug', ...given }),
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    onTestFinished(() => void child.kill('SIGKILL'))
    let said = ''
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text: string) => (said += text))
    const [code] = (await once(child, 'close')) as [number]
    expect([2, 3]).toContain(code)
    expect(said).not.toBe('')
    expect(birds.foundIn(said)).toEqual([])
  },
  60_000,
)
