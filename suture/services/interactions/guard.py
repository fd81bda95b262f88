"""Finds single rows for a caller: what is unknown and what is forbidden look the same from outside."""

from __future__ import annotations

from collections.abc import Callable

import orjson

from suture.access import policy
from suture.access.caller import Caller
from suture.access.policy import Reach
from suture.errors import Gone, NotFound
from suture.store import resources
from suture.store.connection import Connection
from suture.store.resources import Row


def unknown(type: str) -> NotFound:
    """The one answer for unknown, forbidden and, for who may not know, deleted."""
    return NotFound(f"no such {type}", where=type)


def allowed(connection: Connection, caller: Caller, interaction: str, row: Row) -> bool:
    """Whether the caller may have this row; a deletion is judged by what was there before it."""
    found = policy.reach(caller, interaction, row.type)
    if found is not Reach.COMPARTMENT:
        return found is Reach.EVERYTHING
    body = row.body or resources.last_body(connection, row)
    return bool(body) and policy.allows(caller, interaction, row.type, orjson.loads(body), connection.shared.base)


def judge(connection: Connection, caller: Caller, interaction: str) -> Callable[[Row], bool]:
    """`allowed` for many rows: how far the caller reaches is asked once for each type."""
    reaches: dict[str, Reach] = {}

    def judged(row: Row) -> bool:
        found = reaches.get(row.type)
        if found is None:
            found = reaches[row.type] = policy.reach(caller, interaction, row.type)
        return found is Reach.EVERYTHING or allowed(connection, caller, interaction, row)

    return judged


def judge_versions(connection: Connection, caller: Caller, interaction: str) -> Callable[[Row], bool]:
    """`judge` for rows of a history: each by what it says and by what its resource says today."""
    judged = judge(connection, caller, interaction)
    today: dict[int, bool] = {}

    def both(row: Row) -> bool:
        if not judged(row):
            return False
        if policy.reach(caller, interaction, row.type) is Reach.EVERYTHING:
            return True
        if row.rid not in today:
            current = resources.read(connection, row.type, row.id)
            today[row.rid] = current is not None and judged(current)
        return today[row.rid]

    return both


def visible(connection: Connection, caller: Caller, interaction: str, type: str, id: str) -> Row:
    """The current version, which may be a deletion; raises NotFound alike for unknown and forbidden."""
    policy.require(caller, interaction, type)
    row = resources.read(connection, type, id)
    if row is None or not allowed(connection, caller, interaction, row):
        raise unknown(type)
    return row


def present(row: Row) -> Row:
    """The row unless it is a deletion; raises Gone."""
    if row.deleted:
        raise Gone(f"this {row.type} was deleted", where=row.type)
    return row
