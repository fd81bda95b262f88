"""Finds single rows for a caller: what is unknown and what is forbidden look the same from outside."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import suture.services.interactions.attached as attached
from suture.access import policy, withheld
from suture.access.caller import Caller
from suture.access.policy import Reach
from suture.access.withheld import Withheld
from suture.errors import Gone, NotFound
from suture.standards.fhir import json
from suture.store import resources, sound
from suture.store.bodies import Damaged
from suture.store.connection import Connection
from suture.store.resources import Row


def unknown(type: str) -> NotFound:
    """The one answer for unknown, forbidden and, for who may not know, deleted."""
    return NotFound(f"no such {type}", where=type)


def allowed(connection: Connection, caller: Caller, interaction: str, row: Row) -> bool:
    """Whether the caller may have this row; a deletion is judged by what was there before it."""
    return judge(connection, caller, interaction)(row)


def judge(
    connection: Connection, caller: Caller, interaction: str, kept: Withheld | bool | None = False
) -> Callable[[Row], bool]:
    """`allowed` for many rows: how far the caller reaches is asked once for each type.

    `kept`: what is withheld, when that is known already.
    """
    reaches: dict[str, Reach] = {}
    away = withheld.of(connection, caller) if isinstance(kept, bool) else kept

    def judged(row: Row) -> bool:
        found = reaches.get(row.type)
        if found is None:
            found = reaches[row.type] = policy.reach(caller, interaction, row.type)
        if found is Reach.NOTHING:
            return False
        if found is Reach.EVERYTHING and away is None:
            return True
        body = row.body or _last_body(connection, row)
        if body is None:
            return False
        if found is Reach.PART and not _reached(connection, caller, interaction, row, body):
            return False
        if away is None or not body:
            return True
        return away.lets(row, body) and (row.type != attached.TYPE or _named(connection, row, judged))

    return judged


def seen(rows: Sequence[Row], judged: Callable[[Row], bool]) -> tuple[list[Row], set[int]]:
    """The rows that may be seen, and the numbers of those that can't be judged because they are damaged."""
    found = [row for row in rows if judged(row)]
    hidden = {row.rid for row in rows if row.damaged and not judged(row)} if len(found) < len(rows) else set()
    return found, hidden


def _last_body(connection: Connection, row: Row) -> bytes | None:
    """What a deletion is judged by; None where that can't be read: then only whoever reaches everything may know of it."""
    if row.damaged:
        return None
    try:
        return resources.last_body(connection, row)
    except Damaged:
        return None


def _named(connection: Connection, row: Row, judged: Callable[[Row], bool]) -> bool:
    """Whether one of the documents that a Binary belongs to may be seen, when it belongs to any."""
    owners = attached.owners(connection, row)
    return not owners or any(judged(owner) for owner in owners)


def _reached(connection: Connection, caller: Caller, interaction: str, row: Row, body: bytes) -> bool:
    return bool(body) and policy.allows(caller, interaction, row.type, json.reread(body), connection.shared.base)


def judge_versions(connection: Connection, caller: Caller, interaction: str) -> Callable[[Row], bool]:
    """`judge` for rows of a history: each by what it says and by what its resource says today."""
    away = withheld.of(connection, caller)
    judged = judge(connection, caller, interaction, away)
    today: dict[int, bool] = {}

    def both(row: Row) -> bool:
        if not judged(row):
            return False
        if away is None and policy.reach(caller, interaction, row.type) is Reach.EVERYTHING:
            return True
        if row.rid not in today:
            current = sound.read(connection, row.type, row.id)
            today[row.rid] = current is not None and judged(current)
        return today[row.rid]

    return both


def visible(connection: Connection, caller: Caller, interaction: str, type: str, id: str) -> Row:
    """The current version, which may be a deletion, or damaged; raises NotFound alike for unknown and forbidden."""
    policy.require(caller, interaction, type)
    row, judged = sound.read(connection, type, id), judge(connection, caller, interaction)
    if row is None:
        decoy = sound.newest(connection, type)  # no less work than a record one may not see
        if decoy is not None:
            judged(decoy)
        raise unknown(type)
    if not judged(row):
        raise unknown(type)
    return row


def present(row: Row) -> Row:
    """The row unless it is a deletion or can't be read; raises Gone, or Damaged."""
    if row.damaged:
        raise sound.refusal(f"{row.type}/{row.id}")
    if row.deleted:
        raise Gone(f"this {row.type} was deleted", where=row.type)
    return row
