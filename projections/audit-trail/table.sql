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
-- For pages by type, actor and time: whatever is asked for, a page of each type is read at most. Together 2 µs and 310 bytes of
-- write-ahead log a fact; by the primary key alone, what is rare or long ago costs a reading of all that the tenant has: 150 to
-- 270 ms with 600,000 facts.
CREATE INDEX ON {{table}} (tenant_id, type, occurred_at, fact_seq);
CREATE INDEX ON {{table}} (tenant_id, actor, type, occurred_at, fact_seq);
