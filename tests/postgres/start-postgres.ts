/**
 * A PostgreSQL server for one test run: made from the system's binaries, in a temporary directory, on a free loopback
 * port, with fsync on, and gone afterwards. Set up once for all files of vitest.pg.config.ts, which find it by
 * PF3_TEST_POSTGRES_URL; when that is set already, the server it names is used and left alone.
 */
import { spawn, spawnSync } from 'node:child_process'
import { chmodSync, chownSync, existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import pg from 'pg'
import { freePort } from '../machine/free-port.ts'

const install = 'apt-get install postgresql'
const startWaitMs = 30_000
const stopWaitMs = 10_000

let stopServer: (() => Promise<void>) | undefined

/** Called by vitest before the first file. */
export async function setup(): Promise<void> {
  if (process.env.PF3_TEST_POSTGRES_URL) return
  const { url, stop } = await startPostgres()
  process.env.PF3_TEST_POSTGRES_URL = url
  stopServer = stop
}

/** Called by vitest after the last one. */
export async function teardown(): Promise<void> {
  await stopServer?.()
}

export type StartOptions = {
  /** PEM; without it the server speaks plain text. */
  tls?: { cert: string; key: string }
  /** Asked for, by SCRAM; without it the server lets everybody in. Letters and digits, as it stands in the URL. */
  password?: string
  /** As `name=value`. */
  settings?: readonly string[]
}

/** Starts a server and answers where it is and how to end it. Throws, naming the command to run, when there are no binaries. */
export async function startPostgres({
  tls,
  password,
  settings = [],
}: StartOptions = {}): Promise<{ url: string; stop: () => Promise<void> }> {
  const bin = findBinaries()
  const user = unprivilegedUser()
  // Not the temporary directory of this user, which another one may not enter.
  const dir = mkdtempSync('/tmp/pf3-postgres-')
  chmodSync(dir, 0o700)
  if (user) chownSync(dir, user.uid, user.gid)
  const data = join(dir, 'data')
  const run = { cwd: dir, ...user, env: { PATH: process.env.PATH ?? '', LC_ALL: 'C.UTF-8', TZ: 'UTC' } }

  const made = spawnSync(
    join(bin, 'initdb'),
    ['-D', data, '-U', 'pf3_test', '-E', 'UTF8', '--no-sync', ...askingFor(password, dir, user)],
    { ...run, encoding: 'utf8' },
  )
  if (made.status !== 0) throw new Error(`initdb failed: ${made.stderr || made.error}`)
  const port = await freePort()
  const more = [...settings, ...(tls ? writeTls(dir, tls, user) : [])].flatMap((setting) => ['-c', setting])
  const server = spawn(
    join(bin, 'postgres'),
    [
      '-D',
      data,
      '-h',
      '127.0.0.1',
      '-p',
      String(port),
      '-k',
      dir,
      '-c',
      'fsync=on',
      '-c',
      'max_connections=60',
      ...more,
    ],
    { ...run, stdio: ['ignore', 'ignore', 'pipe'] },
  )
  let said = ''
  server.stderr.setEncoding('utf8').on('data', (chunk: string) => (said = (said + chunk).slice(-4_000)))
  const ended = new Promise<void>((resolve) => server.once('exit', () => resolve()))

  const stop = async () => {
    server.kill('SIGINT') // Fast shutdown: rolls back what is open and ends.
    const giveUp = setTimeout(() => server.kill('SIGKILL'), stopWaitMs)
    await ended
    clearTimeout(giveUp)
    rmSync(dir, { recursive: true, force: true })
  }
  const url = `postgres://pf3_test${password === undefined ? '' : `:${password}`}@127.0.0.1:${port}/postgres`
  try {
    await answering(url, () => server.exitCode === null)
  } catch (error) {
    await stop()
    throw new Error(`PostgreSQL did not start: ${said}`, { cause: error })
  }
  return { url, stop }
}

type User = { uid: number; gid: number } | undefined

function askingFor(password: string | undefined, dir: string, user: User): string[] {
  if (password === undefined) return ['--auth=trust']
  const file = join(dir, 'password')
  writeFileSync(file, password, { mode: 0o600 })
  if (user) chownSync(file, user.uid, user.gid)
  return ['--auth=scram-sha-256', `--pwfile=${file}`]
}

function writeTls(dir: string, { cert, key }: { cert: string; key: string }, user: User): string[] {
  const files = { ssl_cert_file: join(dir, 'cert.pem'), ssl_key_file: join(dir, 'key.pem') }
  writeFileSync(files.ssl_cert_file, cert, { mode: 0o600 })
  writeFileSync(files.ssl_key_file, key, { mode: 0o600 })
  for (const path of Object.values(files)) if (user) chownSync(path, user.uid, user.gid)
  return ['ssl=on', ...Object.entries(files).map(([name, path]) => `${name}=${path}`)]
}

/** The newest that is installed, wherever Debian, Homebrew or PATH have it. */
function findBinaries(): string {
  const versions = existsSync('/usr/lib/postgresql') ? readdirSync('/usr/lib/postgresql') : []
  const candidates = [
    ...versions.sort((a, b) => Number(b) - Number(a)).map((version) => `/usr/lib/postgresql/${version}/bin`),
    ...(process.env.PATH ?? '').split(':'),
  ]
  const found = candidates.find((dir) => existsSync(join(dir, 'initdb')) && existsSync(join(dir, 'postgres')))
  if (!found)
    throw new Error(`These tests need PostgreSQL's binaries (initdb, postgres). Install them with:\n\n  ${install}\n`)
  return found
}

/** PostgreSQL refuses to run as root; its package brings a user for it. */
function unprivilegedUser(): User {
  if (process.getuid?.() !== 0) return undefined
  const [uid, gid] = ['-u', '-g'].map((flag) =>
    Number.parseInt(spawnSync('id', [flag, 'postgres'], { encoding: 'utf8' }).stdout, 10),
  )
  if (!uid || !gid)
    throw new Error(
      `PostgreSQL does not run as root, and there is no user postgres. Install it with:\n\n  ${install}\n`,
    )
  return { uid, gid }
}

async function answering(url: string, isRunning: () => boolean): Promise<void> {
  const until = Date.now() + startWaitMs
  for (;;) {
    const client = new pg.Client({ connectionString: url })
    try {
      await client.connect()
      await client.end()
      return
    } catch (error) {
      if (!isRunning() || Date.now() > until) throw error
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }
}
