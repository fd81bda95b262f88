"""Files that imports fetch by themselves, as rows: where they lie, how far each is, what went wrong (see sql/105-import-sources.sql).

http://hl7.org/fhir/uv/bulkdata
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from suture.store import uploads
from suture.store.connection import Connection, Tx
from suture.store.uploads import FETCHING, WAITING, Job

DONE, FAILED = "done", "failed"  # and WAITING


class File(NamedTuple):
    """One file; `asked` is what services/bulk makes of where it lies."""

    id: str
    n: int
    state: str
    first_part: int
    line: int
    lines: int
    size: int
    tries: int
    failed: int
    mark: str
    asked: bytes


_FILE = "id, n, state, first_part, line, lines, size, tries, failed, mark, zd, body"


def _file(connection: Connection, row: tuple[Any, ...]) -> File:
    return File._make((*row[:10], connection.bodies.unpack(row[10], row[11])))


def add(tx: Tx, id: str, first: int, asked: Sequence[bytes]) -> None:
    """Files to be fetched, the first one with this number."""
    rows = [(id, first + at, *tx.bodies.pack("content", one)) for at, one in enumerate(asked)]
    tx.many(f"INSERT INTO import_file ({_FILE}) VALUES (?, ?, 'waiting', -1, 0, 0, 0, 0, 0, '', ?, ?)", rows)


def fetching(connection: Connection) -> list[Job]:
    """The imports that have files to fetch, the oldest first."""
    return uploads.in_state(connection, FETCHING)


def following(connection: Connection, id: str) -> File | None:
    """The file that is fetched now or next."""
    sql = f"SELECT {_FILE} FROM import_file WHERE id = ? AND state = ? ORDER BY n LIMIT 1"
    row = connection.one(sql, (id, WAITING))
    return None if row is None else _file(connection, row)


def of_part(connection: Connection, id: str, part: int) -> File | None:
    """The file whose lines a part holds; None for an import that was sent."""
    sql = (
        f"SELECT {_FILE} FROM import_file WHERE id = ? AND first_part >= 0 AND first_part <= ? ORDER BY n DESC LIMIT 1"
    )
    row = connection.one(sql, (id, part))
    return None if row is None else _file(connection, row)


def of_job(connection: Connection, id: str) -> list[File]:
    rows = connection.all(f"SELECT {_FILE} FROM import_file WHERE id = ? ORDER BY n", (id,))
    return [_file(connection, row) for row in rows]


def count(connection: Connection, id: str) -> tuple[int, int]:
    """How many files there are, and how many of them are fetched or given up."""
    rows = connection.all("SELECT state, count(*) FROM import_file WHERE id = ? GROUP BY state", (id,))
    found = {state: int(number) for state, number in rows}
    return sum(found.values()), sum(found.values()) - found.get(WAITING, 0)


def kept(connection: Connection, id: str) -> int:
    """Bytes of all its files together."""
    row = connection.one("SELECT sum(size) FROM import_file WHERE id = ?", (id,))
    return int(row[0] or 0) if row else 0


def opened(tx: Tx, file: File) -> None:
    """The file's turn begins: its lines go behind those of the files before it."""
    before = tx.one("SELECT line + lines FROM import_file WHERE id = ? AND n = ?", (file.id, file.n - 1))
    tx.execute(
        "UPDATE import_file SET first_part = (SELECT parts FROM import_job WHERE id = ?), line = ? "
        "WHERE id = ? AND n = ? AND first_part < 0",
        (file.id, before[0] if before else 0, file.id, file.n),
    )


def grown(tx: Tx, file: File, raw: bytes, mark: str) -> bool:
    """One more part of whole lines; False when nobody needs it any more."""
    row = tx.one("SELECT state, parts FROM import_job WHERE id = ?", (file.id,))
    if row is None or row[0] != FETCHING:
        return False
    uploads.put(tx, file.id, row[1], raw)
    tx.execute("UPDATE import_job SET parts = parts + 1 WHERE id = ?", (file.id,))
    tx.execute(
        "UPDATE import_file SET size = size + ?, lines = lines + ?, tries = 0, mark = ? WHERE id = ? AND n = ?",
        (len(raw), raw.count(b"\n"), mark, file.id, file.n),
    )
    return True


def closed(tx: Tx, file: File, state: str, fault: bytes = b"") -> None:
    """A file is whole, or given up; after the last one the work on the lines may begin."""
    if fault:
        row = tx.one("SELECT parts FROM import_job WHERE id = ?", (file.id,))
        uploads.put_faults(tx, file.id, row[0] if row else 0, fault)
        tx.execute("UPDATE import_job SET failed = failed + 1 WHERE id = ?", (file.id,))
    grown(tx, file, b"", file.mark)
    tx.execute(
        "UPDATE import_file SET state = ?, failed = failed + ? WHERE id = ? AND n = ?",
        (state, 1 if fault else 0, file.id, file.n),
    )
    if following(tx, file.id) is None:
        tx.execute("UPDATE import_job SET state = ? WHERE id = ? AND state = ?", (WAITING, file.id, FETCHING))


def tried(tx: Tx, file: File) -> None:
    """Once more in vain."""
    tx.execute("UPDATE import_file SET tries = tries + 1 WHERE id = ? AND n = ?", (file.id, file.n))


def faulty(tx: Tx, file: File, lines: int) -> None:
    """So many lines of it were not stored."""
    tx.execute("UPDATE import_file SET failed = failed + ? WHERE id = ? AND n = ?", (lines, file.id, file.n))


def behind(files: Sequence[File], file: File) -> int:
    """The part behind the last one of a file."""
    return next((one.first_part for one in files if one.n == file.n + 1 and one.first_part >= 0), 1 << 53)
