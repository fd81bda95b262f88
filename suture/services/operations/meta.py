"""$meta, $meta-add, $meta-delete: the profiles, tags and security labels of a resource; $meta too of a type and of all.

https://hl7.org/fhir/R4/resource-operations.html#meta
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import suture.services.interactions.guard as guard
import suture.services.interactions.patch as patch
import suture.services.interactions.write as write
import suture.services.operations.meta_in_use as meta_in_use
from suture.errors import Invalid
from suture.services.interactions.answer import Answer
from suture.services.operations.operation import Asked, Operation, Parameter
from suture.standards.fhir import json

_LISTS = ("profile", "security", "tag")
_WHERE = "http://hl7.org/fhir/OperationDefinition/Resource-meta"


async def look(asked: Asked) -> Answer:
    """The meta of one resource as it stands; without an id what is in use."""
    if not asked.id:
        return _told(await meta_in_use.gathered(asked))
    async with asked.frame() as access:
        connection = asked.chart.database.read
        row = guard.present(guard.visible(connection, asked.caller, "read", asked.type, asked.id))
        access.touched(connection, row)
        return _told(json.reread(row.body)["meta"])


async def add(asked: Asked) -> Answer:
    """Adds what is not there yet."""
    return await _changed(asked, _added)


async def delete(asked: Asked) -> Answer:
    """Takes away what is there; what is not there need not be."""
    return await _changed(asked, _without)


async def _changed(asked: Asked, combine: Callable[[list[Any], list[Any]], list[Any]]) -> Answer:
    given = asked.one("meta")
    for name in _LISTS:
        if not isinstance(given.get(name, []), list):
            raise Invalid("must be a list", where=f"meta.{name}")
    async with asked.frame() as access:
        change = partial(_combined, given, combine)
        outcome = await write.committed(
            asked.chart, access, lambda tx: patch.patching(tx, asked.caller, asked.type, asked.id, change)
        )
        assert outcome.row is not None
        return _told(json.reread(outcome.row.body)["meta"])


def _combined(
    given: dict[str, Any], combine: Callable[[list[Any], list[Any]], list[Any]], resource: dict[str, Any]
) -> dict[str, Any]:
    meta = dict(resource.get("meta", {}))
    for name in _LISTS:
        found = combine(meta.get(name, []), given.get(name, []))
        meta = {**meta, name: found} if found else {key: value for key, value in meta.items() if key != name}
    return {**resource, "meta": meta}


def _added(there: list[Any], given: list[Any]) -> list[Any]:
    known = {_key(item) for item in there}
    return [*there, *(item for item in given if _key(item) not in known)]


def _without(there: list[Any], given: list[Any]) -> list[Any]:
    gone = {_key(item) for item in given}
    return [item for item in there if _key(item) not in gone]


def _key(item: Any) -> tuple[str, ...]:
    """A profile is its URL, a label its system and code."""
    return (item.get("system", ""), item.get("code", "")) if isinstance(item, dict) else (str(item),)


def _told(meta: dict[str, Any]) -> Answer:
    return Answer(json.write({"resourceType": "Parameters", "parameter": [{"name": "return", "valueMeta": meta}]}))


_GIVEN = (Parameter("meta", "Meta", "Send a Parameters with meta as valueMeta.", min=1),)
META = Operation(
    "meta", f"{_WHERE}", "The profiles, tags and labels of a resource, or those in use on a type or anywhere.",
    ("system", "type", "instance"), look, scope="r of the resource; s of a type, and of each type of the server that is told of",
)  # fmt: skip
ADD = Operation(
    "meta-add", f"{_WHERE}-add", "Adds profiles, tags and labels; makes a version.", ("instance",), add,
    parameters=_GIVEN, changes=True, scope="u and r",
)  # fmt: skip
DELETE = Operation(
    "meta-delete", f"{_WHERE}-delete", "Takes profiles, tags and labels away; makes a version.", ("instance",), delete,
    parameters=_GIVEN, changes=True, scope="u and r",
)  # fmt: skip
