"""Which processes have a database open: each holds a lock of the server's in a session of its own, for as long as it is there.

https://www.postgresql.org/docs/current/explicit-locking.html#ADVISORY-LOCKS
"""

from __future__ import annotations

from contextlib import suppress

import psycopg

from suture.store.postgres import session

STAYS = "SET idle_session_timeout = 0; SET tcp_user_timeout = 5000"  # a session that waits for nothing is kept
# who waits for this lock, in this database
_WAITING = (
    "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND classid = $1::int AND objid = $2::int"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) LIMIT 1"
)


class Presence:
    """This process among those that have the database open."""

    def __init__(self, address: str, lock: tuple[int, int]) -> None:
        self.raw = session.connect(address)
        self._lock = lock
        self.raw.execute(STAYS, prepare=False)
        self._ask("SELECT pg_advisory_lock_shared($1::int, $2::int)")

    def alone(self) -> bool:
        """Whether nobody else has it open; then whoever opens it waits, until `together`."""
        return self._ask("SELECT pg_try_advisory_lock($1::int, $2::int)") == (True,)

    def wanted(self) -> bool:
        """Whether somebody waits for us to be alone no longer."""
        return self._ask(_WAITING) is not None

    def together(self) -> None:
        with suppress(psycopg.Error):  # a session that is lost keeps no lock
            self._ask("SELECT pg_advisory_unlock($1::int, $2::int)")

    def _ask(self, sql: str) -> tuple[object, ...] | None:
        return self.raw.execute(sql.encode(), self._lock).fetchone()

    def close(self) -> None:
        with suppress(psycopg.Error):
            self.raw.close()
