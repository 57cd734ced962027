/** Starts a service, floods it, and waits until everything it accepted has ended. */
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { apiClient } from '../../bin/demo/api-client.ts'
import { startServiceProcess } from '../../bin/demo/service-process.ts'
import { starterBookJson } from '../../pricing/index.ts'
import { type Flood, flood } from './flood.ts'

export type Flooded = {
  found: Flood
  /** Accepted jobs by how they stand in the end. */
  states: Record<string, number>
  rssMaxBytes: number
}

const settleMsMax = 120_000
const patienceMs = 20_000

export async function withFloodedService({
  dataDir,
  perS,
  forMs,
  env = {},
}: {
  dataDir: string
  perS: number
  forMs: number
  /** Further options of the service. */
  env?: Readonly<Record<string, string>>
}): Promise<Flooded> {
  const rootToken = `pf3_${randomBytes(32).toString('base64url')}`
  const service = await startServiceProcess({ dataDir, port: 0, rootToken, env })
  const client = apiClient(() => service.url, 8)
  let rssMaxBytes = 0
  const sampling = setInterval(() => {
    rssMaxBytes = Math.max(rssMaxBytes, rssOf(service.pid))
  }, 200)
  try {
    const token = await openTenant()
    const found = await flood({ url: service.url, token, perS, forMs, patienceMs })
    return { found, states: await statesOf(token, found.accepted), rssMaxBytes }
  } finally {
    clearInterval(sampling)
    client.close()
    await service.stop()
  }

  async function openTenant(): Promise<string> {
    await client.mustAsk(rootToken, { method: 'POST', path: '/v1/price-books', body: JSON.parse(starterBookJson()) })
    const tenant = { id: 'flooded', level: 'partner', name: 'Flooded', currency: 'USD', timeZone: 'UTC' }
    await client.mustAsk(rootToken, { method: 'POST', path: '/v1/tenants', body: tenant })
    const asked = { method: 'POST', path: '/v1/tenants/flooded/tokens', body: { role: 'submitter' } } as const
    const headers = { 'X-PF3-Justification': 'a flood to see what it does' }
    return (await client.mustAsk<{ token: string }>(rootToken, { ...asked, headers })).token
  }

  async function statesOf(token: string, ids: readonly string[]): Promise<Record<string, number>> {
    const states: Record<string, number> = {}
    const endMs = Date.now() + settleMsMax
    for (const id of ids) {
      const waitS = Math.max(0, Math.min(60, Math.floor((endMs - Date.now()) / 1_000)))
      const asked = { method: 'GET', path: `/v1/jobs/${id}?wait=${waitS}` } as const
      const { status } = await client.mustAsk<{ status: string }>(token, asked)
      states[status] = (states[status] ?? 0) + 1
    }
    return states
  }
}

/** Resident memory of a process; 0 where /proc is not there. */
function rssOf(pid: number): number {
  try {
    return Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) * 1_024
  } catch {
    return 0
  }
}
