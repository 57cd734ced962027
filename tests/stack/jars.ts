/** Kafka and the registry as jars from Maven Central, kept between runs under a name that changes with `pom.xml`. */
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'

export type Jars = { kafka: string; registry: string }

const here = import.meta.dirname
const cacheDir = join(here, '../../node_modules/.cache/pf3-stack')

/** Fetches them when they are not there. Needs `java` and `mvn` on the PATH; says how to get them when they are not. */
export function stackJars(): Jars {
  for (const [command, install] of [
    ['java', 'apt-get install openjdk-17-jre-headless'],
    ['mvn', 'apt-get install maven'],
  ] as const) {
    try {
      execFileSync(command, ['-version'], { stdio: 'ignore' })
    } catch {
      throw new Error(`${command} was not found. Kafka and the registry need it: ${install}`)
    }
  }
  const pom = join(here, 'pom.xml')
  const dir = join(cacheDir, createHash('sha256').update(readFileSync(pom)).digest('hex').slice(0, 16))
  if (!existsSync(dir)) {
    const draft = `${dir}.${process.pid}`
    mkdirSync(draft, { recursive: true })
    try {
      execFileSync('mvn', ['-q', '-B', '-f', pom, 'package', `-Dstack.dir=${draft}`], {
        stdio: ['ignore', 'pipe', 'pipe'],
      })
      renameSync(draft, dir)
    } catch (error) {
      rmSync(draft, { recursive: true, force: true })
      if (!existsSync(dir)) throw error // Somebody else may have been faster.
    }
  }
  return { kafka: join(dir, 'kafka'), registry: join(dir, 'registry') }
}
