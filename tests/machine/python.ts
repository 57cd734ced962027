/** Python programs that tests need, from PyPI, in a virtual environment of their own. */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'

/** Installs into `home` what `pip install` is told by `wanted`, once. Throws with what pip said. */
export function installPython(home: string, wanted: readonly string[]): void {
  if (existsSync(join(home, 'installed'))) return
  rmSync(home, { recursive: true, force: true })
  mkdirSync(join(home, '..'), { recursive: true })
  run('python3', ['-m', 'venv', home])
  run(join(home, 'bin/pip'), ['install', '--quiet', '--disable-pip-version-check', ...wanted])
  mkdirSync(join(home, 'installed')) // Last, so that an installation that was cut short is begun again.
}

function run(command: string, args: readonly string[]): void {
  const { status, stdout, stderr, error } = spawnSync(command, args, { encoding: 'utf8' })
  if (status === 0) return
  const hint = 'This needs Python 3 with venv (apt-get install python3-venv) and PyPI.'
  throw new Error(`${hint}\n${command} ${args.join(' ')}: ${error ?? ''}${stdout}${stderr}`)
}
