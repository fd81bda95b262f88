"""PostgreSQL as the place where everything is kept: the same SQL, the same units, the same words as on SQLite (docs/decisions/016-postgresql.md)."""
