-- Events of a subscription that somebody asked to be sent again: numbered first … last
CREATE TABLE subscription_again (
  rid INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL, PRIMARY KEY (rid, first)
) WITHOUT ROWID;
