/** Row-level security: which roles exist, and what makes a table show a tenant its own rows and no others. */
import pg from 'pg'
import type { Database } from './database.ts'

export const tenantRole = 'pf3_tenant'
export const serviceRole = 'pf3_service'

/**
 * SQL that isolates the tenants in `table` (`name` or `schema.name`), which must have a column `tenant_id text`.
 * Applied again it changes nothing. Row-level security is forced, so it also binds the table's owner.
 */
export function isolationSql(table: string): string {
  const name = table.split('.').map(pg.escapeIdentifier).join('.')
  return `
ALTER TABLE ${name} ENABLE ROW LEVEL SECURITY;
ALTER TABLE ${name} FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS own_rows ON ${name};
CREATE POLICY own_rows ON ${name} TO ${tenantRole} USING (tenant_id = ${currentTenant}) WITH CHECK (tenant_id = ${currentTenant});
DROP POLICY IF EXISTS all_rows ON ${name};
CREATE POLICY all_rows ON ${name} TO ${serviceRole} USING (true) WITH CHECK (true);
GRANT SELECT, INSERT, UPDATE, DELETE ON ${name} TO ${tenantRole}, ${serviceRole};
`
}

/** No tenant set gives null, which equals nothing; a session that once had one leaves '' behind, hence nullif. */
const currentTenant = "nullif(current_setting('pf3.tenant', true), '')"

/**
 * Creates the roles and lets the login role act as them. Safe when several processes do it at once. Where the roles
 * exist and are granted, the login role needs no right to create roles.
 */
export const rolesSql = `
DO $$
DECLARE wanted text;
BEGIN
  FOREACH wanted IN ARRAY ARRAY['${tenantRole}', '${serviceRole}'] LOOP
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted) THEN
      BEGIN
        EXECUTE format('CREATE ROLE %I NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS', wanted);
      EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
      END;
    END IF;
    IF NOT pg_has_role(current_user, wanted, 'MEMBER') THEN
      EXECUTE format('GRANT %I TO %I', wanted, current_user);
    END IF;
  END LOOP;
END $$;
`

/** Roles that the login role cannot act as yet, and whether `rolesSql` would change that. Changes nothing. */
export async function lackedRoles(database: Database): Promise<{ role: string; canBeHad: boolean }[]> {
  const { rows } = await database.asOwner((tx) =>
    tx.query<{ role: string; can_be_had: boolean }>(
      // Since PostgreSQL 16 who may create roles may not grant those of others.
      `SELECT wanted AS role, (me.rolsuper OR me.rolcreaterole)
         AND (there.oid IS NULL OR current_setting('server_version_num')::int < 160000) AS can_be_had
       FROM unnest($1::text[]) AS wanted
       JOIN pg_roles me ON me.rolname = current_user
       LEFT JOIN pg_roles there ON there.rolname = wanted
       WHERE there.oid IS NULL OR NOT pg_has_role(there.oid, 'MEMBER')
       ORDER BY wanted`,
      [[tenantRole, serviceRole]],
    ),
  )
  return rows.map(({ role, can_be_had }) => ({ role, canBeHad: can_be_had }))
}
