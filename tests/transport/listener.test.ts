/** The door under TLS: 1.3 or nothing, no plain text beside it, and a new certificate without a restart. */
import { once } from 'node:events'
import { request } from 'node:https'
import { connect as connectRaw } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { connect, type TLSSocket } from 'node:tls'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Api } from '../../api/index.ts'
import { type Service, startService } from '../../api/testing/service.ts'
import { speak } from '../hostile/raw-socket.ts'
import { makeCertificate } from './certificate.ts'

const certificate = makeCertificate(['localhost', '127.0.0.1'])
let service: Service
let door: { api: Api; url: string }
beforeAll(async () => {
  service = await startService()
  door = await service.openDoor({ wire: { tls: certificate } })
})
afterAll(async () => {
  await door.api.stop()
  await service.stop()
})

async function shake(options: object): Promise<TLSSocket> {
  const socket = connect({
    port: door.api.port,
    host: '127.0.0.1',
    servername: 'localhost',
    ca: certificate.cert,
    ...options,
  })
  await once(socket, 'secureConnect')
  socket.destroy()
  return socket
}

function get(path: string): Promise<{ status: number; headers: Record<string, unknown> }> {
  return new Promise((resolve, reject) => {
    request({ port: door.api.port, host: '127.0.0.1', path, ca: certificate.cert, agent: false }, (response) => {
      response.resume().on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers }))
    })
      .on('error', reject)
      .end()
  })
}

test('a caller with TLS 1.3 is served, and told to come no other way', async () => {
  expect((await shake({ maxVersion: 'TLSv1.3' })).destroyed).toBe(true)
  const { status, headers } = await get('/healthz')
  expect([status, headers['strict-transport-security']]).toEqual([200, 'max-age=31536000; includeSubDomains'])
})

test.each(['TLSv1.2', 'TLSv1.1'] as const)(
  'a caller with %s at most is refused in the handshake',
  async (maxVersion) => {
    await expect(shake({ minVersion: 'TLSv1', maxVersion, ciphers: 'DEFAULT@SECLEVEL=0' })).rejects.toThrow(
      /protocol version|no protocols/i,
    )
  },
)

test('a caller that does not trust the certificate, or calls another name, does not connect', async () => {
  await expect(shake({ ca: undefined })).rejects.toThrow(/self-signed/)
  await expect(shake({ servername: 'another.example' })).rejects.toThrow(/does not match|altnames/)
})

test('plain text on the port of TLS is not answered', async () => {
  expect((await speak(door.api.port, ['GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n'])).text).not.toContain('HTTP/1.1 2')
})

test('garbage in the middle of a handshake costs the others nothing', async () => {
  await speak(door.api.port, [Buffer.from('1603010200010001fc0303', 'hex'), Buffer.alloc(600, 7)], { endsAfter: true })
  expect((await get('/healthz')).status).toBe(200)
  expect(service.logged).toEqual([])
})

/** The other side of a connection on which no handshake ever begins; `closed` when it is cut. */
async function silent(port: number): Promise<{ closed: Promise<unknown> }> {
  const socket = connectRaw(port, '127.0.0.1')
  await once(socket, 'connect')
  return { closed: once(socket.resume(), 'close') }
}

test('a handshake that does not come to its end is given up', async () => {
  const { api } = await service.openDoor({ wire: { tls: certificate, waits: { headersMs: 300 } } })
  const since = performance.now()
  await (await silent(api.port)).closed
  expect(performance.now() - since).toBeLessThan(5_000)
  await api.stop()
})

test('a stop does not wait for handshakes, and answers who has come through one', async () => {
  const { api } = await service.openDoor({ wire: { tls: certificate } })
  const { closed } = await silent(api.port)
  const caller = connect({ port: api.port, host: '127.0.0.1', ca: certificate.cert })
  await once(caller, 'secureConnect')
  let heard = ''
  caller.setEncoding('utf8').on('data', (chunk: string) => {
    heard += chunk
  })
  const head = 'GET /healthz HTTP/1.1\r\nHost: x\r\n'
  caller.write(head)
  await pause(200)
  const since = performance.now()
  const answered = once(caller, 'close')
  const stopped = api.stop()
  await closed
  caller.write('\r\n')
  await stopped
  await answered
  expect(performance.now() - since).toBeLessThan(3_000)
  expect(heard).toContain('HTTP/1.1 200')
})

test('a renewed certificate is given to connections made from then on; nonsense changes nothing', async () => {
  const { api } = await service.openDoor({ wire: { tls: certificate } })
  const shown = async (): Promise<string> => {
    const socket = connect({ port: api.port, host: '127.0.0.1', rejectUnauthorized: false })
    await once(socket, 'secureConnect')
    const { fingerprint256 } = socket.getPeerCertificate()
    socket.destroy()
    return fingerprint256
  }
  const before = await shown()
  expect(() => api.renewCertificate({ cert: 'none', key: 'none' })).toThrow()
  expect(await shown()).toBe(before)
  api.renewCertificate(makeCertificate(['localhost']))
  expect(await shown()).not.toBe(before)
  await api.stop()
})

test.each(['0.0.0.0', '::', '192.0.2.1', 'example.com'])(
  'plain text on %s is refused before anything listens',
  async (host) => {
    await expect(service.openDoor({ host })).rejects.toThrow('plain text is spoken on loopback only')
  },
)

test('a door behind a proxy that ends TLS may listen anywhere, and tells browsers to come by TLS', async () => {
  const { api } = await service.openDoor({ host: '0.0.0.0', wire: { tls: 'terminated' } })
  const answer = await fetch(`http://127.0.0.1:${api.port}/healthz`)
  expect([answer.status, answer.headers.get('strict-transport-security')]).toEqual([
    200,
    'max-age=31536000; includeSubDomains',
  ])
  await api.stop()
})
