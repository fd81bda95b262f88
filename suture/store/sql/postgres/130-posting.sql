-- A posting list has a number: one parameter with one code (or unit). A row of T takes 44 bytes instead of 52, one of Q 44 instead
-- of 60. T and Q are written anew, once: a million resources take about a minute.
CREATE TABLE posting (lid int4 PRIMARY KEY, pid int4 NOT NULL, tid int4 NOT NULL);
INSERT INTO posting (lid, pid, tid) SELECT row_number() OVER (ORDER BY pid, tid), pid, tid
  FROM (SELECT pid, tid FROM T UNION SELECT pid, k FROM Q) AS there;
CREATE UNIQUE INDEX posting_of ON posting (pid, tid);
ANALYZE posting;

ALTER TABLE T RENAME TO T_before;
CREATE TABLE T (sd bigint NOT NULL, lid int4 NOT NULL, rid int4 NOT NULL);
INSERT INTO T (lid, sd, rid) SELECT lid, sd, rid FROM T_before JOIN posting USING (pid, tid);
DROP TABLE T_before;
CREATE UNIQUE INDEX T_key ON T (lid, sd, rid) WITH (fillfactor = 100);
ALTER TABLE T ALTER lid SET STATISTICS 1000;  -- how long each of the common lists is: that decides which one leads

ALTER TABLE Q RENAME TO Q_before;
CREATE TABLE W (lo double precision NOT NULL, hi double precision NOT NULL, lid int4 NOT NULL, rid int4 NOT NULL);
INSERT INTO W (lid, lo, rid, hi) SELECT lid, lo, rid, hi FROM Q_before JOIN posting ON posting.pid = Q_before.pid AND posting.tid = Q_before.k
  WHERE posting.pid IN (SELECT nid FROM name WHERE text LIKE '%:span');
CREATE UNIQUE INDEX W_key ON W (lid, lo, rid, hi);
CREATE INDEX W_rid ON W (rid);
CREATE TABLE Q (lo double precision NOT NULL, lid int4 NOT NULL, rid int4 NOT NULL);
INSERT INTO Q (lid, lo, rid) SELECT lid, lo, rid FROM Q_before JOIN posting ON posting.pid = Q_before.pid AND posting.tid = Q_before.k
  WHERE posting.pid NOT IN (SELECT nid FROM name WHERE text LIKE '%:span');
DROP TABLE Q_before;
ALTER TABLE Q ALTER lid SET STATISTICS 300;
CREATE INDEX Q_lo ON Q (lid, lo) WITH (fillfactor = 100);
CREATE INDEX Q_rid ON Q (rid) WITH (fillfactor = 100);

-- what comes between stands anywhere in this one; pages that are built full are split by a few thousand rows, all of them
ALTER INDEX R_key SET (fillfactor = 95);
REINDEX INDEX R_key;
ANALYZE T, Q, W;
