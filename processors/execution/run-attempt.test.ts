import { expect, test } from 'vitest'
import { noTokens } from '../../capabilities/index.ts'
import { PlatformError } from '../../platform/errors.ts'
import { msFromMicros } from '../../schemas/units.ts'
import { Scene, submit, tenantId } from '../testing/given.ts'
import { plainVault, rated, tally, world } from '../testing/world.ts'
import { decideStart } from './decide.ts'
import { attemptRunner } from './run-attempt.ts'

const limits = { places: { local: 1, remote: 1 }, attemptMsMax: 5_000, retryBaseMs: 1, retryMsMax: 1 }
const usage = { ...noTokens, inputUncachedTokens: 7n, source: 'counted' as const }
const never = new AbortController().signal

/** An attempt that has just been started, and a clock that is set by hand, of which no timer comes. */
function scene({ readMs = 0 } = {}) {
  const given = new Scene()
  given.ask(submit('job-1'))
  const draft = decideStart(given.state.execution, 'local', limits, { now: given.now + 1n })?.facts[0]
  if (draft) given.take(draft)
  const job = given.state.execution.jobs.get('job-1')
  if (!job?.attempt) throw new Error('the job was not started')
  const { attempt } = job
  const deadlineMs = msFromMicros(attempt.deadlineAt)
  let nowMs = deadlineMs - 1_000
  const vault = plainVault()
  vault.contents.set('p', new TextEncoder().encode('{"input":{"text":"hello"},"params":{}}'))
  const calls: string[] = []
  const runner = attemptRunner({
    vault: {
      ...vault,
      getMany(wanted) {
        nowMs += readMs
        return vault.getMany(wanted)
      },
    },
    providers: [
      {
        name: 'local',
        pool: 'local',
        modelFor: () => 'linear-1',
        async call(call) {
          calls.push(call.tenantId)
          return { ok: true, result: 1, usage }
        },
        close: async () => {},
      },
    ],
    capabilityNamed: () => undefined,
    clock: { nowMs: () => nowMs, after: () => () => {} },
    onFault: (error) => {
      throw error
    },
  })
  const run = (startMs: number) => {
    nowMs = startMs
    return runner.run(job, attempt, null, never)
  }
  return { run, calls, deadlineMs }
}

test.each([
  ['a millisecond is left', true, -1, 0],
  ['nothing is left', false, 1, 0],
  ['reading its input takes longer than what is left', false, -10, 20],
])('when %s, its provider is called: %s', async (_, isCalled, sinceDeadlineMs, readMs) => {
  const { run, calls, deadlineMs } = scene({ readMs })
  const outcome = await run(deadlineMs + sinceDeadlineMs)
  expect(calls).toEqual(isCalled ? [tenantId] : [])
  expect(outcome).toMatchObject(isCalled ? { ok: true } : { ok: false, code: 'PROVIDER_TIMEOUT', usage: null })
})

test('an input that is damaged fails its own job, not those that are read with it', async () => {
  const w = world({ pool: 'remote' })
  const batches: string[][] = []
  const { getMany } = w.vault
  w.vault.getMany = async (wanted) => {
    batches.push(wanted.map(({ ref }) => ref))
    const bad = wanted.find(({ ref }) => ref === 'bad')
    if (bad) throw new PlatformError('VAULT_DAMAGED', bad)
    return getMany(wanted)
  }
  const owner = w.start({ attemptsMax: 1 })
  await w.begin()
  await w.ask(submit('job-1'), submit('job-2', { payloadRef: 'bad' }), submit('job-3'))
  const facts = await w.until(rated(3))
  await owner.end()
  expect(batches).toEqual([
    ['p', 'bad', 'p'],
    ['p', 'p'],
  ])
  expect(tally(facts)).toMatchObject({ JobSucceeded: 2, JobFailed: 1 })
  expect(facts.find((fact) => fact.type === 'JobFailed')).toMatchObject({ jobId: 'job-2' })
})
