CREATE TABLE {{table}} (
  tenant_id text NOT NULL,
  fact_seq bigint NOT NULL,
  event_id text NOT NULL,
  type text NOT NULL,
  stream text NOT NULL,
  occurred_at bigint NOT NULL,
  actor text NOT NULL,
  correlation_id text NOT NULL,
  caused_by text NOT NULL,
  -- Null when no request caused it.
  intake_offset bigint,
  traceparent text,
  -- JSON of what the event says beyond the columns; eight-byte integers and amounts as text. Nobody searches in it, so it
  -- is not jsonb, which is larger and has to be taken apart for every row.
  body text NOT NULL,
  seq bigint NOT NULL,
  PRIMARY KEY (tenant_id, fact_seq)
);
CREATE INDEX ON {{table}} (tenant_id, caused_by, fact_seq) WHERE intake_offset IS NOT NULL;
