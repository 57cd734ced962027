CREATE TABLE {{table}} (
  tenant_id text NOT NULL,
  -- As the lines have it: calendar month in the tenant's time zone, YYYY-MM.
  billing_period text NOT NULL,
  currency text NOT NULL,
  kind text NOT NULL,
  lines bigint NOT NULL,
  -- Rated jobs whose first line is of this kind: over all kinds, each job once.
  jobs bigint NOT NULL,
  quantity numeric NOT NULL,
  amount_pico numeric NOT NULL,
  seq bigint NOT NULL,
  PRIMARY KEY (tenant_id, billing_period, currency, kind)
) WITH (fillfactor = 70);
