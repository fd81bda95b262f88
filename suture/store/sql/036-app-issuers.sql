-- Which client an issuer of a trust community registered (UDAP): the same issuer changes its own registration only.
CREATE TABLE app_issuer (community TEXT NOT NULL, issuer TEXT NOT NULL, cid TEXT NOT NULL, PRIMARY KEY (community, issuer)) WITHOUT ROWID;
