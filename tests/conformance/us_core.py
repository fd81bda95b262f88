"""A served chart of synthetic families for one version of US Core, and the report of a client that walked it."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from datetime import date
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from suture.sandbox.synthetic import world
from suture.standards.fhir import search
from tests import stores
from tests.conformance import us_core_checks, us_core_server, us_core_special
from tests.conformance.us_core_guide import ASKED, Guide, Resource, guide
from tests.conformance.us_core_walk import Result, Walk, must
from tests.server.running import Running, serving

SEED, PERSONS, ANCHOR = 7, 4, date(2025, 6, 2)  # one family, which holds every must-support element
AT_ONCE = 150


def report(version: str) -> list[Result]:
    """Everything that was checked of one version; the server runs once on each kind of database."""
    return _report(version, stores.backend)


def unchecked(version: str) -> frozenset[str]:
    """The value sets of bindings of which nobody here can tell what they hold."""
    report(version)
    return _unchecked[version]


_unchecked: dict[str, frozenset[str]] = {}


@cache
def _report(version: str, backend: str) -> list[Result]:
    asked = guide(version)
    with TemporaryDirectory() as folder:
        return asyncio.run(_walked(asked, Path(folder)))


async def _walked(asked: Guide, folder: Path) -> list[Result]:
    async with serving(folder) as server:
        await _parameters(server, asked)
        kit = Walk(asked, server.http, await _load(server, asked.version))
        await us_core_checks.walk(kit)
        await us_core_server.walk(kit, server.key("system/Patient.rs"))
        await us_core_special.walk(kit)
        _unchecked[asked.version] = frozenset(kit.unchecked)
        return kit.results


async def _parameters(server: Running, asked: Guide) -> None:
    """The few search parameters of US Core that R4 has not are put to work as a site would do it."""
    for type in asked.types.values():
        wanted = {code for one in type.searches if one.expectation in ASKED for code in one.codes}
        for code in sorted(wanted - search.searchable(type.name).keys()):
            await server.put({**type.parameters[code].definition, "status": "active"})


async def _load(server: Running, version: str) -> dict[str, dict[str, Resource]]:
    """Loads the families; answers what the server is to show: the same with the versions it gave."""
    made, stored = list(world(SEED, PERSONS, ANCHOR, version)), defaultdict[str, dict[str, Resource]](dict)
    for start in range(0, len(made), AT_ONCE):
        part = made[start : start + AT_ONCE]
        answer = await server.http.post(
            "/fhir", json={"resourceType": "Bundle", "type": "batch", "entry": [_entry(one) for one in part]}
        )
        must(answer.status_code == 200, answer.text)
        for one, entry in zip(part, answer.json()["entry"], strict=True):
            must(entry["response"]["status"].startswith("201"), str(entry))
            stored[one["resourceType"]][one["id"]] = {**one, "meta": {**one["meta"], **_version(entry["response"])}}
    return stored


def _entry(one: Resource) -> Resource:
    return {"resource": one, "request": {"method": "PUT", "url": f"{one['resourceType']}/{one['id']}"}}


def _version(response: dict[str, Any]) -> Resource:
    return {"versionId": response["etag"].partition('"')[2].rstrip('"'), "lastUpdated": response["lastModified"]}
