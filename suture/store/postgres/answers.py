"""What SQL asks about bodies, which the server can't read: it is noted, found out here, and the query runs again with the answers.

The first round may note a few rows, each later one four times as many, so a page that is soon full reads few bodies.
https://www.postgresql.org/docs/current/plpgsql.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from suture.store.connection import Look
from suture.store.postgres.session import Raw

FIRST, GROWTH = 256, 4
AT_ONCE = 1_000  # bodies
WORDS = ("suture_holds(", "suture_key(")
LONG = 5_000  # answers; more are cleared away by TRUNCATE
_READY = """
CREATE TEMP TABLE IF NOT EXISTS suture_known
  (number bigint, rid bigint, down bigint, told text COLLATE "C", PRIMARY KEY (number, rid, down));
CREATE TEMP TABLE IF NOT EXISTS suture_asked (number bigint, rid bigint, down bigint, holds boolean);
CREATE TEMP SEQUENCE IF NOT EXISTS suture_turn
"""


class Looks(NamedTuple):
    """The two functions."""

    holds: Look
    key: Look


def asks(sql: str) -> bool:
    return any(word in sql for word in WORDS)


def ready(raw: Raw) -> None:
    """The tables of this session; a session that only reads needs a transaction of its own for them."""
    inside = raw.info.transaction_status != 0
    raw.execute(_READY if inside else f"BEGIN READ WRITE; {_READY}; COMMIT", prepare=False)


def answered(
    raw: Raw,
    ask: Callable[[], list[tuple[Any, ...]]],
    bodies: Callable[[Sequence[int]], dict[int, dict[str, Any]]],
    looks: Looks,
) -> list[tuple[Any, ...]]:
    """The rows of a query when nothing it asks is unknown any more."""
    most, told = FIRST, 0
    while True:
        raw.execute(
            "SELECT setval('pg_temp.suture_turn', 1, false), set_config('suture.most', $1, false)", (str(most),)
        )
        rows = ask()
        asked = raw.execute("DELETE FROM pg_temp.suture_asked RETURNING number, rid, down, holds").fetchall()
        if not asked and _all_were_known(raw, most):
            break
        told += _tell(raw, sorted(set(asked)), bodies, looks)
        most *= GROWTH
    _clear(raw, told)
    return rows


def _all_were_known(raw: Raw, most: int) -> bool:
    row = raw.execute("SELECT NOT is_called OR last_value <= $1 FROM pg_temp.suture_turn", (most,)).fetchone()
    return bool(row and row[0])


def _tell(
    raw: Raw, asked: list[tuple[Any, ...]], bodies: Callable[..., dict[int, dict[str, Any]]], looks: Looks
) -> int:
    for part in _parts(asked):
        found = bodies(sorted({rid for _, rid, _, _ in part}))
        rows = [_answer(found.get(rid), number, rid, down, holds, looks) for number, rid, down, holds in part]
        raw.cursor().executemany(
            "INSERT INTO pg_temp.suture_known VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING", rows
        )
    return len(asked)


def _answer(
    found: dict[str, Any] | None, number: int, rid: int, down: int, holds: bool, looks: Looks
) -> tuple[Any, ...]:
    if holds:
        return number, rid, down, "1" if looks.holds(number, found, 0) else "0"
    return number, rid, down, looks.key(number, found, down)


def _parts(asked: list[tuple[Any, ...]]) -> Iterator[list[tuple[Any, ...]]]:
    for start in range(0, len(asked), AT_ONCE):
        yield asked[start : start + AT_ONCE]


def _clear(raw: Raw, told: int) -> None:
    """Numbers are never given twice, but a session should not grow."""
    if told > LONG and raw.info.transaction_status == 0:
        raw.execute("BEGIN READ WRITE; TRUNCATE pg_temp.suture_known, pg_temp.suture_asked; COMMIT", prepare=False)
    elif told:
        raw.execute("DELETE FROM pg_temp.suture_known")
