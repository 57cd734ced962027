CREATE TABLE {{table}} (
  tenant_id text NOT NULL,
  erasure_id text NOT NULL,
  requested_at bigint NOT NULL,
  requested_by text NOT NULL,
  -- Null until it is carried out.
  erased_at bigint,
  keys bigint,
  payloads bigint,
  seq bigint NOT NULL,
  PRIMARY KEY (tenant_id, erasure_id)
);
CREATE INDEX ON {{table}} (tenant_id, requested_at, erasure_id);
CREATE INDEX ON {{table}} (requested_at) WHERE erased_at IS NULL;
