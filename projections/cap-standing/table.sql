CREATE TABLE {{table}} (
  tenant_id text NOT NULL,
  cap_id text NOT NULL,
  period_start bigint NOT NULL,
  -- Version the holds were taken under; a settlement goes back to the version of its hold.
  cap_version bigint NOT NULL,
  period_end bigint,
  metric text NOT NULL,
  settled numeric NOT NULL,
  held numeric NOT NULL,
  seq bigint NOT NULL,
  PRIMARY KEY (tenant_id, cap_id, period_start, cap_version)
) WITH (fillfactor = 70);
