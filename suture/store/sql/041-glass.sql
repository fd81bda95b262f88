-- Glass that was broken: who opened whose record in an emergency, why, until when; and who looked at it afterwards.
CREATE TABLE glass (
  gid INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, who TEXT NOT NULL, name TEXT NOT NULL, patient TEXT NOT NULL,
  reason TEXT NOT NULL, opened INTEGER NOT NULL, expires INTEGER NOT NULL, closed INTEGER, reviewer TEXT, reviewed INTEGER
);
CREATE INDEX glass_who ON glass (who, expires);
CREATE INDEX glass_open ON glass (gid) WHERE reviewed IS NULL;
