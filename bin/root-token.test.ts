import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { systemRandom } from '../platform/clock.ts'
import { tokenHash } from '../producers/index.ts'
import { rootToken } from './root-token.ts'

test('one that nobody was shown is made anew; one that was shown stays, and is not told again', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'pf3-root-token-'))
  onTestFinished(() => rm(dir, { recursive: true, force: true }))
  const start = () => rootToken(undefined, dir, systemRandom)
  const failed = await start()
  const shown = await start()
  expect(shown.made?.token).toMatch(/^pf3_[\w-]{43}$/)
  expect(shown.made?.token).not.toBe(failed.made?.token)
  expect(shown.hash).toBe(tokenHash(shown.made?.token ?? ''))
  await shown.made?.keep()
  expect(await start()).toEqual({ hash: shown.hash })
})
