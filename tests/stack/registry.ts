/** Apicurio Registry without Docker: it speaks Confluent's API at /apis/ccompat/v7, in memory, on a free loopback port. */
import { mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { freePort } from '../machine/free-port.ts'
import { answering, startPart } from './machine.ts'

export type RegistryStack = { url: string; stop(): Promise<void> }

const startWaitMs = 90_000

export async function startRegistry({ jars, dir }: { jars: string; dir: string }): Promise<RegistryStack> {
  const home = join(dir, 'registry')
  mkdirSync(home, { recursive: true })
  const runner = readdirSync(jars).find((name) => name.endsWith('-runner.jar'))
  if (runner === undefined) throw new Error(`There is no registry in ${jars}.`)
  const port = await freePort()
  const logFile = join(home, 'registry.log')
  const part = startPart({
    name: 'The schema registry',
    command: 'java',
    args: ['-Xmx384m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-jar', join(jars, runner)],
    cwd: home,
    env: { QUARKUS_HTTP_PORT: String(port), QUARKUS_HTTP_HOST: '127.0.0.1' },
    logFile,
  })
  const url = `http://127.0.0.1:${port}/apis/ccompat/v7`
  await answering(part, logFile, startWaitMs, async () => (await fetch(`${url}/subjects`)).ok)
  return { url, stop: part.stop }
}
