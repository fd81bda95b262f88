"""A first load fills the large tables without their indexes, which are built when it ends: sorted, full and at once.

A mark in the database holds what is missing. It is written with the transaction that takes the indexes away and goes with the
one that builds them, so a load that was killed is mended by whoever opens the database next.
https://www.postgresql.org/docs/current/populate.html#POPULATE-RM-INDEXES
"""

from __future__ import annotations

import json

from suture.store.postgres.session import Raw

FACT = "indexes.resting"
TABLES = ("res", "t", "r", "d", "q")
NEEDED = ("res_pkey", "res_fid")  # a load asks by these
MEMORY = "256MB"  # for sorting
PATIENCE = "5s"  # for the tables, which only we can be reading
_THERE = (
    "SELECT c.relname, pg_get_indexdef(i.indexrelid) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"
    " JOIN pg_class t ON t.oid = i.indrelid"
    " WHERE t.relname = ANY($1) AND c.relnamespace = current_schema()::regnamespace AND c.relname <> ALL($2)"
)


def begin(raw: Raw) -> None:
    """Takes the indexes away."""
    with raw.transaction():
        raw.execute(f"SET LOCAL lock_timeout = '{PATIENCE}'".encode())
        there = raw.execute(_THERE, (list(TABLES), list(NEEDED))).fetchall()
        raw.execute("INSERT INTO fact VALUES ($1, $2)", (FACT, json.dumps([text for _, text in there])))
        for name, _ in there:
            raw.execute(f"DROP INDEX {name}".encode())


def end(raw: Raw) -> bool:
    """Builds what is missing; whether anything was."""
    row = raw.execute("SELECT value FROM fact WHERE name = $1", (FACT,)).fetchone()
    if row is None:
        return False
    with raw.transaction():
        raw.execute(f"SET LOCAL maintenance_work_mem = '{MEMORY}'".encode())
        for text in json.loads(str(row[0])):
            raw.execute(text.encode(), prepare=False)
        for name in NEEDED:
            raw.execute(f"REINDEX INDEX {name}".encode(), prepare=False)
        raw.execute("DELETE FROM fact WHERE name = $1", (FACT,))
    return True
