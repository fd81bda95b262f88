-- A page of the newest is read from the index alone, also where thousands of rows have the same date.
DROP INDEX res_sd;
CREATE INDEX res_sd ON res (rt, sd, rid) WHERE op <> 3;
