-- What a person's whole record of another installation held that has no other place here: kept, and exported again.
CREATE TABLE former (patient TEXT NOT NULL, name TEXT NOT NULL, zd INTEGER NOT NULL, body BLOB NOT NULL, PRIMARY KEY (patient, name)) WITHOUT ROWID;
