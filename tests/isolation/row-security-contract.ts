/** What the catalogue of the whole service's database must say; run on PGlite and on a PostgreSQL server. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { clientOf } from '../../api/testing/client.ts'
import { readConfig } from '../../bin/config.ts'
import { type Foundation, openFoundation } from '../../bin/foundation.ts'
import { roles } from '../../bin/roles.ts'
import { type Service, startService } from '../../bin/service.ts'
import { serviceRole, tenantRole } from '../../platform/postgres/isolation.ts'
import { allProjections } from '../../projections/index.ts'
import { rebuildProjections } from '../../projections/rebuild.ts'

/** Everything without a tenant_id: the machine's own, closed to the tenant role. A new one is reviewed, then named here. */
const tablesOfNoTenant = [
  'log_ends',
  'log_fact', // Records as bytes, of all tenants: read by the machine alone.
  'log_intake',
  'log_intake_end',
  'log_shape',
  'log_tenure',
  'owner_snapshot',
  'pf3_migration',
  'projection_position',
  'projection_rebuild',
]
/** What the tenant role may do where it may do more than look. */
const tenantMayWrite: Readonly<Record<string, string>> = {
  submission: 'DELETE INSERT SELECT UPDATE',
  vault_payload: 'INSERT SELECT',
  vault_key: '',
  vault_erasure: '',
}

const own = "(tenant_id = NULLIF(current_setting('pf3.tenant'::text, true), ''::text))"
const policies = [
  { policy: 'all_rows', role: serviceRole, permissive: 'PERMISSIVE', cmd: 'ALL', seen: 'true', written: 'true' },
  { policy: 'own_rows', role: tenantRole, permissive: 'PERMISSIVE', cmd: 'ALL', seen: own, written: own },
]
const rootToken = `pf3_${'r'.repeat(43)}`
const tenants = ['row-a', 'row-b'] as const

export function rowSecurityContract(name: string, open: () => Promise<{ url?: string; drop(): Promise<void> }>): void {
  describe(name, () => {
    let server: Awaited<ReturnType<typeof open>>
    let dataDir: string
    let foundation: Foundation
    let service: Service

    beforeAll(async () => {
      server = await open()
      dataDir = await mkdtemp(join(tmpdir(), 'pf3-rows-'))
      const config = readConfig({
        PF3_DATA_DIR: dataDir,
        PF3_PORT: '0',
        PF3_ROOT_TOKEN: rootToken,
        PF3_LOCAL_THREADS: '1',
        ...(server.url !== undefined && { PF3_POSTGRES_URL: server.url }),
      })
      const opening = openFoundation(config)
      service = await startService(config, roles, () => {}, opening)
      foundation = await opening
      await furnish(service.url ?? '')
    }, 120_000)
    afterAll(async () => {
      await service.stop()
      await server.drop()
      await rm(dataDir, { recursive: true, force: true })
    })

    const rows = <Row extends Record<string, unknown>>(sql: string): Promise<Row[]> =>
      foundation.database.asOwner(async (tx) => (await tx.query<Row>(sql)).rows)

    const relations = () =>
      rows<{ name: string; kind: string; enabled: boolean; forced: boolean; owner: string; is_tenants: boolean }>(`
        SELECT c.relname AS name, c.relkind AS kind, c.relrowsecurity AS enabled, c.relforcerowsecurity AS forced,
          pg_get_userbyid(c.relowner) AS owner,
          EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped) AS is_tenants
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg_toast%'
        ORDER BY c.relname`)

    test('every table of tenants is under forced row-level security, with the two policies and no other', checkPolicies)

    async function checkPolicies() {
      const all = await relations()
      const ofTenants = all.filter((table) => table.is_tenants)
      expect(all.filter((table) => !table.is_tenants).map((table) => table.name)).toEqual(tablesOfNoTenant)
      expect(ofTenants.map((table) => table.name)).toEqual(
        expect.arrayContaining(allProjections.map(({ table }) => table)),
      )
      for (const { name: table, kind, enabled, forced } of ofTenants) {
        expect({ table, kind, enabled, forced }).toEqual({ table, kind: 'r', enabled: true, forced: true })
        const found = await rows(`
          SELECT policyname AS policy, array_to_string(roles, ' ') AS role, permissive, cmd, qual AS seen, with_check AS written
          FROM pg_policies WHERE tablename = '${table}' ORDER BY policyname`)
        expect([table, found]).toEqual([table, policies])
      }
    }

    test('the tenant role looks, and writes only where it is known to', checkPrivileges)

    async function checkPrivileges() {
      const found = await rows<{ name: string; tenant: string; everybody: string }>(`
        SELECT c.relname AS name,
          (SELECT coalesce(string_agg(p, ' ' ORDER BY p), '') FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']) p
            WHERE has_table_privilege('${tenantRole}', c.oid, p)) AS tenant,
          (SELECT coalesce(string_agg(a.privilege_type, ' '), '') FROM aclexplode(c.relacl) a WHERE a.grantee = 0) AS everybody
        FROM pg_class c WHERE c.relkind IN ('r', 'v') AND c.relnamespace = 'public'::regnamespace ORDER BY c.relname`)
      for (const { name: table, tenant, everybody } of found) {
        const wanted = tablesOfNoTenant.includes(table) ? '' : (tenantMayWrite[table] ?? 'SELECT')
        expect({ table, tenant, everybody }).toEqual({ table, tenant: wanted, everybody: '' })
      }
    }

    test('no function lends the rights of its owner, and none is open to the tenant role', async () => {
      const functions = await rows(`
        SELECT p.proname AS name, p.prosecdef AS lends, has_function_privilege('${tenantRole}', p.oid, 'EXECUTE') AS open
        FROM pg_proc p WHERE p.pronamespace = 'public'::regnamespace ORDER BY p.proname`)
      expect(functions.filter((one) => one['lends'] === true || one['open'] === true)).toEqual([])
      expect(functions.length).toBeGreaterThan(0)
    })

    test('neither role is a superuser, bypasses policies, logs in, owns anything, or is a member of anything', async () => {
      expect(
        await rows(`SELECT rolname, rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolcanlogin, rolreplication
          FROM pg_roles WHERE rolname IN ('${tenantRole}', '${serviceRole}') ORDER BY rolname`),
      ).toEqual(
        [serviceRole, tenantRole].map((rolname) => ({
          rolname,
          rolsuper: false,
          rolbypassrls: false,
          rolcreaterole: false,
          rolcreatedb: false,
          rolcanlogin: false,
          rolreplication: false,
        })),
      )
      const is = `IN (SELECT oid FROM pg_roles WHERE rolname IN ('${tenantRole}', '${serviceRole}'))`
      expect(
        await rows(`SELECT 'relation' AS what, relname::text AS name FROM pg_class WHERE relowner ${is}
          UNION ALL SELECT 'function', proname::text FROM pg_proc WHERE proowner ${is}
          UNION ALL SELECT 'schema', nspname::text FROM pg_namespace WHERE nspowner ${is}
          UNION ALL SELECT 'database', datname::text FROM pg_database WHERE datdba ${is}
          UNION ALL SELECT 'member of', roleid::regrole::text FROM pg_auth_members WHERE member ${is}
          UNION ALL SELECT 'schema to make things in', nspname::text FROM pg_namespace
            WHERE has_schema_privilege('${tenantRole}', oid, 'CREATE') OR has_schema_privilege('${serviceRole}', oid, 'CREATE')`),
      ).toEqual([])
    })

    test('every statement of the service runs under one of them', async () => {
      const who = 'SELECT current_user::text AS who'
      const { database } = foundation
      expect((await database.asTenant('row-a', (tx) => tx.query(who))).rows).toEqual([{ who: tenantRole }])
      expect((await database.asService((tx) => tx.query(who))).rows).toEqual([{ who: serviceRole }])
    })

    test('every table shows a tenant its own rows and no others, and nobody nothing', checkRows)

    async function checkRows() {
      const { database } = foundation
      const readable = (await relations()).filter((table) => table.is_tenants && tenantMayWrite[table.name] !== '')
      const filled: string[] = []
      for (const { name: table } of readable) {
        const count = async (tenantId: string) =>
          (
            await database.asTenant(tenantId, (tx) =>
              tx.query<{ tenant_id: string; n: number }>(
                `SELECT tenant_id, count(*)::int AS n FROM ${table} GROUP BY tenant_id`,
              ),
            )
          ).rows
        const whole = await database.asService((tx) =>
          tx.query<{ tenant_id: string; n: number }>(`SELECT tenant_id, count(*)::int AS n FROM ${table} GROUP BY 1`),
        )
        for (const tenantId of tenants) {
          const wanted = whole.rows.filter((row) => row.tenant_id === tenantId)
          expect([table, await count(tenantId)]).toEqual([table, wanted])
          if (wanted.length > 0) filled.push(`${table} ${tenantId}`)
        }
        expect([table, await count('nobody'), await count('')]).toEqual([table, [], []])
        const unset = await database.asOwner(async (tx) => {
          await tx.query(`SET LOCAL ROLE ${tenantRole}`)
          return tx.query(`SELECT FROM ${table}`)
        })
        expect([table, unset.rowCount]).toEqual([table, 0])
      }
      // An empty table proves nothing: these are the ones that one job of each tenant fills.
      const tables = [
        'audit_trail',
        'job_list',
        'job_trail',
        'ledger_line',
        'period_total',
        'submission',
        'token_list',
        'usage_by_day',
      ]
      expect(filled).toEqual(expect.arrayContaining(tables.flatMap((table) => tenants.map((id) => `${table} ${id}`))))
    }

    test('all of it holds again for tables that a rebuild has put in place', async () => {
      const before = await rows<{ oid: string }>(`SELECT oid::text FROM pg_class WHERE relname = 'job_list'`)
      const { log, codec, database } = foundation
      await rebuildProjections(
        allProjections.map((projection) => projection.name),
        { log, codec, database },
      )
      expect(await rows(`SELECT oid::text FROM pg_class WHERE relname = 'job_list'`)).not.toEqual(before)
      await checkPolicies()
      await checkPrivileges()
      await checkRows()
    })
  })
}

/** Two tenants, each with a token, a cap, a label set and a job that has run. */
async function furnish(url: string): Promise<void> {
  const why = { headers: { 'X-PF3-Justification': 'set-up of a test' } }
  const root = clientOf(url, rootToken)
  for (const id of tenants) {
    const tenant = { id, level: 'client', name: id, currency: 'USD', timeZone: 'UTC' }
    ;(await root.post('/v1/tenants', tenant)).expect(201)
    const issued = (await root.post(`/v1/tenants/${id}/tokens`, { role: 'tenant-admin' }, why)).expect(201)
    const admin = clientOf(url, String(issued['token']))
    ;(await admin.put(`/v1/tenants/${id}/caps/c`, { metric: 'requests', limit: 9, period: 'day' })).expect(200)
    ;(
      await admin.put('/v1/label-sets/s', {
        labels: ['a', 'b'],
        examples: [
          { text: 'one', label: 'a' },
          { text: 'two', label: 'b' },
        ],
      })
    ).expect(200)
    ;(await admin.post('/v1/jobs?wait=30', { capability: 'classify.sentiment', input: { text: 'fine' } })).expect(200)
  }
}
