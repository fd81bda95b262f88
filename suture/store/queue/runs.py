"""Runs: one message walking one flow, durable step by step, in order inside its lane.

https://www.enterpriseintegrationpatterns.com/patterns/messaging/ProcessManager.html
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from suture.clock import new_id
from suture.errors import Conflict
from suture.message import RunState
from suture.store import names
from suture.store.connection import Connection, Tx
from suture.store.resources import id_of, key_of

STATES = {RunState.RUNNING: 1, RunState.WAITING: 2, RunState.FAILED: 3, RunState.CANCELLED: 4, RunState.DONE: None}
STATE_OF = {number: state for state, number in STATES.items()}
STEP_BITS = 12


@dataclass(frozen=True, slots=True)
class Run:
    """One run as it stands in its row; `run` is its number, `id` its name outside."""

    run: int
    id: str
    mid: int
    flow: str
    version: str  # hash of the flow it began with
    maps: dict[str, str]  # map -> version
    lane: str
    state: RunState
    step: str  # the step it stands at; empty at the start
    attempts: int  # of that step
    next_at: int  # microseconds; 0 while it is not due by time
    owner: str
    started: int
    ended: int
    error: str
    replay_of: int
    replayed_by: int
    filtered: bool = False  # done, because a filter let it go no further


class Step(NamedTuple):
    """What one step did, as it is kept."""

    step: str
    output: bytes
    started: int
    took: int  # microseconds
    attempts: int = 1
    error: str = ""
    input: int = 0  # number of the turn whose output it read; 0 the original
    turn: int = 0  # its own number, from 1


_COLUMNS = (
    "run, id, mid, flow, version, maps, lane, state, step, attempts, next_at, owner, started, ended, error, "
    "replay_of, replayed_by, filtered"
)


def _run(connection: Connection, row: tuple[Any, ...]) -> Run:
    def text(number: int | None) -> str:
        return names.text(connection, number) if number else ""

    return Run(
        row[0], id_of(row[1]), row[2], text(row[3]), text(row[4]), json.loads(text(row[5]) or "{}"), row[6] or "",
        STATE_OF[row[7]], text(row[8]), row[9], row[10] or 0, text(row[11]), row[12], row[13] or 0, row[14] or "",
        row[15] or 0, row[16] or 0, bool(row[17]),
    )  # fmt: skip


def insert(
    tx: Tx,
    mid: int,
    flow: str,
    *,
    version: str = "",
    maps: Mapping[str, str] | None = None,
    lane: str = "",
    step: str = "",
    owner: str = "",
    lease: int = 0,
    replay_of: int = 0,
) -> Run:
    """A new run. Alone or first in its lane it is due at once (or leased to `owner` until `lease`); else it stands behind."""
    flow_number = names.number(tx, flow)
    behind = bool(lane) and head(tx, flow, lane) is not None
    next_at = None if behind else (lease or tx.now)
    holder = names.number(tx, owner) if owner and not behind else None
    written = json.dumps(dict(maps or {}), sort_keys=True)
    id = new_id(tx.shared.clock)
    tx.execute(
        "INSERT INTO run (id, mid, flow, version, maps, lane, open, state, step, attempts, next_at, owner, started, replay_of) "
        "VALUES (?, ?, ?, ?, ?, ?, 1, 1, ?, 0, ?, ?, ?, ?)",
        (
            key_of(id), mid, flow_number, names.number(tx, version), names.number(tx, written), lane or None,
            names.number(tx, step) if step else None, next_at, holder, tx.now, replay_of or None,
        ),
    )  # fmt: skip
    run = tx.last_rowid
    if replay_of:
        tx.execute("UPDATE run SET replayed_by = ? WHERE run = ?", (run, replay_of))
    return Run(
        run, id, mid, flow, version, dict(maps or {}), lane, RunState.RUNNING, step, 0, next_at or 0,
        "" if behind else owner, tx.now, 0, "", replay_of, 0,
    )  # fmt: skip


def head(connection: Connection, flow: str, lane: str) -> int | None:
    """The first open run of a lane."""
    row = connection.one(
        "SELECT run FROM run WHERE open = 1 AND flow = ? AND lane = ? ORDER BY run LIMIT 1",
        (names.find(connection, flow), lane),
    )
    return row[0] if row else None


def lease(tx: Tx, owner: str, until: int, *, count: int = 64, now: int = 0) -> list[Run]:
    """Takes runs that are due (at `now`), oldest first: theirs is `owner` until `until`, then they are due again."""
    rows = tx.all(f"SELECT {_COLUMNS} FROM run WHERE next_at <= ? ORDER BY next_at LIMIT ?", (now or tx.now, count))
    holder = names.number(tx, owner)
    for row in rows:
        tx.execute("UPDATE run SET owner = ?, next_at = ?, state = 1 WHERE run = ?", (holder, until, row[0]))
    return [_run(tx, (*row[:7], 1, *row[8:10], until, holder, *row[12:])) for row in rows]


def claim(tx: Tx, run: int, owner: str, until: int) -> Run | None:
    """Takes one open run: theirs is `owner` until `until`; None when it has ended."""
    tx.execute(
        "UPDATE run SET owner = ?, next_at = ?, state = 1 WHERE run = ? AND open = 1",
        (names.number(tx, owner), until, run),
    )
    return get(tx, run) if tx.changes else None


def leave_lane(tx: Tx, run: int) -> int:
    """Takes an open run out of its lane's way; it goes on by itself. Returns the next of its lane, or 0."""
    row = tx.one("SELECT flow, lane FROM run WHERE run = ? AND open = 1 AND lane IS NOT NULL", (run,))
    if row is None:
        return 0
    tx.execute("UPDATE run SET lane = NULL WHERE run = ?", (run,))
    return _promote(tx, row[0], row[1])


def alone(connection: Connection, mid: int, run: int) -> bool:
    """Whether no other run of this message is there."""
    return connection.one("SELECT 1 FROM run WHERE mid = ? AND run <> ? LIMIT 1", (mid, run)) is None


def lane_waits(connection: Connection, run: int) -> bool:
    """Whether another open run stands behind this one."""
    row = connection.one(
        "SELECT 1 FROM run a JOIN run b ON b.flow = a.flow AND b.lane = a.lane AND b.open = 1 AND b.run > a.run "
        "WHERE a.run = ? AND a.open = 1 LIMIT 1",
        (run,),
    )
    return row is not None


def extend(tx: Tx, run: int, owner: str, until: int) -> None:
    """Keeps a lease longer; raises Conflict when it was lost."""
    tx.execute("UPDATE run SET next_at = ? WHERE run = ? AND owner = ?", (until, run, names.number(tx, owner)))
    _require_held(tx)


def release_others(tx: Tx, owner: str) -> int:
    """At the start of the one serving process: what other processes left leased is due now. Returns how many."""
    tx.execute(
        "UPDATE run SET next_at = ?, owner = NULL WHERE next_at IS NOT NULL AND owner <> ?",
        (tx.now, names.number(tx, owner)),
    )
    return tx.changes


def next_due(connection: Connection) -> int:
    """When the next run is due; 0 when none is."""
    row = connection.one("SELECT min(next_at) FROM run WHERE next_at IS NOT NULL")
    return (row and row[0]) or 0


def _require_held(tx: Tx) -> None:
    if tx.changes != 1:
        raise Conflict("another worker has taken this run over, or it has ended", where="runs")


def progress(tx: Tx, run: int, owner: str, steps: Sequence[Step], *, step: str, first: int) -> None:
    """Keeps what steps did (their turns from `first` on) and where the run stands now; the lease stays."""
    keep_steps(tx, run, steps, first)
    tx.execute(
        "UPDATE run SET step = ?, attempts = 0 WHERE run = ? AND owner = ?",
        (names.number(tx, step) if step else None, run, names.number(tx, owner)),
    )
    _require_held(tx)


def keep_steps(tx: Tx, run: int, steps: Sequence[Step], first: int) -> None:
    """Step rows alone, without moving the run."""
    for turn, step in enumerate(steps, first):
        zd, output = tx.bodies.pack("content", step.output)
        tx.execute(
            "INSERT OR REPLACE INTO step VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                run << STEP_BITS | turn, names.number(tx, step.step), step.input or None, step.started, step.took,
                step.attempts, step.error or None, zd, output,
            ),
        )  # fmt: skip


def retry(tx: Tx, run: int, owner: str, at: int, error: str) -> None:
    """The step failed for now: the run is due again at `at`, its lane waits behind it."""
    tx.execute(
        "UPDATE run SET next_at = ?, owner = NULL, state = 2, attempts = attempts + 1, error = ? WHERE run = ? AND owner = ?",
        (at, error, run, names.number(tx, owner)),
    )
    _require_held(tx)


def wait(tx: Tx, run: int, owner: str, *, step: str, until: int = 0) -> None:
    """The run waits for a delivery (or until a time); its lane waits with it."""
    tx.execute(
        "UPDATE run SET next_at = ?, owner = NULL, state = 2, step = ? WHERE run = ? AND owner = ?",
        (until or None, names.number(tx, step), run, names.number(tx, owner)),
    )
    _require_held(tx)


def wake(tx: Tx, run: int) -> None:
    """What the run waited for has happened: it is due now."""
    tx.execute("UPDATE run SET next_at = ? WHERE run = ? AND open = 1 AND next_at IS NULL", (tx.now, run))


def finish(
    tx: Tx, run: int, owner: str, state: RunState = RunState.DONE, error: str = "", *, filtered: bool = False
) -> int:
    """Ends a run; the next one of its lane is due. Returns that next run's number, or 0."""
    row = tx.one("SELECT flow, lane FROM run WHERE run = ?", (run,))
    tx.execute(
        "UPDATE run SET open = NULL, next_at = NULL, owner = NULL, state = ?, ended = ?, error = ?, filtered = ? "
        "WHERE run = ? AND owner = ?",
        (STATES[state], tx.now, error or None, filtered or None, run, names.number(tx, owner)),
    )
    _require_held(tx)
    return _promote(tx, row[0], row[1]) if row and row[1] else 0


def cancel(tx: Tx, run: int, reason: str) -> int:
    """Ends an open run that nobody works on any more, by an administrator's word. Returns the next of its lane, or 0."""
    row = tx.one("SELECT flow, lane FROM run WHERE run = ? AND open = 1", (run,))
    if row is None:
        raise Conflict("this run has ended already", where="runs")
    tx.execute(
        "UPDATE run SET open = NULL, next_at = NULL, owner = NULL, state = 4, ended = ?, error = ? WHERE run = ?",
        (tx.now, reason, run),
    )
    return _promote(tx, *row) if row[1] else 0


def _promote(tx: Tx, flow: int, lane: str) -> int:
    row = tx.one(
        "SELECT run, next_at, state FROM run WHERE open = 1 AND flow = ? AND lane = ? ORDER BY run LIMIT 1",
        (flow, lane),
    )
    if row is None or row[1] is not None or row[2] != 1:
        return 0
    tx.execute("UPDATE run SET next_at = ? WHERE run = ?", (tx.now, row[0]))
    return int(row[0])


def get(connection: Connection, run: int) -> Run | None:
    row = connection.one(f"SELECT {_COLUMNS} FROM run WHERE run = ?", (run,))
    return None if row is None else _run(connection, row)


def by_id(connection: Connection, id: str) -> Run | None:
    row = connection.one(f"SELECT {_COLUMNS} FROM run WHERE id = ?", (key_of(id),))
    return None if row is None else _run(connection, row)


def steps(connection: Connection, run: int, *, outputs: bool = True) -> list[Step]:
    """The steps a run has done, in order."""
    low = run << STEP_BITS
    rows = connection.all(
        "SELECT sid, step, input, started, took, attempts, error, zd, output FROM step WHERE sid BETWEEN ? AND ?",
        (low, low | (1 << STEP_BITS) - 1),
    )
    return [
        Step(
            names.text(connection, step), connection.bodies.unpack(zd, output) if outputs else b"", started, took,
            attempts, error or "", input or 0, sid - low,
        )
        for sid, step, input, started, took, attempts, error, zd, output in rows
    ]  # fmt: skip


def find(
    connection: Connection,
    *,
    mid: int = 0,
    flow: str = "",
    state: RunState | None = None,
    before: int = 1 << 62,
    count: int = 50,
) -> list[Run]:
    """Runs newest first; `before` is the run the last page ended at."""
    conditions, values = ["run < ?"], [before]
    for column, value in (("mid", mid), ("flow", names.find(connection, flow) if flow else 0)):
        if value or (column == "flow" and flow):
            conditions.append(f"{column} = ?")
            values.append(value)
    if state is not None:
        conditions.append("state IS NULL" if STATES[state] is None else f"state = {STATES[state]}")
    sql = f"SELECT {_COLUMNS} FROM run WHERE {' AND '.join(conditions)} ORDER BY run DESC LIMIT ?"
    return [_run(connection, row) for row in connection.all(sql, [*values, count])]
