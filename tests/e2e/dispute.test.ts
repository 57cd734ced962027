/** A bill in dispute, derived again while its tenant goes on working. */
import { execFile } from 'node:child_process'
import { expect, test } from 'vitest'
import { jobClient } from '../../bin/demo/job-client.ts'
import { cleanEnv, pf3Path } from '../../bin/demo/service-process.ts'
import { stage } from './stage.ts'

const inFlight = 16
const replays = 2

test('replay finds no difference while jobs are being rated', async () => {
  const { client, tenant, dataDir } = await stage({ connectionsMax: inFlight })
  const { id, token } = await tenant('harbor')
  const jobs = jobClient(client)
  const period = new Date().toISOString().slice(0, 7)
  let submitted = 0
  let isOver = false
  const work = Array.from({ length: inFlight }, async () => {
    while (!isOver)
      await jobs.run({
        token,
        key: `job-${++submitted}`,
        body: { capability: 'classify.sentiment', input: { text: `day ${submitted}` } },
      })
  })
  await expect.poll(() => submitted, { timeout: 30_000 }).toBeGreaterThan(200)

  const replay = (tenantId: string) =>
    new Promise<{ code: number; stderr: string; report: { jobs: number; deltas: unknown[] } }>((resolve) =>
      execFile(
        process.execPath,
        [pf3Path, 'replay', '--tenant', tenantId, '--period', period, '--diff', '--json'],
        { env: cleanEnv({ PF3_DATA_DIR: dataDir }) },
        (error, out, stderr) => resolve({ code: Number(error?.code ?? 0), stderr, report: JSON.parse(out || '{}') }),
      ),
    )
  for (let n = 0; n < replays; n++) {
    const before = submitted
    const { code, stderr, report } = await replay(id)
    expect({ stderr, deltas: report.deltas?.slice(0, 3), code }).toEqual({ stderr: '', deltas: [], code: 0 })
    expect(report.jobs).toBeGreaterThanOrEqual(before - inFlight)
    expect(submitted, 'jobs went on').toBeGreaterThan(before)
  }
  isOver = true
  await Promise.all(work)
  // A name that nobody has is not a bill without differences.
  expect(await replay('harbour')).toMatchObject({ code: 2, stderr: expect.stringContaining('no tenant "harbour"') })
}, 120_000)
