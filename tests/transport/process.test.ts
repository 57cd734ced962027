/** The whole process: its own certificate from files, renewed by SIGHUP, and no call to a provider below TLS 1.3. */
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect, type SecureVersion, setDefaultCACertificates } from 'node:tls'
import { expect, onTestFinished, test } from 'vitest'
import { clientOf } from '../../api/testing/client.ts'
import { startServiceProcess } from '../../bin/demo/service-process.ts'
import { makeCertificate } from './certificate.ts'

const rootToken = `pf3_${'t'.repeat(43)}`
const why = { headers: { 'X-PF3-Justification': 'a test of transport' } }

function freshDir(): string {
  const dir = mkdtempSync(join(tmpdir(), 'pf3-tls-'))
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }))
  return dir
}

async function start(dataDir: string, env: Record<string, string>) {
  const service = await startServiceProcess({ dataDir, port: 0, rootToken, env: { PF3_LOCAL_THREADS: '1', ...env } })
  onTestFinished(async () => void (await service.stop()))
  return service
}

async function fingerprint(port: number): Promise<string> {
  const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false })
  await once(socket, 'secureConnect')
  const { fingerprint256 } = socket.getPeerCertificate()
  socket.destroy()
  return fingerprint256
}

test('pf3 start serves by TLS with the certificate of its files, and takes a new one by SIGHUP', async () => {
  const dir = freshDir()
  const [certFile, keyFile] = [join(dir, 'cert.pem'), join(dir, 'key.pem')]
  const write = () => {
    const { cert, key } = makeCertificate(['127.0.0.1'])
    writeFileSync(certFile, cert)
    writeFileSync(keyFile, key)
    return cert
  }
  setDefaultCACertificates([write()])
  const env = { PF3_TLS_CERT_FILE: certFile, PF3_TLS_KEY_FILE: keyFile, PF3_LOG_LEVEL: 'silent' }
  const { url, pid, hasEnded } = await start(join(dir, 'data'), env)
  expect(url).toMatch(/^https:/)
  ;(await clientOf(url, rootToken).get('/v1/tenants')).expect(200)
  const port = Number(new URL(url).port)
  const before = await fingerprint(port)
  // A file that is no certificate leaves the one in use in use.
  writeFileSync(certFile, 'nonsense')
  process.kill(pid, 'SIGHUP')
  ;(await clientOf(url, rootToken).get('/v1/tenants')).expect(200)
  write()
  process.kill(pid, 'SIGHUP')
  await expect.poll(() => fingerprint(port), { timeout: 10_000 }).not.toBe(before)
  expect(hasEnded()).toBe(false)
})

test.each([
  ['TLSv1.2', { status: 'failed', calls: false }],
  ['TLSv1.3', { status: 'succeeded', calls: true }],
] as const)('a provider that offers %s at most: %j', async (maxVersion, wanted) => {
  const dir = freshDir()
  const certificate = makeCertificate(['localhost'])
  const caFile = join(dir, 'ca.pem')
  writeFileSync(caFile, certificate.cert)
  let calls = 0
  const server = createServer(
    { ...certificate, minVersion: 'TLSv1.2', maxVersion: maxVersion satisfies SecureVersion },
    (_, response) => {
      calls += 1
      const message = { role: 'assistant', content: 'HELLO' }
      const usage = { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 }
      const choices = [{ index: 0, message, finish_reason: 'stop' }]
      const answer = { id: 'x', object: 'chat.completion', created: 0, model: 'scripted-1', choices, usage }
      response.setHeader('Content-Type', 'application/json').end(JSON.stringify(answer))
    },
  )
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => void server.closeAllConnections())
  onTestFinished(() => void server.close())
  const { url } = await start(join(dir, 'data'), {
    PF3_SCRIPTED_URL: `https://localhost:${(server.address() as AddressInfo).port}/v1`,
    PF3_ATTEMPTS_MAX: '1',
    NODE_EXTRA_CA_CERTS: caFile,
  })
  const root = clientOf(url, rootToken)
  const tenant = { id: 'shop', level: 'client', name: 'Shop', currency: 'USD', timeZone: 'UTC' }
  ;(await root.post('/v1/tenants', tenant)).expect(201)
  const issued = (await root.post('/v1/tenants/shop/tokens', { role: 'submitter' }, why)).expect(201)
  const job = { capability: 'generate.text', input: { prompt: 'hello' }, model: 'scripted-1' }
  const ended = (await clientOf(url, String(issued['token'])).post('/v1/jobs?wait=30', job)).expect(200)
  expect({ status: ended['status'], calls: calls > 0 }).toEqual(wanted)
  if (wanted.status === 'failed') expect(JSON.stringify(ended)).toContain('PROVIDER_UNAVAILABLE')
})
