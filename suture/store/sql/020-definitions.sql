-- Texts of flows and maps as they were when runs began with them; version: hash of exactly these texts.
CREATE TABLE definition (version TEXT PRIMARY KEY, flow TEXT NOT NULL, made INTEGER NOT NULL, zd INTEGER, body BLOB NOT NULL);
CREATE INDEX definition_flow ON definition (flow, made);
