CREATE TABLE {{table}} (
  tenant_id text NOT NULL,
  -- UTC day, YYYY-MM-DD, on which it was metered, rated or refused.
  day text NOT NULL,
  capability text NOT NULL,
  -- '' for the tenant itself.
  member_id text NOT NULL,
  -- '' where no attempt started.
  provider text NOT NULL,
  model text NOT NULL,
  -- Admitted jobs that ended; the sum of the next three.
  jobs bigint NOT NULL,
  succeeded bigint NOT NULL,
  failed bigint NOT NULL,
  cancelled bigint NOT NULL,
  -- Refused jobs, which are not among `jobs`.
  refused bigint NOT NULL,
  input_uncached_tokens numeric NOT NULL,
  input_cache_read_tokens numeric NOT NULL,
  input_cache_write_tokens numeric NOT NULL,
  output_tokens numeric NOT NULL,
  reasoning_tokens numeric NOT NULL,
  input_bytes numeric NOT NULL,
  output_bytes numeric NOT NULL,
  duration_ms numeric NOT NULL,
  currency text,
  charged_pico numeric NOT NULL,
  provider_cost_pico numeric NOT NULL,
  -- Jobs with an attempt whose provider cost no price book says; not in provider_cost_pico.
  cost_unknown_jobs bigint NOT NULL,
  seq bigint NOT NULL,
  PRIMARY KEY (tenant_id, day, capability, member_id, provider, model)
) WITH (fillfactor = 70);
