CREATE TABLE {{table}} (
  tenant_id text NOT NULL,
  label_set_id text NOT NULL,
  -- Version in force: SHA-256, in hex, of the canonical content, which the payload vault keeps.
  hash text NOT NULL,
  payload_ref text NOT NULL,
  payload_bytes bigint NOT NULL,
  label_count integer NOT NULL,
  example_count integer NOT NULL,
  registered_at bigint NOT NULL,
  registered_by text NOT NULL,
  seq bigint NOT NULL,
  PRIMARY KEY (tenant_id, label_set_id)
);
