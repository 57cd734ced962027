CREATE TABLE {{table}} (
  tenant_id text NOT NULL,
  token_id text NOT NULL,
  -- SHA-256, in hex, of the token, which is kept nowhere.
  secret_hash text NOT NULL,
  role text NOT NULL,
  member_id text,
  issued_at bigint NOT NULL,
  issued_by text NOT NULL,
  expires_at bigint,
  revoked_at bigint,
  revoked_by text,
  seq bigint NOT NULL,
  PRIMARY KEY (tenant_id, token_id)
);
CREATE INDEX ON {{table}} (secret_hash);
