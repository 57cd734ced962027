CREATE TABLE {{table}} (
  tenant_id text NOT NULL,
  job_id text NOT NULL,
  caused_by text NOT NULL,
  -- A line for each fact, in order: its seq, a space, and a JSON array of eventId, type, occurredAt, actor, correlationId,
  -- intakeOffset, traceparent and what the event says beyond them. Nobody searches in it.
  facts text NOT NULL,
  seq bigint NOT NULL,
  PRIMARY KEY (tenant_id, job_id, caused_by)
);
