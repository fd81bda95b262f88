-- Consents that may keep something back, by the patient they are of (res.pat): a look here says that a chart has none.
-- What a Consent says is read from its body; those that were there before this table are looked at once more when asked.
CREATE TABLE restriction (pat INTEGER NOT NULL, rid INTEGER NOT NULL, PRIMARY KEY (pat, rid)) WITHOUT ROWID;
CREATE UNIQUE INDEX restriction_rid ON restriction (rid);
INSERT INTO restriction
  SELECT pat, rid FROM res WHERE rt = (SELECT nid FROM name WHERE text = 'Consent') AND op <> 3 AND pat > 0;
