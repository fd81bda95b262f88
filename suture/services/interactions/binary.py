"""Binaries as what they are: bytes of a media type, seen by whoever may see the document they belong to.

https://hl7.org/fhir/R4/binary.html
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import suture.services.interactions.attached as attached
import suture.services.interactions.guard as guard
import suture.services.interactions.read as read_one
from suture.access import policy, withheld
from suture.access.caller import Caller
from suture.access.policy import Reach
from suture.errors import Invalid
from suture.services.interactions.attached import TYPE as TYPE
from suture.services.interactions.chart import Chart
from suture.standards.fhir import json
from suture.store import sound, whose
from suture.store.connection import Connection
from suture.store.resources import Row

Pairs = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Content:
    """The bytes of a Binary, their media type, and what its access depends on."""

    raw: bytes
    type: str
    context: str = ""


async def read(chart: Chart, caller: Caller, id: str, pairs: Pairs = ()) -> Row:
    """The current version; whoever reaches no Binaries by scope compartment may see those of documents it may read."""
    async with chart.access(caller, "read", TYPE, id) as access:
        connection = chart.database.read
        row = _current(connection, caller, id)
        access.touched(connection, row)
        access.concerns(whose.of_rows(connection, attached.owners(connection, row)))
        return read_one.part(row, pairs)


def _current(connection: Connection, caller: Caller, id: str) -> Row:
    whole = policy.reach(caller, "read", TYPE) is Reach.EVERYTHING
    if whole or not any("r" in scope.letters and scope.type in ("*", TYPE) for scope in caller.scopes):
        return read_one.current(connection, caller, TYPE, id)
    found = seen(connection, caller, id)
    if found is None:
        raise guard.unknown(TYPE)
    return found


def seen(connection: Connection, caller: Caller, id: str) -> Row | None:
    """The Binary, if the caller reaches all of them, or reads one of the documents it belongs to."""
    row = sound.read(connection, TYPE, id)
    if row is None or row.deleted or not any("r" in s.letters and s.type in ("*", TYPE) for s in caller.scopes):
        return None
    judged = guard.judge(connection, caller, "read")
    if policy.reach(caller, "read", TYPE) is Reach.EVERYTHING:
        return row if judged(row) else None
    if row.damaged:
        return None
    away = withheld.of(connection, caller)
    by_document = any(judged(owner) for owner in attached.owners(connection, row))
    return row if by_document and (away is None or away.lets(row, row.body)) else None


def content(row: Row) -> Content:
    """What is inside."""
    resource = json.reread(row.body)
    raw = base64.b64decode(resource.get("data", "").translate(_SPACES))
    context = resource.get("securityContext", {}).get("reference", "")
    return Content(raw, resource["contentType"], context)


_SPACES = {ord(letter): None for letter in " \t\r\n"}


def resource(content: Content, id: str = "") -> dict[str, Any]:
    """The Binary that holds bytes as they were sent."""
    made: dict[str, Any] = {"resourceType": TYPE, **({"id": id} if id else {}), "contentType": content.type}
    if content.context:
        made["securityContext"] = {"reference": content.context}
    if content.raw:
        made["data"] = base64.b64encode(content.raw).decode()
    return made


def carried(resource: dict[str, Any]) -> bytes:
    """The bytes a Binary carries, for who reads them as something else; raises Invalid."""
    try:
        return base64.b64decode(resource.get("data", ""), validate=True)
    except (binascii.Error, TypeError, ValueError):
        raise Invalid("not base64", where="resource.data") from None
