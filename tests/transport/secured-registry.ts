/** The registry of the run behind a door of its own: by TLS 1.3, and for those who know the password. */
import { request } from 'node:http'
import { createServer } from 'node:https'
import { freePort } from '../machine/free-port.ts'
import type { TestCertificate } from './certificate.ts'

export type SecuredRegistry = {
  url: string
  /** Requests that it has let through. */
  asked(): number
  close(): void
}

export async function securedRegistry(
  behindUrl: string,
  { key, cert, username, password }: TestCertificate & { username: string; password: string },
): Promise<SecuredRegistry> {
  const behind = new URL(behindUrl)
  const wanted = `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`
  let asked = 0
  const server = createServer({ key, cert, minVersion: 'TLSv1.3' }, (incoming, answer) => {
    if (incoming.headers.authorization !== wanted) return void answer.writeHead(401).end('{"error_code":401}')
    asked += 1
    const { authorization: _, ...headers } = incoming.headers
    const passed = request(
      { host: behind.hostname, port: behind.port, path: incoming.url, method: incoming.method, headers },
      (reply) => {
        answer.writeHead(reply.statusCode ?? 502, reply.headers)
        reply.pipe(answer)
      },
    )
    passed.on('error', () => answer.destroy())
    incoming.pipe(passed)
  })
  const port = await freePort()
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  return {
    url: `https://localhost:${port}${behind.pathname}`,
    asked: () => asked,
    close() {
      server.closeAllConnections()
      server.close()
    },
  }
}
