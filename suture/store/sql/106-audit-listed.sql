-- Rows of the trail are listed by patients many at once, a little behind its end: this index had its place for a new row anywhere.
DROP INDEX audit_patient;
