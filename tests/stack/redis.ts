/** Redis from the system's packages, with its append-only file, on a free loopback port. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { isOpen } from './kafka.ts'
import { answering, freePort, type Part, startPart } from './machine.ts'

export type RedisStack = { url: string; part(): Part; start(): Promise<void>; stop(): Promise<void> }

export async function startRedis({ dir }: { dir: string }): Promise<RedisStack> {
  const home = join(dir, 'redis')
  mkdirSync(home, { recursive: true })
  const port = await freePort()
  const logFile = join(home, 'redis.log')
  let running: Part | undefined
  const start = async () => {
    running = startPart({
      name: 'Redis (apt-get install redis-server)',
      command: 'redis-server',
      args: ['--port', String(port), '--bind', '127.0.0.1', '--appendonly', 'yes', '--dir', home],
      cwd: home,
      logFile,
    })
    await answering(running, logFile, 20_000, () => isOpen(port))
  }
  await start()
  return {
    url: `redis://127.0.0.1:${port}`,
    part() {
      if (!running) throw new Error('Redis was not started.')
      return running
    },
    start,
    stop: async () => void (await running?.stop()),
  }
}
