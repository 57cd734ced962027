/** A database of its own for a test file, on the server that vitest.pg.config.ts provides. */
import pg from 'pg'

export type FreshDatabase = {
  /** Connects as a user who owns the database but is no superuser, as a service should. */
  url: string
  /** Connects as the server's superuser. */
  adminUrl: string
  drop: () => Promise<void>
}

/** Throws when PF3_TEST_POSTGRES_URL is not set: these tests never pass without a server. */
export async function freshDatabase(): Promise<FreshDatabase> {
  const serverUrl = process.env.PF3_TEST_POSTGRES_URL
  if (!serverUrl) throw new Error('PF3_TEST_POSTGRES_URL is not set. Run these tests with: npm run test:pg')
  const name = `pf3_${process.pid}_${Math.random().toString(36).slice(2, 10)}`
  await asAdmin(serverUrl, [
    `CREATE ROLE ${name} LOGIN CREATEROLE PASSWORD 'only-for-this-run'`,
    `CREATE DATABASE ${name} OWNER ${name}`,
  ])
  // Roles belong to the server: another file may have made them, and since PostgreSQL 16 only their maker can grant them.
  await asAdmin(
    serverUrl,
    ['pf3_tenant', 'pf3_service'].map(
      (role) => `
    DO $$ BEGIN IF EXISTS (SELECT FROM pg_roles WHERE rolname = '${role}') THEN GRANT ${role} TO ${name}; END IF; END $$`,
    ),
  )
  const adminUrl = withPath(serverUrl, name)
  const url = new URL(adminUrl)
  url.username = name
  url.password = 'only-for-this-run'
  await asAdmin(adminUrl, [`ALTER SCHEMA public OWNER TO ${name}`])
  return {
    url: url.href,
    adminUrl,
    drop: async () => {
      await asAdmin(adminUrl, [`DROP OWNED BY ${name} CASCADE`])
      await asAdmin(serverUrl, [`DROP DATABASE ${name} WITH (FORCE)`, `DROP ROLE IF EXISTS ${name}`])
    },
  }
}

function withPath(serverUrl: string, name: string): string {
  const url = new URL(serverUrl)
  url.pathname = `/${name}`
  return url.href
}

async function asAdmin(connectionString: string, statements: readonly string[]): Promise<void> {
  const client = new pg.Client({ connectionString })
  await client.connect()
  try {
    for (const statement of statements) await client.query(statement)
  } finally {
    await client.end()
  }
}
