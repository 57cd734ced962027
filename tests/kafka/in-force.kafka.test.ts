/** What a call has changed holds, when it returns, at every replica: nobody can go to another door and find it open. */
import { expect, test } from 'vitest'
import { apiClient } from '../../bin/demo/api-client.ts'
import { hasEnded, jobClient } from '../../bin/demo/job-client.ts'
import { startFleet } from './fleet.ts'

const rounds = 12
const whole = 'api,owner,projections'

test.each([
  ['replicas that hear each other by Redis', []],
  ['replicas of which one has no views of its own and is told nothing', ['PF3_REDIS_URL']],
])(
  'with three %s: a token that was revoked opens nothing, a cap that was set lets nothing through',
  async (_, without) => {
    const fleet = await startFleet({
      members: [whole, whole, 'api,owner'],
      partitionCount: 3,
      connectionsMax: 12,
      env: { PF3_LOCAL_THREADS: '1' },
      without,
    })
    const doors = fleet.members.map((member) => apiClient(() => member.service().url, 4))
    const { id, token } = await fleet.tenant('harbor')
    const job = (key: string) => ({
      token,
      key,
      body: { capability: 'classify.sentiment', input: { text: 'A good day.' } },
    })
    try {
      for (let round = 0; round < rounds; round++) {
        const [one, ...others] = [...doors.slice(round % 3), ...doors.slice(0, round % 3)]
        if (!one) throw new Error('There are three doors.')
        const tokens = `/v1/tenants/${id}/tokens`
        const made = await one.mustAsk<{ id: string; token: string }>(token, {
          method: 'POST',
          path: tokens,
          body: { role: 'reader' },
        })
        const read = { method: 'GET', path: '/v1/caps/standing' } as const
        for (const door of doors) expect((await door.ask(made.token, read)).status).toBe(200)
        await one.mustAsk(token, { method: 'DELETE', path: `${tokens}/${made.id}` })
        for (const door of [...others, one]) expect((await door.ask(made.token, read)).status).toBe(401)

        const cap = (limit: number) =>
          one.mustAsk(token, {
            method: 'PUT',
            path: `/v1/tenants/${id}/caps/gate`,
            body: { metric: 'requests', limit, period: 'total' },
          })
        const endAt = async (door: (typeof doors)[number], key: string) => {
          const jobs = jobClient(door)
          const end = await jobs.run(job(key))
          expect(hasEnded(end)).toBe(true)
          return end.status
        }
        await cap(0)
        for (const [index, door] of others.entries())
          expect(await endAt(door, `shut-${round}-${index}`)).toBe('refused')
        await cap(1_000_000)
        for (const [index, door] of others.entries())
          expect(await endAt(door, `open-${round}-${index}`)).toBe('succeeded')
      }
    } finally {
      for (const door of doors) door.close()
    }
  },
  300_000,
)
