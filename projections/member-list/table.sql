CREATE TABLE {{table}} (
  tenant_id text NOT NULL,
  -- Chosen by the tenant; opaque.
  member_id text NOT NULL,
  -- Null for one that was removed without ever having been added.
  kind text,
  -- When it was added, or became of this kind.
  added_at bigint,
  added_by text,
  removed_at bigint,
  removed_by text,
  seq bigint NOT NULL,
  PRIMARY KEY (tenant_id, member_id)
);
