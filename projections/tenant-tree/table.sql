-- tenant_id is the tenant the row is about, not the platform that registered it: as the tenant, one sees oneself.
CREATE TABLE {{table}} (
  tenant_id text NOT NULL,
  parent_id text NOT NULL,
  level text NOT NULL,
  name text NOT NULL,
  currency text NOT NULL,
  time_zone text NOT NULL,
  registered_at bigint NOT NULL,
  registered_by text NOT NULL,
  seq bigint NOT NULL,
  PRIMARY KEY (tenant_id)
);
CREATE INDEX ON {{table}} (parent_id, tenant_id);
