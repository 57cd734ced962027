-- The log on a relational database: requests and facts are rows that are only ever added. Not for tenants: only the
-- service may touch it. Functions, because one call per batch costs one round trip and its plans are kept.

CREATE TABLE log_shape (
  only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  partition_count int NOT NULL CHECK (partition_count > 0)
);

-- One row per partition, apart from log_tenure so that appending never waits for a commit.
CREATE TABLE log_intake_end (
  partition int PRIMARY KEY,
  next_offset bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 10);

CREATE TABLE log_tenure (
  partition int PRIMARY KEY,
  epoch bigint NOT NULL DEFAULT 0,
  intake_offset bigint NOT NULL DEFAULT 0,
  seq bigint NOT NULL DEFAULT 0,
  -- Next offset of every fact stream, as text: {"jobs": "17", …}
  fact_ends jsonb NOT NULL DEFAULT '{}'
) WITH (fillfactor = 10);

CREATE TABLE log_intake (
  partition int NOT NULL,
  record_offset bigint NOT NULL,
  key text NOT NULL,
  value bytea NOT NULL,
  PRIMARY KEY (partition, record_offset)
);

CREATE TABLE log_fact (
  partition int NOT NULL,
  seq bigint NOT NULL,
  stream text NOT NULL,
  record_offset bigint NOT NULL,
  key text NOT NULL,
  value bytea NOT NULL,
  PRIMARY KEY (partition, seq)
);

CREATE UNIQUE INDEX log_directory ON log_fact (record_offset) WHERE stream = 'directory';

-- Values arrive packed into one binary parameter: an array of them would travel as text of twice the size.

-- `which` and `counts`: the partitions concerned and how many records each gets; the other arrays have one element
-- per record, `ranks` being its number among the new records of its partition. Answers the first offset given out.
CREATE FUNCTION log_append(
  which int[], counts bigint[], partitions int[], ranks bigint[], keys text[], starts int[], lengths int[], packed bytea
) RETURNS TABLE (of_partition int, first_offset bigint) LANGUAGE plpgsql AS $$
BEGIN
  -- In one order, so that two appends that share partitions cannot wait for each other.
  PERFORM 1 FROM log_intake_end WHERE partition = ANY (which) ORDER BY partition FOR UPDATE;
  INSERT INTO log_intake (partition, record_offset, key, value)
  SELECT r.partition, e.next_offset + r.rank, r.key, substring(packed FROM r.start FOR r.length)
  FROM unnest(partitions, ranks, keys, starts, lengths) AS r (partition, rank, key, start, length)
  JOIN log_intake_end e ON e.partition = r.partition;
  RETURN QUERY
  UPDATE log_intake_end e SET next_offset = e.next_offset + c.count
  FROM unnest(which, counts) AS c (partition, count)
  WHERE e.partition = c.partition
  RETURNING e.partition, e.next_offset - c.count;
END $$;

-- The fence: whoever held the partition before cannot commit any more. Waits for a commit that is under way.
CREATE FUNCTION log_acquire(of_partition int)
RETURNS TABLE (epoch bigint, intake_offset bigint, seq bigint, fact_ends jsonb) LANGUAGE sql AS $$
  UPDATE log_tenure t SET epoch = t.epoch + 1 WHERE t.partition = of_partition
  RETURNING t.epoch, t.intake_offset, t.seq, t.fact_ends
$$;

-- Answers what is wrong; null when the facts and the offset are written.
CREATE FUNCTION log_commit(
  of_partition int, held_epoch bigint, after_seq bigint, taken_to bigint, new_ends jsonb,
  streams text[], offsets bigint[], keys text[], starts int[], lengths int[], packed bytea
) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  here log_tenure;
BEGIN
  SELECT * INTO here FROM log_tenure WHERE partition = of_partition FOR UPDATE;
  IF here.epoch IS DISTINCT FROM held_epoch THEN RETURN 'fenced'; END IF;
  IF here.seq <> after_seq THEN RETURN 'seq'; END IF;
  IF taken_to < here.intake_offset OR taken_to > (SELECT next_offset FROM log_intake_end WHERE partition = of_partition) THEN
    RETURN 'intake';
  END IF;
  INSERT INTO log_fact (partition, seq, stream, record_offset, key, value)
  SELECT of_partition, after_seq + r.n, r.stream, r.record_offset, r.key, substring(packed FROM r.start FOR r.length)
  FROM unnest(streams, offsets, keys, starts, lengths) WITH ORDINALITY AS r (stream, record_offset, key, start, length, n);
  UPDATE log_tenure
  SET seq = after_seq + cardinality(streams), intake_offset = taken_to, fact_ends = new_ends
  WHERE partition = of_partition;
  RETURN NULL;
END $$;

-- Where everything ends, in one look.
CREATE VIEW log_ends AS
SELECT t.partition, i.next_offset AS intake_end, t.intake_offset, t.seq, coalesce((t.fact_ends ->> 'directory')::bigint, 0) AS directory_end
FROM log_tenure t JOIN log_intake_end i USING (partition);

REVOKE EXECUTE ON FUNCTION log_append, log_acquire, log_commit FROM PUBLIC;
GRANT EXECUTE ON FUNCTION log_append, log_acquire, log_commit TO pf3_service;
GRANT SELECT, UPDATE ON log_intake_end, log_tenure TO pf3_service;
-- What is in the log stays as it is.
GRANT SELECT, INSERT ON log_intake, log_fact TO pf3_service;
GRANT SELECT ON log_shape, log_ends TO pf3_service;
