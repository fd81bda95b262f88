"""Exports and their files as rows: what was asked, how far it is, which resources each file holds.

https://hl7.org/fhir/uv/bulkdata/STU2/export.html
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from suture.store.connection import Connection, Tx

WAITING, RUNNING, DONE, FAILED = "waiting", "running", "done", "failed"
OUTPUT, DELETED, ERROR = "output", "deleted", "error"
FAULTS = 1_000_000  # the number of the file of errors


class Job(NamedTuple):
    """One export; times are microseconds, `asked` is what services/bulk makes of the request."""

    jid: int
    id: str
    owner: str
    made: int
    expires: int
    moment: int
    state: str
    progress: str
    tries: int
    fault: str
    asked: bytes


class File(NamedTuple):
    """One file: its number, what it is for, the type and how many lines it has."""

    n: int
    kind: str
    type: str
    lines: int


_JOB = "jid, id, owner, made, expires, moment, state, progress, tries, fault, zd, asked"


def _job(connection: Connection, row: tuple[Any, ...]) -> Job:
    return Job._make((*row[:10], connection.bodies.unpack(row[10], row[11])))


def add(tx: Tx, id: str, owner: str, asked: bytes, life: float) -> None:
    """Writes down an export; what it shows is what is committed by now."""
    zd, packed = tx.bodies.pack("content", asked)
    tx.execute(
        "INSERT INTO export_job (id, owner, made, expires, moment, state, progress, lease, zd, asked) VALUES (?,?,?,?,?,?,?,?,?,?)",
        (id, owner, tx.now, tx.now + int(life * 1_000_000), tx.now, WAITING, "accepted", 0, zd, packed),
    )


def find(connection: Connection, id: str) -> Job | None:
    row = connection.one(f"SELECT {_JOB} FROM export_job WHERE id = ?", (id,))
    return None if row is None else _job(connection, row)


def open_of(connection: Connection, owner: str) -> int:
    """How many exports of a caller are not done yet."""
    sql = "SELECT count(*) FROM export_job WHERE owner = ? AND state IN (?, ?)"
    row = connection.one(sql, (owner, WAITING, RUNNING))
    return int(row[0]) if row else 0


def take(tx: Tx, lease: float) -> Job | None:
    """The next export to be worked on, now this worker's for so many seconds: a waiting one, or one that was left behind."""
    sql = f"SELECT {_JOB} FROM export_job WHERE state IN (?, ?) AND lease < ? ORDER BY jid LIMIT 1"
    row = tx.one(sql, (WAITING, RUNNING, tx.now))
    if row is None:
        return None
    job = _job(tx, row)
    tx.execute("DELETE FROM export_file WHERE jid = ?", (job.jid,))
    tx.execute(
        "UPDATE export_job SET state = ?, lease = ?, tries = tries + 1 WHERE jid = ?",
        (RUNNING, tx.now + int(lease * 1_000_000), job.jid),
    )
    return job._replace(tries=job.tries + 1)


def again(tx: Tx, jid: int, progress: str, after: float) -> None:
    """Lets it wait for its next try, so many seconds."""
    tx.execute(
        "UPDATE export_job SET state = ?, progress = ?, lease = ? WHERE jid = ?",
        (WAITING, progress, tx.now + int(after * 1_000_000), jid),
    )


def fail(tx: Tx, jid: int, fault: str) -> None:
    """Ends it without files."""
    tx.execute("DELETE FROM export_file WHERE jid = ?", (jid,))
    tx.execute("UPDATE export_job SET state = ?, progress = ?, fault = ? WHERE jid = ?", (FAILED, FAILED, fault, jid))


def release(tx: Tx) -> None:
    """Whoever worked on them is gone, as the only process that did."""
    tx.execute("UPDATE export_job SET lease = 0 WHERE state IN (?, ?)", (WAITING, RUNNING))


def tell(tx: Tx, jid: int, progress: str, lease: float) -> bool:
    """Notes how far it is and keeps it; False when it was cancelled meanwhile."""
    tx.execute(
        "UPDATE export_job SET progress = ?, lease = ? WHERE jid = ?", (progress, tx.now + int(lease * 1_000_000), jid)
    )
    return tx.changes > 0


def put(tx: Tx, jid: int, file: File, rows: Sequence[int], whose: Sequence[int] = ()) -> None:
    """Adds a file of these resources, with the patients they are about."""
    _put(tx, jid, file, array("q", rows).tobytes(), whose)


def put_text(tx: Tx, jid: int, file: File, text: bytes) -> None:
    """Adds a file of bytes that are ready."""
    _put(tx, jid, file, text, ())


def _put(tx: Tx, jid: int, file: File, raw: bytes, whose: Sequence[int]) -> None:
    packed, about = tx.bodies.pack("content", raw), tx.bodies.pack("content", array("q", whose).tobytes())
    tx.execute("INSERT INTO export_file VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", (jid, *file, *packed, *about))


def finish(tx: Tx, jid: int) -> None:
    tx.execute("UPDATE export_job SET state = ?, progress = ? WHERE jid = ?", (DONE, DONE, jid))


def add_faults(tx: Tx, jid: int, lines: Sequence[bytes], more: bytes, most: int = 10_000) -> None:
    """Puts lines that it does not hold yet into the file of errors, up to a number; `more` then says that there were more."""
    there = content(tx, jid, FAULTS)
    known = there[1].splitlines() if there else []
    said = list(dict.fromkeys([*known, *lines]))
    if len(said) > most:
        said = [*(line for line in said[: most - 1] if line != more), more]
    if said != known:
        tx.execute("DELETE FROM export_file WHERE jid = ? AND n = ?", (jid, FAULTS))
        put_text(tx, jid, File(FAULTS, ERROR, "OperationOutcome", len(said)), b"".join(line + b"\n" for line in said))


def files(connection: Connection, jid: int) -> list[File]:
    sql = "SELECT n, kind, type, count FROM export_file WHERE jid = ? ORDER BY n"
    return [File(*row) for row in connection.all(sql, (jid,))]


def content(connection: Connection, jid: int, n: int) -> tuple[File, bytes] | None:
    """A file with what it holds: row numbers (see `numbers`), or bytes."""
    row = connection.one("SELECT n, kind, type, count, zd, rows FROM export_file WHERE jid = ? AND n = ?", (jid, n))
    return None if row is None else (File(*row[:4]), connection.bodies.unpack(row[4], row[5]))


def whose(connection: Connection, jid: int, n: int) -> list[int] | None:
    """The row numbers of the patients a file is about; None where that was not kept yet."""
    row = connection.one("SELECT wzd, whose FROM export_file WHERE jid = ? AND n = ?", (jid, n))
    if row is None or row[1] is None:
        return None
    return next(numbers(connection.bodies.unpack(*row), 1 << 62), [])


def numbers(raw: bytes, size: int) -> Iterator[list[int]]:
    """The row numbers of a file, `size` at a time."""
    rows = array("q")
    rows.frombytes(raw)
    for start in range(0, len(rows), size):
        yield rows[start : start + size].tolist()


def drop(tx: Tx, id: str) -> None:
    """Forgets an export and its files."""
    tx.execute("DELETE FROM export_file WHERE jid IN (SELECT jid FROM export_job WHERE id = ?)", (id,))
    tx.execute("DELETE FROM export_job WHERE id = ?", (id,))


def expire(tx: Tx) -> int:
    """Forgets what is past its time; how many those were."""
    gone = tx.all("SELECT id FROM export_job WHERE expires < ?", (tx.now,))
    for (id,) in gone:
        drop(tx, id)
    return len(gone)
