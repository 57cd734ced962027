/** A short flood of the real service in a process of its own; the long one is `npm run bench:overload`. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { withFloodedService } from './flooded-service.ts'

test('under more than it can take, the service does what it accepted, and tells the rest to come again', async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'pf3-overload-'))
  try {
    // Few places, so that there is too much for any machine, and not so much that a busy one cannot even say no.
    const env = { PF3_WORKING_REQUESTS: '8' }
    const { found, states, rssMaxBytes } = await withFloodedService({ dataDir, perS: 600, forMs: 8_000, env })
    expect([...found.others]).toEqual([])
    expect(found.accepted.length + found.refused).toBe(found.sent)
    expect(found.refused).toBeGreaterThan(0)
    expect(found.accepted.length).toBeGreaterThan(50)
    expect(Object.keys(states)).toEqual(['succeeded'])
    expect(states['succeeded']).toBe(found.accepted.length)
    expect(rssMaxBytes).toBeLessThan(2 * 1024 ** 3)
  } finally {
    await rm(dataDir, { recursive: true })
  }
}, 180_000)
