CREATE TABLE {{table}} (
  tenant_id text NOT NULL,
  line_id text NOT NULL,
  -- Order of the lines of one job.
  line_no integer NOT NULL,
  job_id text NOT NULL,
  -- no_charge: the one line of a job that was rated at zero without lines.
  kind text NOT NULL,
  quantity numeric NOT NULL,
  price_pico numeric NOT NULL,
  amount_pico numeric NOT NULL,
  currency text NOT NULL,
  -- Calendar month in the tenant's time zone, YYYY-MM, of the admission.
  billing_period text NOT NULL,
  capability text NOT NULL,
  member_id text,
  provider text,
  model text,
  key_owner text,
  outcome text NOT NULL,
  price_book_hash text NOT NULL,
  admitted_at bigint NOT NULL,
  rated_at bigint NOT NULL,
  rated_event_id text NOT NULL,
  usage_event_id text,
  seq bigint NOT NULL,
  PRIMARY KEY (tenant_id, line_id)
);
CREATE INDEX ON {{table}} (tenant_id, billing_period, seq, line_no);
CREATE INDEX ON {{table}} (tenant_id, job_id);
