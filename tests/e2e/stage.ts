/** A service of its own for a test: a process on a fresh data directory, its client, and tenants to act as. */
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { type ApiClient, apiClient } from '../../bin/demo/api-client.ts'
import { type ServiceProcess, startServiceProcess } from '../../bin/demo/service-process.ts'

export type Actors = {
  /** A client below the platform, or what is said otherwise; the token is its admin's. */
  tenant(
    id: string,
    more?: { level?: 'partner' | 'merchant'; parentId?: string },
  ): Promise<{ id: string; token: string }>
  setCap(tenantId: string, capId: string, cap: object): Promise<void>
}

export function actors(client: ApiClient, rootToken: string): Actors {
  const asRoot = <Body>(method: 'POST' | 'PUT', path: string, body: object) =>
    client.mustAsk<Body>(rootToken, { method, path, body, headers: { 'X-PF3-Justification': 'set-up of a test' } })
  return {
    async tenant(id, more = {}) {
      const tenant = { id, level: 'client', name: id, currency: 'USD', timeZone: 'Africa/Lagos', ...more }
      await asRoot('POST', '/v1/tenants', tenant)
      const { token } = await asRoot<{ token: string }>('POST', `/v1/tenants/${id}/tokens`, { role: 'tenant-admin' })
      return { id, token }
    },
    setCap: async (tenantId, capId, cap) => void (await asRoot('PUT', `/v1/tenants/${tenantId}/caps/${capId}`, cap)),
  }
}

export type Stage = Actors & {
  dataDir: string
  rootToken: string
  client: ApiClient
  service(): ServiceProcess
  /** SIGKILL, and a new process on the same data and port. */
  restart(): Promise<void>
}

/** Everything is ended and removed when the test is over. */
export async function stage(options: {
  connectionsMax: number
  env?: Readonly<Record<string, string>>
}): Promise<Stage> {
  const dataDir = await mkdtemp(join(tmpdir(), 'pf3-e2e-'))
  const rootToken = `pf3_${randomBytes(32).toString('base64url')}`
  const start = (port: number) =>
    startServiceProcess({ dataDir, port, rootToken, ...(options.env && { env: options.env }) })
  let service = await start(0)
  const port = Number(new URL(service.url).port)
  const client = apiClient(() => service.url, options.connectionsMax)
  let restarting: Promise<unknown> = Promise.resolve()
  onTestFinished(async () => {
    await restarting.catch(() => undefined) // A test that fails half-way must not leave a service behind.
    client.close()
    if (!service.hasEnded()) await service.stop() // Killed, it would leave the directory of its socket behind.
    await rm(dataDir, { recursive: true, force: true })
  })
  return {
    dataDir,
    rootToken,
    client,
    service: () => service,
    restart() {
      const restarted = service.kill().then(async () => {
        service = await start(port)
      })
      restarting = restarted
      return restarted
    },
    ...actors(client, rootToken),
  }
}
