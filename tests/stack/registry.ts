/** Apicurio Registry without Docker: it speaks Confluent's API at /apis/ccompat/v7, in memory, on a free loopback port. */
import { mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { answering, freePort, type Part, startPart } from './machine.ts'

export type RegistryStack = { url: string; part: Part; stop(): Promise<void> }

const startWaitMs = 90_000

/** `port`: the same one again for a registry that was away. It forgets everything when it ends. */
export async function startRegistry({
  jars,
  dir,
  port,
}: {
  jars: string
  dir: string
  port?: number
}): Promise<RegistryStack> {
  const home = join(dir, 'registry')
  mkdirSync(home, { recursive: true })
  const runner = readdirSync(jars).find((name) => name.endsWith('-runner.jar'))
  if (runner === undefined) throw new Error(`There is no registry in ${jars}.`)
  const at = port ?? (await freePort())
  const logFile = join(home, 'registry.log')
  const part = startPart({
    name: 'The schema registry',
    command: 'java',
    args: ['-Xmx384m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-jar', join(jars, runner)],
    cwd: home,
    env: { QUARKUS_HTTP_PORT: String(at), QUARKUS_HTTP_HOST: '127.0.0.1' },
    logFile,
  })
  const url = `http://127.0.0.1:${at}/apis/ccompat/v7`
  await answering(part, logFile, startWaitMs, async () => (await fetch(`${url}/subjects`)).ok)
  return { url, part, stop: () => part.stop() }
}
