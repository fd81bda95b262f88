"""Files that were sent to be stored, as rows: their parts, how far the work is, what was wrong (see sql/086-imports.sql)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from suture.store.connection import Connection, Tx

ARRIVING, FETCHING, WAITING, DONE, FAILED, GONE = "arriving", "fetching", "waiting", "done", "failed", "gone"
COUNTS = ("created", "updated", "unchanged", "failed", "deleted")
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
    deleted: int
    fault: str
    asked: bytes


_JOB = (
    "id, owner, made, expires, state, parts, done, line, created, updated, unchanged, failed, deleted, fault, zd, asked"
)


def _job(connection: Connection, row: tuple[Any, ...]) -> Job:
    return Job._make((*row[:14], connection.bodies.unpack(row[14], row[15])))


def add(tx: Tx, id: str, owner: str, asked: bytes, life: float, state: str = ARRIVING) -> None:
    """A file that begins to arrive, or files that are to be fetched."""
    zd, packed = tx.bodies.pack("content", asked)
    tx.execute(
        f"INSERT INTO import_job ({_JOB}) VALUES (?, ?, ?, ?, ?, 0, 0, 0, 0, 0, 0, 0, 0, '', ?, ?)",
        (id, owner, tx.now, tx.now + int(life * 1_000_000), state, zd, packed),
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
    return next(iter(in_state(connection, WAITING, 1)), None)


def in_state(connection: Connection, state: str, most: int = 100) -> list[Job]:
    """Imports that are this far, the oldest first."""
    sql = f"SELECT {_JOB} FROM import_job WHERE state = ? ORDER BY made LIMIT ?"
    return [_job(connection, row) for row in connection.all(sql, (state, most))]


def open_of(connection: Connection, owner: str) -> int:
    """How many imports of a caller are not done yet."""
    row = connection.one(
        "SELECT count(*) FROM import_job WHERE owner = ? AND state IN (?, ?, ?)", (owner, ARRIVING, FETCHING, WAITING)
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
        put_faults(tx, job.id, job.done, faults)
    tx.execute(
        "UPDATE import_job SET done = done + 1, line = line + ?, created = created + ?, updated = updated + ?, "
        "unchanged = unchanged + ?, failed = failed + ?, deleted = deleted + ?, state = ? WHERE id = ?",
        (lines, *(counts.get(name, 0) for name in COUNTS), DONE if job.done + 1 >= job.parts else WAITING, job.id),
    )


def put_faults(tx: Tx, id: str, part: int, faults: bytes) -> None:
    """What was wrong with the lines of a part."""
    tx.execute("INSERT INTO import_fault VALUES (?, ?, ?, ?)", (id, part, *tx.bodies.pack("content", faults)))


def end(tx: Tx, id: str, state: str, fault: str = "") -> None:
    """Ends a job; its rows go step by step."""
    tx.execute("UPDATE import_job SET state = ?, fault = ? WHERE id = ?", (state, fault, id))


def faults(connection: Connection, id: str, first: int = 0, behind: int = 1 << 53) -> Iterator[bytes]:
    """The lines about what was wrong in these parts, in their order."""
    last = first - 1
    while row := connection.one(
        "SELECT n, zd, body FROM import_fault WHERE id = ? AND n > ? AND n < ? ORDER BY n LIMIT 1", (id, last, behind)
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
        tx.execute("DELETE FROM import_file WHERE id = ?", (row[0],))
        tx.execute("DELETE FROM import_job WHERE id = ?", (row[0],))
    return True
