CREATE TABLE {{table}} (
  tenant_id text NOT NULL,
  cap_id text NOT NULL,
  version bigint NOT NULL,
  -- True for a removal: then nothing else is set. The cap in force is the highest version, unless it is a removal.
  removed boolean NOT NULL,
  metric text,
  limit_amount numeric,
  period text,
  anchor_date text,
  scope_member_id text,
  scope_capability text,
  -- Versions with the same value count together: only the limit differs.
  counts_from bigint,
  set_at bigint NOT NULL,
  set_by text NOT NULL,
  seq bigint NOT NULL,
  PRIMARY KEY (tenant_id, cap_id, version)
);
