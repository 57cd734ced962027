/** The archive as an operator has it: written beside a running service, checked elsewhere, and replayed without the log. */
import { execFile } from 'node:child_process'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, onTestFinished, test } from 'vitest'
import { jobClient } from '../../bin/demo/job-client.ts'
import { cleanEnv, pf3Path } from '../../bin/demo/service-process.ts'
import { stage } from '../e2e/stage.ts'

const run = promisify(execFile)

test('a period replayed from the archive is the period replayed from the log, and a changed archive is found', async () => {
  const { client, tenant, dataDir, service } = await stage({ connectionsMax: 8 })
  const { id, token } = await tenant('harbor')
  const jobs = jobClient(client)
  const runJobs = (prefix: string) =>
    Promise.all(
      Array.from({ length: 20 }, (_, n) =>
        jobs.run({
          token,
          key: `${prefix}-${n}`,
          body: { capability: 'classify.sentiment', input: { text: `day ${n}` } },
        }),
      ),
    )
  const pf3 = async (...args: string[]) => {
    const env = cleanEnv({ PF3_DATA_DIR: dataDir })
    const { stdout, code } = await run(process.execPath, [pf3Path, ...args], { env }).then(
      (done) => ({ ...done, code: 0 }),
      (failed: { stdout: string; stderr: string; code: number }) => failed,
    )
    return { code, stdout }
  }
  const place = await mkdtemp(join(tmpdir(), 'pf3-archive-'))
  onTestFinished(() => rm(place, { recursive: true }))
  const period = new Date().toISOString().slice(0, 7)
  const asked = ['--tenant', id, '--period', period, '--json']

  await runJobs('first')
  const first = JSON.parse((await pf3('archive', 'write', '--to', place, '--json')).stdout) as { publicKey: string }
  await runJobs('second')
  expect((await pf3('archive', 'write', '--to', place)).code).toBe(0)

  const fromLog = await pf3('replay', ...asked)
  const fromArchive = await pf3('replay', ...asked, '--archive', place, '--diff')
  expect([fromLog.code, fromArchive.code]).toEqual([0, 0])
  expect(JSON.parse(fromArchive.stdout)).toEqual(JSON.parse(fromLog.stdout))
  expect(JSON.parse(fromArchive.stdout)).toMatchObject({ jobs: 40, endedJobs: 40, deltaCount: 0 })

  // Elsewhere, with nothing but the public key.
  const key = join(dataDir, 'archive.pem')
  await writeFile(key, first.publicKey)
  const elsewhere = { PF3_DATA_DIR: join(dataDir, 'nothing-here') }
  const check = (from = place) =>
    run(process.execPath, [pf3Path, 'archive', 'check', '--from', from, '--public-key', key], {
      env: cleanEnv(elsewhere),
    })
  expect((await check()).stdout).toMatch(/^\d+ facts in .* are as they were signed\.\n$/)
  for (const nothing of [join(place, 'mistyped'), dataDir])
    await expect(check(nothing)).rejects.toMatchObject({
      code: 2,
      stdout: '',
      stderr: expect.stringContaining(`--from: there is nothing in ${nothing}`),
    })
  const files = (await readdir(place, { recursive: true })).filter((name) => name.endsWith('.avro'))
  await writeFile(join(place, files[0] ?? ''), 'not that')
  await expect(check()).rejects.toMatchObject({ code: 1, stdout: expect.stringMatching(/is not what was signed/) })
  expect((await pf3('replay', ...asked, '--archive', place)).code).toBe(3)
  expect(service().hasEnded()).toBe(false)
}, 120_000)
