"""By whose record rows of the trail are found: listed in order of patients, many rows together, a little behind the trail's end.

A list by patients has its place for a new row anywhere, so writing it with each access would cost more than the access
itself; rows behind the last listed one are looked through instead. docs/decisions/020-audit-listed-later.md
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from suture.store.connection import Connection, Tx
from suture.store.ids import id_of, key_of
from suture.store.vault import set_watermark, watermark

BETWEEN = "\x1f"  # of several patients
BY_NUMBER = "#"  # begins the digest of an identifier that a message carried, where no Patient's id is known
PATIENT = "Patient/"
BEHIND = 4_000  # rows that may be looked through
AT_ONCE = 1_000  # rows listed in one transaction
CHECKED = 200  # rows held against the list at once
MARK = "audit-listed"

Pair = tuple[bytes | str, int]  # a patient as the list has it, a row's number


def whose_key(patient: str) -> bytes | str:
    """How a patient stands in the list: the id, a UUID in 16 bytes; an identifier of messages with its mark."""
    return key_of(patient.removeprefix(PATIENT)) if patient[:1] != BY_NUMBER else patient


def mark(connection: Connection) -> int:
    """The number of the last row that is listed."""
    return int(watermark(connection, MARK) or 0)


def behind(connection: Connection) -> int:
    """How many rows are not listed yet."""
    row = connection.one("SELECT coalesce(max(n), 0) FROM audit")
    return max(0, (row[0] if row else 0) - mark(connection))


def go_on(tx: Tx, most: int = AT_ONCE) -> int:
    """Lists the next rows; returns how many are left."""
    after = mark(tx)
    rows = tx.all("SELECT n, patient, whose FROM audit WHERE n > ? ORDER BY n LIMIT ?", (after, most))
    if rows:
        pairs = sorted({pair for row in rows for pair in _pairs(*row)}, key=_in_order)
        tx.many("INSERT OR IGNORE INTO audit_whose VALUES (?, ?)", pairs)
        set_watermark(tx, MARK, str(rows[-1][0]))
    return behind(tx)


def catch_up(write_now: Callable[[Callable[[Tx], int]], int], connection: Connection) -> None:
    """At the start: what was left behind counts again, and a trail that was never listed is listed now."""
    left = behind(connection)
    while left > 2 * BEHIND:
        left = write_now(lambda tx: go_on(tx, BEHIND))
    connection.shared.unlisted = left


def tail(connection: Connection, patients: tuple[str, ...], low: int, high: int) -> list[int]:
    """The rows from `low` to before `high` that are not listed yet and touched one of these patients, in their order."""
    sql = (
        "SELECT n, patient, whose FROM audit WHERE n > ? AND n >= ? AND n < ? AND coalesce(patient, whose) IS NOT NULL"
    )
    wanted = set(patients)
    rows = connection.all(sql, (mark(connection), low, high))
    return sorted(n for n, patient, whose in rows if not wanted.isdisjoint(_patients(patient, whose)))


def unlisted(connection: Connection) -> tuple[int, str] | None:
    """The first row that stands in the list with too few or too many patients, and what to say."""
    count, last = 0, mark(connection)
    for rows in _parts(connection, last):
        wanted = {pair for row in rows for pair in _pairs(*row)}
        found = _listed(connection, sorted({key for key, _ in wanted}, key=str), rows[0][0], rows[-1][0])
        if wrong := min(wanted ^ found, key=lambda pair: pair[1], default=None):
            said = "is not found by all the patients it touched" if wrong in wanted else "is found by others"
            return wrong[1], f"row {wrong[1]} {said}"
        count += len(wanted)
    total = connection.one("SELECT count(*) FROM audit_whose")
    return None if total == (count,) else (_stray(connection, last), "rows are found by patients they did not touch")


def _stray(connection: Connection, last: int) -> int:
    """The first row that stands in the list for a patient it does not name."""
    sql = "SELECT w.n, w.patient, a.patient, a.whose FROM audit_whose w LEFT JOIN audit a ON a.n = w.n"
    rows = connection.stream(sql)
    return min(int(n) for n, key, patient, whose in rows if n > last or (_key(key), n) not in _pairs(n, patient, whose))


def _parts(connection: Connection, last: int) -> Iterator[list[tuple[int, str | None, str | None]]]:
    after = -1 << 62
    sql = "SELECT n, patient, whose FROM audit WHERE n > ? AND n <= ? ORDER BY n LIMIT ?"
    while rows := connection.all(sql, (after, last, CHECKED)):
        yield rows
        after = rows[-1][0]


def _listed(connection: Connection, keys: list[bytes | str], low: int, high: int) -> set[Pair]:
    marks = ",".join("?" * len(keys))
    sql = f"SELECT patient, n FROM audit_whose WHERE patient IN ({marks}) AND n BETWEEN ? AND ?"
    return {(_key(key), n) for key, n in connection.all(sql, [*keys, low, high])} if keys else set()


def _key(stored: bytes | str) -> bytes | str:
    """A key as `whose_key` makes it: a database without columns of several kinds gives texts as bytes, too."""
    return key_of(id_of(stored))


def _pairs(n: int, patient: str | None, whose: str | None) -> list[Pair]:
    return [(whose_key(one), n) for one in _patients(patient, whose)]


def _patients(patient: str | None, whose: str | None) -> list[str]:
    several = str(whose).split(BETWEEN) if whose else []
    return [str(patient), *several] if patient else several


def _in_order(pair: Pair) -> tuple[bool, bytes | str, int]:
    """As the database sorts them: texts, then bytes."""
    return isinstance(pair[0], bytes), pair[0], pair[1]
