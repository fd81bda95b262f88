"""Patch: a change of a resource that is there, as JSON Patch, XML Patch or FHIRPath Patch (https://hl7.org/fhir/R4/http.html#patch).

It is read, changed, checked and written inside the transaction. Whoever patches must be allowed to read, too: a test or
a criterion tells what is there.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import suture.services.interactions.binary as binary
import suture.services.interactions.guard as guard
import suture.services.interactions.write as write
from suture.access import policy
from suture.access.caller import Caller
from suture.errors import Invalid, NotFound
from suture.services.interactions.chart import Chart
from suture.services.interactions.find import Criteria, one
from suture.services.interactions.incoming import prepared, require_id, require_type
from suture.services.interactions.rules import Conditions
from suture.services.interactions.write import NO_CONDITIONS, Outcome, Pairs
from suture.standards.fhir import json, patch_json, patch_path, patch_xml
from suture.store import resources, whose
from suture.store.connection import Tx
from suture.store.index import Batch

JSON_PATCH = "application/json-patch+json"
XML_PATCH = "application/xml-patch+xml"
Change = Callable[[dict[str, Any]], dict[str, Any]]  # what is stored -> what shall be stored


def of_json(raw: bytes) -> Change:
    """The change a JSON Patch document asks for."""
    wrapped = json.read(b'{"patch":' + raw + b"}")
    if len(wrapped) != 1:
        raise Invalid("a JSON Patch is an array of operations", where="patch", mend='Send [{"op": …, "path": …}].')
    return partial(_applied, patch_json.apply, content=wrapped["patch"])


def of_xml(raw: bytes) -> Change:
    """The change an XML Patch document asks for."""
    return partial(_applied, patch_xml.apply, content=patch_xml.operations(raw))


def of_parameters(parameters: dict[str, Any]) -> Change:
    """The change a FHIRPath Patch asks for."""
    patch_path.steps(parameters)  # what is no patch is refused before anything is looked up
    return partial(_applied, patch_path.apply, content=parameters)


def of_entry(resource: dict[str, Any]) -> Change:
    """The change of a bundle's entry: Parameters, or a Binary that holds a JSON Patch or an XML Patch."""
    if resource.get("resourceType") != "Binary":
        return of_parameters(resource)
    read = {JSON_PATCH: of_json, XML_PATCH: of_xml}.get(str(resource.get("contentType")))
    if read is None:
        raise Invalid("not a patch", where="resource.contentType", mend=f"Write {JSON_PATCH} or {XML_PATCH}.")
    return read(binary.carried(resource))


def _applied(
    apply: Callable[[dict[str, Any], Any], dict[str, Any]], before: dict[str, Any], content: Any
) -> dict[str, Any]:
    after = apply(before, content)
    for name in ("resourceType", "id"):
        if after.get(name) != before.get(name):
            raise Invalid("a patch keeps type and id", where=name, mend="Leave it as it is.")
    return after


async def patch(
    chart: Chart,
    caller: Caller,
    type: str,
    id: str,
    change: Change,
    conditions: Conditions = NO_CONDITIONS,
    once: write.Repeatable | None = None,
) -> Outcome:
    """200 with the changed resource; raises NotFound, Gone, and what the change raises."""
    require_type(type)
    async with chart.access(caller, "patch", type, id) as access:
        _require(caller, type)
        require_id(id)
        version, wanted = conditions.version, _admitted(chart, caller, type, change)
        return await write.committed(chart, access, lambda tx: patching(tx, caller, type, id, wanted, version), once)


async def patch_where(
    chart: Chart,
    caller: Caller,
    type: str,
    pairs: Pairs,
    change: Change,
    conditions: Conditions = NO_CONDITIONS,
    once: write.Repeatable | None = None,
) -> Outcome:
    """Patches the one that the search finds; raises NotFound when it finds none, PreconditionFailed for several."""
    require_type(type)
    async with chart.access(caller, "patch", type) as access:
        _require(caller, type)
        criteria = Criteria(chart, caller, type, pairs, chart.database.read)
        version, wanted = conditions.version, _admitted(chart, caller, type, change)
        return await write.committed(
            chart, access, lambda tx: _patching_where(tx, caller, criteria, wanted, version), once
        )


def _admitted(chart: Chart, caller: Caller, type: str, change: Change) -> Change:
    """The change, and then what the type's warden makes of the result."""
    warden = chart.wardens.get(type)
    return change if warden is None else lambda before: warden.admit(caller, change(before))


def _require(caller: Caller, type: str) -> None:
    policy.require(caller, "patch", type)
    policy.require(caller, "read", type)


def _patching_where(tx: Tx, caller: Caller, criteria: Criteria, change: Change, version: int | None) -> Outcome:
    found = one(tx, criteria)
    if found is None:
        raise NotFound("the condition finds nothing to patch", where=criteria.type, mend="Create it first.")
    return patching(tx, caller, criteria.type, found.id, change, version)


def patching(
    tx: Tx, caller: Caller, type: str, id: str, change: Change, version: int | None = None, batch: Batch | None = None
) -> Outcome:
    """The part of a patch that runs inside the transaction: judged before and after, as an update is."""
    guard.present(guard.visible(tx, caller, "read", type, id))
    row = guard.present(guard.visible(tx, caller, "patch", type, id))
    after = change(json.reread(row.body))
    body = row.body if json.same(after, json.reread(row.body)) else json.write(after)
    incoming = prepared(after, body, tx.shared.base)
    write.require_own(caller, "update", incoming, id)
    before = whose.of_id(tx, type, id)
    written = resources.put(
        tx, type, id, incoming.body, incoming.rows, method="PATCH", if_version=version, batch=batch
    )  # fmt: skip
    return Outcome(200, written, before)
