"""Files that were sent to be stored, as rows: their parts, how far the work is, what was wrong (see sql/086-imports.sql)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from suture.store.connection import Connection, Tx

ARRIVING, WAITING, DONE, FAILED, GONE = "arriving", "waiting", "done", "failed", "gone"
AT_ONCE = 200  # parts that one step of a clean-up takes away


class Job(NamedTuple):
    """One import; times are microseconds, `asked` is what services/bulk makes of the request."""

    id: str
    owner: str
    made: int
    expires: int
    state: str
    parts: int
    done: int
    line: int
    created: int
    updated: int
    unchanged: int
    failed: int
    fault: str
    asked: bytes


_JOB = "id, owner, made, expires, state, parts, done, line, created, updated, unchanged, failed, fault, zd, asked"


def _job(connection: Connection, row: tuple[Any, ...]) -> Job:
    return Job._make((*row[:13], connection.bodies.unpack(row[13], row[14])))


def add(tx: Tx, id: str, owner: str, asked: bytes, life: float) -> None:
    """A file that begins to arrive."""
    zd, packed = tx.bodies.pack("content", asked)
    tx.execute(
        f"INSERT INTO import_job ({_JOB}) VALUES (?, ?, ?, ?, ?, 0, 0, 0, 0, 0, 0, 0, '', ?, ?)",
        (id, owner, tx.now, tx.now + int(life * 1_000_000), ARRIVING, zd, packed),
    )


def put(tx: Tx, id: str, n: int, raw: bytes) -> None:
    """One part of whole lines."""
    tx.execute("INSERT INTO import_part VALUES (?, ?, ?, ?)", (id, n, *tx.bodies.pack("content", raw)))


def arrived(tx: Tx, id: str, parts: int) -> None:
    """All of it is here: the work may begin."""
    tx.execute("UPDATE import_job SET state = ?, parts = ? WHERE id = ? AND state = ?", (WAITING, parts, id, ARRIVING))


def find(connection: Connection, id: str) -> Job | None:
    row = connection.one(f"SELECT {_JOB} FROM import_job WHERE id = ?", (id,))
    return None if row is None else _job(connection, row)


def waiting(connection: Connection) -> Job | None:
    """The oldest that is not done."""
    row = connection.one(f"SELECT {_JOB} FROM import_job WHERE state = ? ORDER BY made LIMIT 1", (WAITING,))
    return None if row is None else _job(connection, row)


def open_of(connection: Connection, owner: str) -> int:
    """How many imports of a caller are not done yet."""
    row = connection.one(
        "SELECT count(*) FROM import_job WHERE owner = ? AND state IN (?, ?)", (owner, ARRIVING, WAITING)
    )
    return int(row[0]) if row else 0


def part(connection: Connection, id: str, n: int) -> bytes | None:
    row = connection.one("SELECT zd, body FROM import_part WHERE id = ? AND n = ?", (id, n))
    return None if row is None else connection.bodies.unpack(*row)


def require_at(tx: Tx, job: Job) -> bool:
    """Whether the job is still where its reader saw it: neither cancelled nor gone on with."""
    row = tx.one("SELECT state, done FROM import_job WHERE id = ?", (job.id,))
    return row is not None and tuple(row) == (WAITING, job.done)


def advance(tx: Tx, job: Job, lines: int, counts: Mapping[str, int], faults: bytes) -> None:
    """One part is stored, in this very unit: its bytes go, its faults stay."""
    tx.execute("DELETE FROM import_part WHERE id = ? AND n = ?", (job.id, job.done))
    if faults:
        tx.execute(
            "INSERT INTO import_fault VALUES (?, ?, ?, ?)", (job.id, job.done, *tx.bodies.pack("content", faults))
        )
    tx.execute(
        "UPDATE import_job SET done = done + 1, line = line + ?, created = created + ?, updated = updated + ?, "
        "unchanged = unchanged + ?, failed = failed + ?, state = ? WHERE id = ?",
        (
            lines, counts.get("created", 0), counts.get("updated", 0), counts.get("unchanged", 0), counts.get("failed", 0),
            DONE if job.done + 1 >= job.parts else WAITING, job.id,
        ),
    )  # fmt: skip


def end(tx: Tx, id: str, state: str, fault: str = "") -> None:
    """Ends a job; its rows go step by step."""
    tx.execute("UPDATE import_job SET state = ?, fault = ? WHERE id = ?", (state, fault, id))


def faults(connection: Connection, id: str) -> Iterator[bytes]:
    """The lines about what was wrong, in their order."""
    last = -1
    while row := connection.one(
        "SELECT n, zd, body FROM import_fault WHERE id = ? AND n > ? ORDER BY n LIMIT 1", (id, last)
    ):
        last = row[0]
        yield connection.bodies.unpack(*row[1:])


def sweep(tx: Tx) -> bool:
    """Takes away a piece of what is past its time, failed or was cancelled; False when there was nothing."""
    tx.execute("UPDATE import_job SET state = ? WHERE expires <= ?", (GONE, tx.now))
    row = tx.one(
        "SELECT id, state FROM import_job WHERE state = ? OR (state = ? AND EXISTS "
        "(SELECT 1 FROM import_part WHERE import_part.id = import_job.id)) LIMIT 1",
        (GONE, FAILED),
    )
    if row is None:
        return False
    parts = tx.all("SELECT n FROM import_part WHERE id = ? LIMIT ?", (row[0], AT_ONCE))
    tx.many("DELETE FROM import_part WHERE id = ? AND n = ?", [(row[0], n) for (n,) in parts])
    if len(parts) < AT_ONCE and row[1] == GONE:
        tx.execute("DELETE FROM import_fault WHERE id = ?", (row[0],))
        tx.execute("DELETE FROM import_job WHERE id = ?", (row[0],))
    return True
