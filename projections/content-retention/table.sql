CREATE TABLE {{table}} (
  tenant_id text NOT NULL,
  content_days integer NOT NULL,
  set_at bigint NOT NULL,
  set_by text NOT NULL,
  seq bigint NOT NULL,
  PRIMARY KEY (tenant_id)
);
