"""Implementation guides that are stored here: which resources are whose, several versions beside each other.

Every resource of a guide bears a tag with the guide's name and version (https://hl7.org/fhir/R4/resource.html#tags).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from suture.access import policy
from suture.errors import Invalid
from suture.services.interactions.door import Interactions
from suture.standards.fhir import json, search
from suture.standards.fhir.packages import CONFORMANCE, Package
from suture.store import search as store_search
from suture.store import terminology
from suture.store.connection import Connection, Tx
from suture.store.resources import Row

TAG = "urn:suture:guide"
MOST = 100_000  # resources of one type that are looked through
LONGEST_ID = 64
AT_ONCE = 200  # deletions of one transaction


@dataclass(slots=True)
class Stored:
    """One version of a guide, and what of it is here."""

    name: str
    version: str
    types: Counter[str] = field(default_factory=Counter)
    rows: list[tuple[str, str]] = field(default_factory=list)  # type, id

    def __str__(self) -> str:
        return f"{self.name}@{self.version}"


def stored(connection: Connection) -> list[Stored]:
    """The guides that are here, by name and version."""
    found: dict[tuple[str, str], Stored] = {}
    for type in CONFORMANCE:
        for row in terminology.every(connection, type, MOST):
            for name, version in _tags(json.reread(row.body)) if TAG.encode() in row.body else ():
                one = found.setdefault((name, version), Stored(name, version))
                one.types[type] += 1
                one.rows.append((type, row.id))
    return [found[key] for key in sorted(found)]


def _tags(resource: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for tag in resource.get("meta", {}).get("tag", []):
        if tag.get("system") == TAG:
            name, _, version = str(tag.get("code", "")).partition("@")
            yield name, version


def prepared(connection: Connection, package: Package) -> Iterator[dict[str, Any]]:
    """The resources of a package as they are stored: tagged, with ids that take no other version's place."""
    tag = {"system": TAG, "code": str(package)}
    for one in package.resources:
        given = one.get("meta")
        meta: dict[str, Any] = given if isinstance(given, dict) else {}
        tags = meta.get("tag")
        kept = [each for each in tags if isinstance(each, dict)] if isinstance(tags, list) else []
        yield {**one, "id": _id(connection, one), "meta": {**meta, "tag": [*kept, tag]}}


def _id(connection: Connection, resource: dict[str, Any]) -> str:
    """The id under which this version stands already; else its own, unless something else has that."""
    type, id = str(resource["resourceType"]), str(resource.get("id", ""))
    url, version = str(resource.get("url", "")), str(resource.get("version", ""))
    same = _found(connection, type, [("url", url), ("version", version)]) if url and version else []
    if same:
        return same[0].id
    there = _found(connection, type, [("_id", id)]) if id else []
    return _longer(id, version) if there else id


def _found(connection: Connection, type: str, pairs: list[tuple[str, str]]) -> list[Row]:
    """What a search finds; nothing for what is not sound enough to be asked for: that is told when it is to be stored."""
    try:
        return list(store_search.find(connection, search.parse(type, pairs), budget=1.0).rows)
    except Invalid:
        return []


def _longer(id: str, version: str) -> str:
    made = f"{id}-{version}"
    if len(made) <= LONGEST_ID:
        return made
    return f"{made[: LONGEST_ID - 9]}-{sha256(made.encode()).hexdigest()[:8]}"


def removal(chart: Interactions, guide: Stored) -> Iterator[Callable[[Tx], Any]]:
    """The transactions that delete what of a guide is here."""
    for start in range(0, len(guide.rows), AT_ONCE):
        entries = [
            {"request": {"method": "DELETE", "url": f"{type}/{id}"}} for type, id in guide.rows[start : start + AT_ONCE]
        ]
        content = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
        yield chart.transaction_unit(policy.SYSTEM, content)
