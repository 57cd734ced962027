CREATE TABLE {{table}} (
  -- The ancestor, who is told; it sees these rows and none of the tenant below.
  tenant_id text NOT NULL,
  -- The tenant below whose jobs they were.
  from_tenant_id text NOT NULL,
  -- UTC day, YYYY-MM-DD, on which they were rated.
  day text NOT NULL,
  -- Calendar month, YYYY-MM, in the time zone of the tenant below, that the charges belong to.
  billing_period text NOT NULL,
  currency text NOT NULL,
  -- Admitted jobs that ended; the sum of the next three.
  jobs bigint NOT NULL,
  succeeded bigint NOT NULL,
  failed bigint NOT NULL,
  cancelled bigint NOT NULL,
  input_uncached_tokens numeric NOT NULL,
  input_cache_read_tokens numeric NOT NULL,
  input_cache_write_tokens numeric NOT NULL,
  output_tokens numeric NOT NULL,
  reasoning_tokens numeric NOT NULL,
  charged_pico numeric NOT NULL,
  seq bigint NOT NULL,
  PRIMARY KEY (tenant_id, day, from_tenant_id, billing_period, currency)
) WITH (fillfactor = 70);
