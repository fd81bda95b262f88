"""$validate: is a resource sound, and does it keep profiles? (https://hl7.org/fhir/R4/resource-operation-validate.html)"""

from __future__ import annotations

from functools import lru_cache, partial
from typing import Any

import suture.services.interactions.guard as guard
from suture.access import policy
from suture.access.policy import Reach
from suture.errors import Forbidden, Invalid, InvalidResource, Issue
from suture.services.interactions.answer import Answer
from suture.services.interactions.chart import Chart
from suture.services.operations.operation import Asked, Operation, Parameter
from suture.services.terminology.shelf import rank
from suture.standards.fhir import closely, json, outcome, profiles, search, us_core, validate, vital_signs
from suture.standards.fhir.inside import resolved
from suture.standards.fhir.profiles import Around, Profile
from suture.standards.fhir.profiles.claims import MOST
from suture.standards.fhir.profiles.slices import type_of
from suture.standards.fhir.profiles.values import MemberOf
from suture.store import search as store_search
from suture.store.connection import Connection
from suture.store.resources import Row

MODES = ("create", "update", "delete", "profile")
KEPT = 500  # profiles that are remembered as they were read


async def run(asked: Asked) -> Answer:
    """200 with an OperationOutcome, whatever is found."""
    mode, resource = asked.one("mode", ""), asked.one("resource")
    if mode and mode not in MODES:
        raise Invalid("no such mode", where="mode", mend=f"One of {', '.join(MODES)}.")
    _require(asked)
    async with asked.frame() as access:
        if resource is None:
            row = _stored(asked)
            access.touched(asked.chart.database.read, row)
            resource = json.reread(row.body)
        issues = await asked.chart.slowly(partial(_issues, asked, mode, resource))
        return Answer(json.write(outcome.outcome(issues)))


def _require(asked: Asked) -> None:
    """Whoever may read or write something of the type may have it checked."""
    ways = ("read", "create", "update")
    if all(policy.reach(asked.caller, way, asked.type) is Reach.NOTHING for way in ways):
        raise Forbidden(
            f"'{asked.caller.name}' has nothing to do with {asked.type}",
            where=asked.type,
            mend="It needs a scope on the type.",
        )


def _stored(asked: Asked) -> Row:
    if not asked.id:
        raise Invalid("nothing to validate", where="resource", mend="POST the resource, or Parameters that hold it.")
    return guard.present(guard.visible(asked.chart.database.read, asked.caller, "read", asked.type, asked.id))


def _issues(asked: Asked, mode: str, resource: dict[str, Any], connection: Connection) -> list[Issue]:
    if mode == "delete":
        return []
    found = _fitting(asked, mode, resource)
    found += validate.check(resource)
    if any(issue.severity == "fatal" for issue in found):
        return found
    named = asked.all("profile")
    beside = around(asked.chart, connection, resource)
    definition = partial(_definition, connection)
    found += closely.look(resource, closely.Around(definition, beside.member_of, profiles=tuple(named)))
    for url in dict.fromkeys(named):
        found += _kept(connection, resource, url, "error", beside)
    for inner, path, url in profiles.claims(resource):
        if inner is not resource or url not in named:
            found += profiles.below(path, _kept(connection, inner, url, "information", beside))
        if len(found) > MOST:
            break
    return profiles.few(found)


def _fitting(asked: Asked, mode: str, resource: dict[str, Any]) -> list[Issue]:
    """Type and id are those of the address."""
    found = []
    if resource.get("resourceType") != asked.type:
        found.append(
            Issue("error", "invalid", f"the resource is no {asked.type}", "resourceType", "Send it to its type.")
        )
    if asked.id and mode == "update" and resource.get("id") != asked.id:
        found.append(
            Issue("error", "invalid", "the id is not the id of the address", f"{asked.type}.id", "Send the same id.")
        )
    return found


def _kept(connection: Connection, resource: dict[str, Any], url: str, severity: str, beside: Around) -> list[Issue]:
    """What a profile finds; one that is R4's own says nothing that was not said."""
    if type_of(url):
        return []
    try:
        profile = known(connection, url)
    except InvalidResource as error:
        return [Issue("error", "invalid", f"the profile {url[:300]} can't be read", "profile", error.mend)]
    if profile is None:
        mend = "Install its guide's package here, then validate again."
        place = f"{resource.get('resourceType')}.meta.profile"
        return [Issue(severity, "not-found", f"the profile {url[:300]} is not here", place, mend)]
    return profiles.check(resource, profile, beside)


def around(chart: Chart, connection: Connection, resource: dict[str, Any]) -> Around:
    """Other profiles and value sets from the store, else from US Core inside; references inside the resource."""

    def other(url: str) -> Profile | None:
        try:
            return known(connection, url)
        except InvalidResource:
            return None

    today = chart.clock.now().date().isoformat()
    return Around(lru_cache(KEPT)(other), partial(resolved, resource), _members(chart, connection), today)


def _members(chart: Chart, connection: Connection) -> MemberOf:
    """Value sets of R4 and of the store, else those of US Core."""

    def member_of(system: str | None, code: str, url: str) -> bool | None:
        told = chart.terminology.member_of(connection, system, code, url)
        return told if told is not None else us_core.member_of(system, code, url)

    return member_of


def known(connection: Connection, url: str) -> Profile | None:
    """The profile with this canonical, as it is stored now, or as it is inside (US Core, vital signs); the newest, or the version named."""
    row = _newest(connection, "StructureDefinition", url)
    if row is None:
        return us_core.profile(url) or vital_signs.profile(url)
    return _read(row.rid, row.version, row.body)


def _definition(connection: Connection, type: str, url: str) -> dict[str, Any] | None:
    """What stands here under a canonical, the same way."""
    row = _newest(connection, type, url)
    return None if row is None else _body(row.rid, row.version, row.body)


def _newest(connection: Connection, type: str, url: str) -> Row | None:
    plain, _, version = url.partition("|")
    pairs = [("url", plain)] + ([("version", version)] if version else [])
    found = store_search.find(connection, search.parse(type, pairs), budget=1.0).rows
    return max(found, key=lambda row: rank(_body(row.rid, row.version, row.body)), default=None)


@lru_cache(KEPT)
def _body(rid: int, version: int, body: bytes) -> dict[str, Any]:
    return json.reread(body)


@lru_cache(KEPT)
def _read(rid: int, version: int, body: bytes) -> Profile:
    return profiles.read(json.reread(body))


OPERATION = Operation(
    "validate",
    "http://hl7.org/fhir/OperationDefinition/Resource-validate",
    "Checks a resource against R4, and against profiles: of US Core, and those that are stored here.",
    ("type", "instance"),
    run,
    parameters=(
        Parameter("resource", "Resource", "POST the resource, or Parameters that hold it."),
        Parameter("mode", "code", "create, update, delete or profile"),
        Parameter("profile", "canonical", "profiles to check, besides those that meta.profile names", many=True),
    ),
    scope="r, c or u of the type; r to check what is stored",
)
