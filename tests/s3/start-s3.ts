/**
 * Object storage for one test run: moto's server in memory, on a free loopback port, gone afterwards. It is installed from
 * PyPI into node_modules/.cache when it is not there yet. Tests find it by `inject('s3Url')`.
 */
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import type { TestProject } from 'vitest/node'
import { freePort } from '../machine/free-port.ts'
import { installPython } from '../machine/python.ts'

declare module 'vitest' {
  export interface ProvidedContext {
    s3Url: string
  }
}

const version = '5.2.5'
const home = join(import.meta.dirname, '../../node_modules/.cache', `moto-${version}`)
const startWaitMs = 60_000
const stopWaitMs = 5_000

let stopServer: (() => Promise<void>) | undefined

/** Called by vitest before the first file. */
export async function setup(project: TestProject): Promise<void> {
  const { url, stop } = await startS3()
  stopServer = stop
  project.provide('s3Url', url)
}

/** Called by vitest after the last one. */
export async function teardown(): Promise<void> {
  await stopServer?.()
}

/** Throws, saying what pip said, when the server can be neither found nor installed. */
async function startS3(): Promise<{ url: string; stop: () => Promise<void> }> {
  installPython(home, [`moto[server]==${version}`])
  const port = await freePort()
  const server = spawn(join(home, 'bin/moto_server'), ['-H', '127.0.0.1', '-p', String(port)], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let said = ''
  server.stderr.setEncoding('utf8').on('data', (chunk: string) => (said = (said + chunk).slice(-4_000)))
  const ended = new Promise<void>((resolve) => server.once('exit', () => resolve()))
  const stop = async () => {
    server.kill('SIGTERM')
    const giveUp = setTimeout(() => server.kill('SIGKILL'), stopWaitMs)
    await ended
    clearTimeout(giveUp)
  }
  const url = `http://127.0.0.1:${port}`
  const until = Date.now() + startWaitMs
  while (
    !(await fetch(url).then(
      (response) => response.ok,
      () => false,
    ))
  ) {
    if (server.exitCode !== null || Date.now() > until) {
      await stop()
      throw new Error(`The S3 server did not start: ${said}`)
    }
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  return { url, stop }
}
