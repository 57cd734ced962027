CREATE TABLE {{table}} (
  -- Who published it: the platform.
  tenant_id text NOT NULL,
  hash text NOT NULL,
  currency text NOT NULL,
  effective_from bigint NOT NULL,
  published_at bigint NOT NULL,
  published_by text NOT NULL,
  -- Canonical JSON, exactly as published: `hash` is the SHA-256 of these bytes.
  book text NOT NULL,
  seq bigint NOT NULL,
  PRIMARY KEY (tenant_id, hash)
);
CREATE INDEX ON {{table}} (currency, effective_from, seq);
