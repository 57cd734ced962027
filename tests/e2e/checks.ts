/** What must hold after a load that services died under: from the log, from the views, and from the provider's side. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'vitest'
import type { ApiJob } from '../../api/jobs/convert.ts'
import { readConfig } from '../../bin/config.ts'
import type { ApiClient } from '../../bin/demo/api-client.ts'
import { tenantFigures } from '../../bin/demo/figures.ts'
import { hasEnded } from '../../bin/demo/job-client.ts'
import { type VerifyOptions, verifyExport } from '../../bin/demo/verify.ts'
import { exportFacts } from '../../bin/export-facts.ts'
import { borrowFoundation } from '../../bin/foundation.ts'
import type { ScriptedProvider } from '../../providers/scripted/scripted-provider.ts'
import type { Fact } from '../../schemas/events.generated.ts'

export type Aftermath = {
  client: ApiClient
  facts: readonly Fact[]
  /** By key: the id of every job that was acknowledged, and its end. */
  acknowledged: ReadonlyMap<string, string>
  ends: ReadonlyMap<string, ApiJob>
  /** With three caps each, none of them tight. */
  tenants: readonly { id: string; token: string }[]
  provider: ScriptedProvider
}

/** Nothing lost, nothing charged twice, nothing held, no call that the log does not know of. */
export async function expectNothingLost({
  client,
  facts,
  acknowledged,
  ends,
  tenants,
  provider,
}: Aftermath): Promise<void> {
  // Nothing lost: every acknowledged job has ended, and no job exists that nobody asked for.
  expect([...acknowledged.keys()].filter((key) => !hasEndedWell(ends.get(key)))).toEqual([])
  const submitted = facts.filter((fact) => fact.type === 'JobSubmitted').map((fact) => fact.jobId)
  expect(new Set(submitted).size).toBe(submitted.length)
  expect(submitted.sort()).toEqual([...acknowledged.values()].sort())
  // Nothing charged twice.
  const rated = facts.filter((fact) => fact.type === 'JobRated')
  expect(rated.map((fact) => fact.jobId).sort()).toEqual(submitted)
  expect(new Set(rated.flatMap((fact) => fact.lines.map((line) => line.lineId))).size).toBe(
    rated.flatMap((fact) => fact.lines).length,
  )
  for (const { id, token } of tenants) {
    const own = rated.filter((fact) => fact.tenantId === id)
    const figures = await tenantFigures(client, token, id, new Date().toISOString().slice(0, 10))
    expect(figures.ledgerJobs).toBe(own.length)
    expect(figures.ledgerPico).toBe(own.reduce((sum, fact) => sum + fact.chargedPico, 0n))
    expect(figures.caps.map(({ held }) => held)).toEqual(['0', '0', '0'])
  }
  // The provider saw each attempt at most once, and none that was not committed before.
  const started = new Set(facts.flatMap((fact) => (fact.type === 'AttemptStarted' ? [fact.attemptId] : [])))
  const called = provider.calls().map(({ attemptId }) => attemptId)
  expect(called.length).toBe(provider.callCount())
  expect(new Set(called).size).toBe(called.length)
  expect(called.filter((attemptId) => !started.has(attemptId))).toEqual([])
}

const hasEndedWell = (job: ApiJob | undefined): boolean => job !== undefined && hasEnded(job)

/** All facts of the installation that `env` configures, after the verifier has found nothing wrong with them. */
export async function exportedFacts(
  env: Readonly<Record<string, string>>,
  options: VerifyOptions = {},
): Promise<Fact[]> {
  const dir = await mkdtemp(join(tmpdir(), 'pf3-e2e-export-'))
  const facts: Fact[] = []
  const foundation = await borrowFoundation(readConfig(env))
  try {
    await exportFacts(foundation, {
      dir: join(dir, 'export'),
      pass: (fact) => {
        facts.push(fact)
        return fact
      },
    })
    const { problems } = await verifyExport(join(dir, 'export'), options)
    expect(problems).toEqual([])
  } finally {
    await foundation.close()
    await rm(dir, { recursive: true, force: true })
  }
  return facts
}
