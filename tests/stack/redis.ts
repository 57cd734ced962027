/** Redis from the system's packages, with its append-only file, on a free loopback port. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { freePort } from '../machine/free-port.ts'
import { answering, isOpen, type Part, startPart } from './machine.ts'

export type RedisStack = { url: string; part(): Part; start(): Promise<void>; stop(): Promise<void> }

const startWaitMs = 20_000

export type RedisOptions = {
  dir: string
  /** PEM for the name localhost; without it the server speaks plain text. */
  tls?: { cert: string; key: string }
  /** Further words of its command line. */
  settings?: readonly string[]
}

export async function startRedis({ dir, tls, settings = [] }: RedisOptions): Promise<RedisStack> {
  const home = join(dir, 'redis')
  mkdirSync(home, { recursive: true })
  const port = await freePort()
  const logFile = join(home, 'redis.log')
  const listening = tls ? listeningByTls(home, port, tls) : ['--port', String(port)]
  let running: Part | undefined
  const start = async () => {
    running = startPart({
      name: 'Redis (apt-get install redis-server)',
      command: 'redis-server',
      args: ['--bind', '127.0.0.1', '--appendonly', 'yes', '--dir', home, ...listening, ...settings],
      cwd: home,
      logFile,
    })
    await answering(running, logFile, startWaitMs, () => isOpen(port))
  }
  await start()
  return {
    url: tls ? `rediss://localhost:${port}` : `redis://127.0.0.1:${port}`,
    part() {
      if (!running) throw new Error('Redis was not started.')
      return running
    },
    start,
    stop: async () => void (await running?.stop()),
  }
}

function listeningByTls(home: string, port: number, { cert, key }: { cert: string; key: string }): string[] {
  const [certFile, keyFile] = [join(home, 'cert.pem'), join(home, 'key.pem')]
  writeFileSync(certFile, cert)
  writeFileSync(keyFile, key, { mode: 0o600 })
  return [
    ...['--port', '0', '--tls-port', String(port), '--tls-auth-clients', 'no'],
    ...['--tls-cert-file', certFile, '--tls-key-file', keyFile, '--tls-ca-cert-file', certFile],
  ]
}
