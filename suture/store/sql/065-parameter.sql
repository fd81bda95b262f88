-- Search parameters of the site's own: what SearchParameter resources that are active say, and how far their index is.
-- former: names of index atoms whose old rows go first; state: 0 clearing, 1 building, 2 on, 3 leaving
-- place: all resources up to this row number are indexed; most: the last row number when that began
CREATE TABLE parameter (
  rid INTEGER PRIMARY KEY, code TEXT NOT NULL, definition TEXT NOT NULL, former TEXT NOT NULL,
  state INTEGER NOT NULL, place INTEGER NOT NULL, most INTEGER NOT NULL, changed INTEGER NOT NULL
);
