/** A PF-3 service in a process of its own, started as anybody starts it, and killed as nobody should. */
import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

export type ServiceProcess = {
  readonly pid: number
  /** For example http://127.0.0.1:41234 */
  readonly url: string
  /** From the start of the process to its word that it is ready, in milliseconds. */
  readonly readyMs: number
  /** SIGKILL: no handler runs, nothing is flushed. Resolves when the process is gone. */
  kill(): Promise<void>
  /** SIGTERM: drains. Resolves with the exit code. */
  stop(): Promise<number | null>
  /** True once the process has gone by itself or by a signal. */
  hasEnded(): boolean
  /** Resolves with the exit code when the process is gone and its log is read; null after a signal. */
  readonly ended: Promise<number | null>
}

export type ServiceOptions = {
  dataDir: string
  /** 0 takes a free port. */
  port: number
  rootToken: string
  /** Further PF3_ options. Those of this process are not passed on. */
  env?: Readonly<Record<string, string>>
  /** Given the log as it comes; without it, the log goes to this process's standard error. */
  onLog?: (text: string) => void
  /** Roles it has; default all. */
  roles?: string
  /** What is run instead of the `pf3` command; takes the same arguments. */
  script?: string
  /** Longer for an owner that has very much to read. */
  readyMsMax?: number
}

/**
 * What Node.js is told when a service is started; `npm start` and the image say the same. Most of what a job allocates is
 * needed until its batch is written: with a young generation of the default 16 MiB it is copied several times before.
 */
export const nodeFlags = ['--max-semi-space-size=64'] as const
export const pf3Path = join(import.meta.dirname, '..', 'pf3.ts')
const readyMsMaxDefault = 60_000

/** The environment without what configures another PF-3. */
export const cleanEnv = (options: Readonly<Record<string, string>>): NodeJS.ProcessEnv => ({
  ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('PF3_'))),
  ...options,
})

/** Resolves when the service is ready. Throws when it ends before, or after `readyMsMax`, by default 60 s. */
export async function startServiceProcess({
  dataDir,
  port,
  rootToken,
  env = {},
  onLog,
  roles,
  script = pf3Path,
  readyMsMax = readyMsMaxDefault,
}: ServiceOptions): Promise<ServiceProcess> {
  const startedAt = performance.now()
  const child = spawn(
    process.execPath,
    [...nodeFlags, script, 'start', '--json', ...(roles === undefined ? [] : ['--roles', roles])],
    {
      env: cleanEnv({
        PF3_DATA_DIR: dataDir,
        PF3_PORT: String(port),
        PF3_ROOT_TOKEN: rootToken,
        PF3_LOG_LEVEL: 'error',
        ...env,
      }),
      stdio: ['ignore', 'pipe', onLog ? 'pipe' : 'inherit'],
    },
  )
  if (onLog) child.stderr?.setEncoding('utf8').on('data', onLog)
  const ended = new Promise<number | null>((resolve) => child.once('close', (code) => resolve(code)))
  // Whoever ends this process in a hurry must not leave a service behind.
  const killNow = () => void child.kill('SIGKILL')
  process.once('exit', killNow)
  void ended.then(() => process.removeListener('exit', killNow))
  const ready = await readyLine(child, ended, readyMsMax).catch((error: unknown) => {
    killNow()
    throw error
  })
  return {
    pid: child.pid ?? 0,
    url: ready.url,
    readyMs: performance.now() - startedAt,
    async kill() {
      child.kill('SIGKILL')
      await ended
    },
    stop() {
      child.kill('SIGTERM')
      return ended
    },
    ended,
    hasEnded: () => child.exitCode !== null || child.signalCode !== null,
  }
}

function readyLine(child: ChildProcess, ended: Promise<number | null>, readyMsMax: number): Promise<{ url: string }> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`The service was not ready within ${readyMsMax} ms.`)), readyMsMax)
    void ended.then((code) => {
      clearTimeout(timer)
      reject(new Error(`The service ended with ${code} before it was ready.`))
    })
    if (!child.stdout) return reject(new Error('The service has no output to read.'))
    createInterface({ input: child.stdout }).once('line', (line) => {
      clearTimeout(timer)
      resolve(JSON.parse(line) as { url: string })
    })
  })
}
