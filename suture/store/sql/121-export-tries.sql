-- How often an export was begun, and why it failed (JSON: status, issue, text, where, mend); lease of a waiting one: when it is tried again
ALTER TABLE export_job ADD COLUMN tries INTEGER NOT NULL DEFAULT 0;
ALTER TABLE export_job ADD COLUMN fault TEXT NOT NULL DEFAULT '';
