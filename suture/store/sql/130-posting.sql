-- A posting list has a number: one parameter with one code (or unit). T and Q say both in one column, so a row of T is a third
-- smaller, and a list that is not there is known before it is looked for. Numbers that are spans stand by themselves.
CREATE TABLE posting (lid INTEGER PRIMARY KEY, pid INTEGER NOT NULL, tid INTEGER NOT NULL);
CREATE UNIQUE INDEX posting_of ON posting (pid, tid);
INSERT INTO posting (pid, tid) SELECT pid, tid FROM T UNION SELECT pid, k FROM Q ORDER BY 1, 2;

-- tokens, URLs, composites of two tokens
ALTER TABLE T RENAME TO T_before;
CREATE TABLE T (lid INTEGER NOT NULL, sd INTEGER NOT NULL, rid INTEGER NOT NULL, PRIMARY KEY (lid, sd, rid)) WITHOUT ROWID;
INSERT INTO T (lid, sd, rid)
  SELECT posting.lid, sd, rid FROM posting CROSS JOIN T_before ON T_before.pid = posting.pid AND T_before.tid = posting.tid ORDER BY 1, 2, 3;
DROP TABLE T_before;

-- numbers, quantities, composites of a token and a quantity; the list's tid is that of the unit, or of token and unit
DROP INDEX Q_rid;
ALTER TABLE Q RENAME TO Q_before;
CREATE TABLE Q (lid INTEGER NOT NULL, lo REAL NOT NULL, rid INTEGER NOT NULL, PRIMARY KEY (lid, lo, rid)) WITHOUT ROWID;
CREATE INDEX Q_rid ON Q (rid, lid);

-- those that reach from lo to hi; their parameters are marked ':span'
CREATE TABLE W (lid INTEGER NOT NULL, lo REAL NOT NULL, rid INTEGER NOT NULL, hi REAL NOT NULL, PRIMARY KEY (lid, lo, rid, hi)) WITHOUT ROWID;
CREATE INDEX W_rid ON W (rid, lid);
INSERT INTO W (lid, lo, rid, hi)
  SELECT posting.lid, lo, rid, hi FROM posting CROSS JOIN Q_before ON Q_before.pid = posting.pid AND Q_before.k = posting.tid
  WHERE posting.pid IN (SELECT nid FROM name WHERE text LIKE '%:span') ORDER BY 1, 2, 3;
INSERT INTO Q (lid, lo, rid)
  SELECT posting.lid, lo, rid FROM posting CROSS JOIN Q_before ON Q_before.pid = posting.pid AND Q_before.k = posting.tid
  WHERE posting.pid NOT IN (SELECT nid FROM name WHERE text LIKE '%:span') ORDER BY 1, 2, 3;
DROP TABLE Q_before;
