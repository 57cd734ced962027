-- What a consumer of the billing feed keeps. Position, facts and balances change in one transaction, so a run that is
-- cut short leaves neither half a batch nor one counted twice. Amounts are text: they do not fit 64 bits.
CREATE TABLE IF NOT EXISTS source (
  topic TEXT NOT NULL,
  cluster TEXT NOT NULL,
  PRIMARY KEY (topic, cluster)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS position (
  partition INTEGER PRIMARY KEY,
  next_offset INTEGER NOT NULL
);
-- Every fact taken: what is here is not taken again.
CREATE TABLE IF NOT EXISTS fact (
  event_id TEXT PRIMARY KEY
) WITHOUT ROWID;
-- Every ledger line booked: as in the ledger, the first line of an id stands.
CREATE TABLE IF NOT EXISTS line (
  tenant_id TEXT NOT NULL,
  line_id TEXT NOT NULL,
  PRIMARY KEY (tenant_id, line_id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS balance (
  tenant_id TEXT NOT NULL,
  currency TEXT NOT NULL,
  period TEXT NOT NULL,
  jobs INTEGER NOT NULL,
  amount_pico TEXT NOT NULL,
  PRIMARY KEY (tenant_id, currency, period)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS balance_of_kind (
  tenant_id TEXT NOT NULL,
  currency TEXT NOT NULL,
  period TEXT NOT NULL,
  kind TEXT NOT NULL,
  lines INTEGER NOT NULL,
  amount_pico TEXT NOT NULL,
  PRIMARY KEY (tenant_id, currency, period, kind)
) WITHOUT ROWID;
