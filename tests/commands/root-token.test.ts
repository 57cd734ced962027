/** Whoever starts PF-3 for the first time gets a root token that works, whatever went wrong before. */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { expect, onTestFinished, test } from 'vitest'
import { cleanEnv, pf3Path } from '../../bin/demo/service-process.ts'
import { freePort } from '../machine/free-port.ts'
import { runPf3 } from '../machine/run-pf3.ts'

type Ready = { url: string; rootToken?: string }

/** Ends with the test, or by SIGKILL before. */
async function start(dataDir: string): Promise<{ child: ChildProcess; ready: Ready }> {
  const child = spawn(process.execPath, [pf3Path, 'start', '--json'], {
    env: cleanEnv({ PF3_DATA_DIR: dataDir, PF3_PORT: '0', PF3_LOG_LEVEL: 'error' }),
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  const line = await new Promise<string>((resolve, reject) => {
    createInterface({ input: child.stdout }).once('line', resolve)
    child.once('close', () => reject(new Error('It ended before it was ready.')))
  })
  return { child, ready: JSON.parse(line) as Ready }
}

const status = async ({ url }: Ready, token: string | undefined): Promise<number> =>
  (await fetch(`${url}/v1/price-books`, { headers: { authorization: `Bearer ${token}` } })).status

test('a first start whose port is taken leaves the token to the next; one that was shown is not shown again', async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'pf3-first-'))
  onTestFinished(() => rm(dataDir, { recursive: true, force: true }))
  const port = await freePort()
  const other = createServer().listen(port, '127.0.0.1')
  onTestFinished(() => void other.close())
  await new Promise((resolve) => other.once('listening', resolve))
  const failed = await runPf3(['start'], { PF3_DATA_DIR: dataDir, PF3_PORT: String(port), PF3_LOG_LEVEL: 'silent' })
  expect(failed).toMatchObject({ code: 3, stdout: '', stderr: expect.stringContaining('EADDRINUSE') })

  const first = await start(dataDir)
  expect(await status(first.ready, first.ready.rootToken)).toBe(200)
  await expect.poll(() => readdir(dataDir)).toContain('root-token.sha256')
  first.child.kill('SIGKILL')
  const second = await start(dataDir)
  expect(second.ready.rootToken).toBeUndefined()
  expect(await status(second.ready, first.ready.rootToken)).toBe(200)
}, 120_000)

test('one that is stopped in the moment when it shows the token drains as ever, and the token is kept', async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'pf3-first-'))
  onTestFinished(() => rm(dataDir, { recursive: true, force: true }))
  const first = await start(dataDir)
  const ended = new Promise((resolve) => first.child.once('close', (code, signal) => resolve({ code, signal })))
  first.child.kill('SIGTERM')
  expect(await ended).toEqual({ code: 0, signal: null })
  const second = await start(dataDir)
  expect(await status(second.ready, first.ready.rootToken)).toBe(200)
}, 120_000)
