-- A message's page lists its dead letters; those of broken messages have no run.
CREATE INDEX dead_message ON dead (mid);
