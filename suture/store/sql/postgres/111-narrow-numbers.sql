-- A row of the index takes 52 bytes instead of 60, its key 36 instead of 44: numbers of rows and names fit in four bytes.
-- Lists of rows by resource, of dates and of numbers hold no key of their own: equal values stand there once, with all their rows.
-- All tables here are written anew, once: a million resources take about a minute.
ALTER TABLE res ALTER rid TYPE int4, ALTER rt TYPE int4, ALTER ver TYPE int4, ALTER op TYPE int4,
  ALTER pat TYPE int4, ALTER zd TYPE int4;
ALTER TABLE res ALTER body SET STORAGE EXTERNAL;  -- sealed: nothing in it can be packed
ALTER TABLE hist ALTER rt TYPE int4, ALTER op TYPE int4, ALTER zd TYPE int4;
ALTER TABLE hist ALTER body SET STORAGE EXTERNAL;
ALTER TABLE dangling ALTER rid TYPE int4, ALTER rt TYPE int4;
ALTER TABLE I ALTER pid TYPE int4, ALTER tid TYPE int4, ALTER rid TYPE int4;
ALTER TABLE S ALTER pid TYPE int4, ALTER rid TYPE int4;
ALTER TABLE L ALTER pid TYPE int4, ALTER rid TYPE int4;

-- keys are indexes that a first load may leave for later; they are built full, for what comes later goes to the end of its list
DROP INDEX R_rid;
ALTER TABLE T DROP CONSTRAINT t_pkey;
ALTER TABLE R DROP CONSTRAINT r_pkey;
ALTER TABLE T ALTER pid TYPE int4, ALTER tid TYPE int4, ALTER rid TYPE int4;
ALTER TABLE R ALTER pid TYPE int4, ALTER tgt TYPE int4, ALTER rid TYPE int4;
CREATE UNIQUE INDEX T_key ON T (pid, tid, sd, rid) WITH (fillfactor = 100);
CREATE UNIQUE INDEX R_key ON R (pid, tgt, sd, rid) WITH (fillfactor = 100);
CREATE INDEX R_rid ON R (rid) WITH (fillfactor = 100);

ALTER TABLE D RENAME TO D_before;
CREATE TABLE D (lo bigint NOT NULL, len bigint NOT NULL, pid int4 NOT NULL, rid int4 NOT NULL);
INSERT INTO D (pid, lo, rid, len) SELECT pid, lo, rid, len FROM D_before;
DROP TABLE D_before;
CREATE INDEX D_lo ON D (pid, lo) WITH (fillfactor = 100);
CREATE INDEX D_rid ON D (rid) WITH (fillfactor = 100);

ALTER TABLE Q RENAME TO Q_before;
CREATE TABLE Q (lo double precision NOT NULL, hi double precision NOT NULL, pid int4 NOT NULL, k int4 NOT NULL, rid int4 NOT NULL);
INSERT INTO Q (pid, k, lo, rid, hi) SELECT pid, k, lo, rid, hi FROM Q_before;
DROP TABLE Q_before;
CREATE INDEX Q_lo ON Q (pid, k, lo) WITH (fillfactor = 100);
CREATE INDEX Q_rid ON Q (rid) WITH (fillfactor = 100);

ALTER INDEX res_pkey SET (fillfactor = 100);
ALTER INDEX res_fid SET (fillfactor = 100);
ALTER INDEX res_sd SET (fillfactor = 100);
ALTER INDEX res_upd SET (fillfactor = 100);
REINDEX TABLE res;
ANALYZE res, T, R, D, Q;
