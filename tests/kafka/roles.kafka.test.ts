/** Each role a process of its own, as docker-compose.yml has them: prices are there, each says how far it is, each is restarted in good order, and CS-4 reads what it came to. */
import { expect, test } from 'vitest'
import { hasEnded, jobClient } from '../../bin/demo/job-client.ts'
import { installSample, languages, runSample } from '../billing-feed/run-sample.ts'
import { startFleet } from './fleet.ts'

const soon = { timeout: 20_000, interval: 50 }

test('a job is priced by a book that nobody had to publish, figures say how far each process is, and a restart of each loses nothing', async () => {
  const fleet = await startFleet({
    members: ['api', 'projections', 'owner'],
    partitionCount: 2,
    connectionsMax: 4,
    env: { PF3_LOCAL_THREADS: '1' },
  })
  const [api, projections, owner] = fleet.members
  if (!api || !projections || !owner) throw new Error('There are three processes.')
  const { token } = await fleet.tenant('harbor')
  const jobs = jobClient(fleet.client)
  const wanted = (key: string) => ({
    token,
    key,
    body: { capability: 'classify.sentiment', input: { text: 'A good day.' } },
  })
  const first = await jobs.run(wanted('first'))
  expect(first.status).toBe('succeeded')
  expect(Number(first.charged)).toBeGreaterThan(0)

  const none = new Map([0, 1].map((partition) => [partition, 0]))
  for (const member of fleet.members)
    await expect.poll(() => member.figure('pf3_owner_lag_requests'), soon).toEqual(none)
  await expect.poll(() => owner.figure('pf3_owner_restoring_facts'), soon).toEqual(none)
  await expect.poll(() => projections.figure('pf3_views_lag_facts'), soon).toEqual(none)
  for (const member of fleet.members) {
    const ready = await fetch(`${member.service().url}/readyz`)
    expect([member.name, ready.status]).toEqual([member.name, 200])
  }

  for (const member of [owner, projections, api]) {
    expect(await member.stop()).toBe(0)
    // Nobody decides, shows or takes it now: the client asks until somebody does.
    const during = jobs.run(wanted(member.roles))
    const waiting = async () => [...(await api.figure('pf3_owner_lag_requests')).values()].toSorted()
    if (member === owner) await expect.poll(waiting, soon).toEqual([0, 1])
    await member.start()
    const end = await during
    expect([member.roles, hasEnded(end), end.status, end.attempts]).toEqual([member.roles, true, 'succeeded', 1])
  }
  // The feed itself, as CS-4 reads it, comes to what the ledger says of all of them.
  installSample()
  const feed = [
    '--brokers',
    fleet.env['PF3_KAFKA_BROKERS'],
    '--topic',
    `${fleet.env['PF3_TOPIC_PREFIX']}billing`,
    '--json',
  ]
  const compare = ['--registry', fleet.env['PF3_REGISTRY_URL'], '--compare', api.service().url, '--tenant', 'harbor']
  for (const language of languages) {
    const { status, said, complained } = await runSample(language, [...feed, ...compare].map(String), {
      PF3_TOKEN: token,
    })
    expect({ language, status, complained }).toEqual({ language, status: 0, complained: '' })
    expect(JSON.parse(said)).toMatchObject({
      facts: 4,
      balances: [{ tenantId: 'harbor', jobs: 4 }],
      comparison: { tenantId: 'harbor', periods: [first.billingPeriod], differences: [] },
    })
  }
})
