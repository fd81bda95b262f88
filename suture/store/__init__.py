"""The store: the one floor that knows SQL; one encrypted SQLite file (https://sqlite.org) holds everything."""
