/** Who follows a tenant that does not exist is told, and not left to wait for what cannot come. */
import { spawn } from 'node:child_process'
import { expect, onTestFinished, test } from 'vitest'
import { cleanEnv, pf3Path } from '../../bin/demo/service-process.ts'
import { stage } from '../e2e/stage.ts'

test('an unknown tenant is said to be none yet, and followed from when it is there; a known one is not spoken of', async () => {
  const scene = await stage({ connectionsMax: 2 })
  await scene.tenant('harbor')
  const tail = (tenant: string) => {
    const child = spawn(process.execPath, [pf3Path, 'events', 'tail', '--tenant', tenant, '--from-start'], {
      env: cleanEnv({ PF3_DATA_DIR: scene.dataDir }),
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    onTestFinished(() => void child.kill('SIGKILL'))
    const told = { stdout: '', stderr: '' }
    for (const name of ['stdout', 'stderr'] as const)
      child[name].setEncoding('utf8').on('data', (text) => {
        told[name] += text
      })
    return told
  }
  const [known, unknown] = [tail('harbor'), tail('harbour')]
  await expect
    .poll(() => unknown.stderr)
    .toBe('No tenant "harbour" is known yet; its facts will follow if it is registered.\n')
  await expect.poll(() => known.stdout).toContain('TokenIssued harbor')
  await scene.tenant('harbour')
  await expect.poll(() => unknown.stdout).toContain('TokenIssued harbour')
  expect(known.stderr).toBe('')
}, 120_000)
