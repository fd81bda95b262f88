"""$validate: is a resource sound, and does it keep profiles? (https://hl7.org/fhir/R4/resource-operation-validate.html)"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import suture.services.interactions.guard as guard
from suture.access import policy
from suture.access.policy import Reach
from suture.errors import Forbidden, Invalid, InvalidResource, Issue
from suture.services.canonicals import Known
from suture.services.interactions.answer import Answer
from suture.services.operations.operation import Asked, Operation, Parameter
from suture.standards.fhir import closely, json, outcome, profiles, validate
from suture.standards.fhir.inside import resolved
from suture.standards.fhir.profiles import Around
from suture.standards.fhir.profiles.claims import MOST
from suture.standards.fhir.profiles.slices import type_of
from suture.store.connection import Connection
from suture.store.resources import Row

MODES = ("create", "update", "delete", "profile")


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
    with asked.chart.canonicals.at(connection) as known:
        return found + judged(known, resource, asked.all("profile"), asked.chart.clock.now().date().isoformat())


def judged(known: Known, resource: dict[str, Any], named: Sequence[str], today: str) -> list[Issue]:
    """All findings: of R4, of the close look, of the profiles that are named and of those that are claimed.

    What is sound R4 and surely keeps a profile (profiles/quick.py) is held against it no more: nothing would be found.
    """
    found = validate.check(resource)
    if any(issue.severity == "fatal" for issue in found):
        return found
    beside = around(known, resource, today)
    held = _Held(known, beside, quick=not found)
    found += closely.look(resource, closely.Around(known.definition, known.member_of, profiles=tuple(named)))
    for url in dict.fromkeys(named):
        found += held.kept(resource, url, "error")
    for inner, path, url in profiles.claims(resource):
        if inner is not resource or url not in named:
            found += profiles.below(path, held.kept(inner, url, "information"))
        if len(found) > MOST:
            break
    return profiles.few(found)


def around(known: Known, resource: dict[str, Any], today: str) -> Around:
    """Other profiles and value sets as they are known; references inside the resource."""
    return Around(known.sound, partial(resolved, resource), known.member_of, today)


@dataclass(frozen=True, slots=True)
class _Held:
    """Holds the resource, and what is inside it, against profiles. `quick`: R4 found it sound."""

    known: Known
    beside: Around
    quick: bool

    def kept(self, resource: dict[str, Any], url: str, severity: str) -> list[Issue]:
        """What a profile finds; one that is R4's own says nothing that was not said."""
        if type_of(url):
            return []
        try:
            profile = self.known.profile(url)
        except InvalidResource as error:
            return [Issue("error", "invalid", f"the profile {url[:300]} can't be read", "profile", error.mend)]
        if profile is None:
            mend = "Install its guide's package here, then validate again."
            place = f"{resource.get('resourceType')}.meta.profile"
            return [Issue(severity, "not-found", f"the profile {url[:300]} is not here", place, mend)]
        if self.quick and self.known.quick.keeps(resource, profile, self.beside.resolve):
            return []
        return profiles.check(resource, profile, self.beside)


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
