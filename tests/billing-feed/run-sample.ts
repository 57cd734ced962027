/** Runs the samples as a reader of the documentation would: as processes of their own. */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { installPython } from '../machine/python.ts'

const root = join(import.meta.dirname, '../..')
const samples = join(root, 'samples/billing-consumer')
const requirements = join(samples, 'python/requirements.txt')
const version = createHash('sha256').update(readFileSync(requirements)).digest('hex').slice(0, 16)
/** A virtual environment per content of requirements.txt. */
const home = join(root, 'node_modules/.cache', `billing-consumer-${version}`)

export const languages = ['typescript', 'python'] as const
export type Language = (typeof languages)[number]
export type Ran = { status: number; said: string; complained: string }

const programs: Record<Language, readonly [string, ...string[]]> = {
  typescript: [process.execPath, '--disable-warning=TimeoutNegativeWarning', join(samples, 'typescript/consume.ts')],
  python: [join(home, 'bin/python'), join(samples, 'python/consume.py')],
}
const runMsMax = 90_000

export function runSample(language: Language, args: readonly string[], env: Record<string, string> = {}): Promise<Ran> {
  const [program, ...script] = programs[language]
  return new Promise((resolve, reject) => {
    const options = { env: { ...process.env, PYTHONDONTWRITEBYTECODE: '1', ...env }, timeout: runMsMax }
    execFile(program, [...script, ...args], options, (error, said, complained) => {
      const status = error === null ? 0 : error.code
      if (typeof status === 'number') resolve({ status, said, complained })
      else reject(new Error(`${script.join(' ')}: ${error?.message}\n${complained}`))
    })
  })
}

/** Installs what the sample in Python asks for, from PyPI, when it is not there yet. */
export const installSample = (): void => installPython(home, ['-r', requirements])
