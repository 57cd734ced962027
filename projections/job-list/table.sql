CREATE TABLE {{table}} (
  tenant_id text NOT NULL,
  job_id text NOT NULL,
  -- submitted, admitted, running, succeeded, failed, refused, cancelled; admitted again between two attempts.
  status text NOT NULL,
  capability text NOT NULL,
  member_id text,
  priority integer NOT NULL,
  resource_id text,
  resource_hash text,
  requested_model text,
  submitted_by text NOT NULL,
  correlation_id text NOT NULL,
  input_ref text NOT NULL,
  input_bytes bigint NOT NULL,
  input_mac text NOT NULL,
  max_charge_pico numeric,
  submitted_at bigint NOT NULL,
  admitted_at bigint,
  -- First attempt.
  started_at bigint,
  -- While a failed attempt is to be repeated.
  retry_at bigint,
  cancel_requested_at bigint,
  deadline_at bigint,
  ended_at bigint,
  rated_at bigint,
  attempts integer NOT NULL,
  provider text,
  model text,
  result_ref text,
  result_bytes bigint,
  result_mac text,
  -- Of the last failed attempt, and in the end of the job.
  failure_code text,
  -- Reason, and the cap that was too tight; null unless refused.
  refusal jsonb,
  -- What was metered; null until it was.
  usage jsonb,
  currency text,
  price_book_hash text,
  billing_period text,
  -- Held at admission; given up when charged_pico appears.
  held_pico numeric,
  -- Null until the job is rated.
  charged_pico numeric,
  seq bigint NOT NULL,
  PRIMARY KEY (tenant_id, job_id)
) WITH (fillfactor = 50); -- A row is written anew once or more soon after it began; room for it on its page keeps the indexes out of it.
CREATE INDEX ON {{table}} (tenant_id, submitted_at, job_id);
