"""A client that walks a served chart as the public US Core kits do, and notes each check with what came of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.conformance.us_core_guide import Group, Guide, Parameter, Resource, Type
from tests.conformance.us_core_oracle import matches, strings, tokens, values

Pairs = tuple[tuple[str, str], ...]
PAGES = 20  # so many pages a client follows
BESIDE = {"MedicationRequest": {"Medication"}, "MedicationDispense": {"Medication"}}
# Parameters that the kits ask for with every value there is.
ALL_OF = {
    "CareTeam": ("status", "proposed,active,suspended,inactive,entered-in-error"),
    "MedicationRequest": (
        "intent",
        "proposal,plan,order,original-order,reflex-order,filler-order,instance-order,option",
    ),
}


class Failed(Exception):
    """What a check found wrong."""


def must(holds: object, text: str) -> None:
    if not holds:
        raise Failed(text)


@dataclass(frozen=True, slots=True)
class Result:
    """One check of one group; `why` is empty when it held."""

    group: str
    kind: str
    expectation: str
    says: str
    why: str


@dataclass(slots=True)
class Walk:
    """The chart is in `stored` (type -> id -> resource); what the client found of each group is in `found`."""

    guide: Guide
    http: httpx.AsyncClient
    stored: dict[str, dict[str, Resource]]
    results: list[Result] = field(default_factory=list)
    found: dict[str, dict[str, Resource]] = field(default_factory=lambda: defaultdict(dict))
    answers: dict[tuple[str, str, Pairs], list[Resource]] = field(default_factory=dict)
    read_before: dict[str, Resource] = field(default_factory=dict)
    unchecked: set[str] = field(default_factory=set)  # value sets of which is not known what they hold

    @property
    def patients(self) -> list[str]:
        return list(self.stored["Patient"])

    @contextmanager
    def checking(self, group: str, kind: str, says: str, expectation: str = "SHALL") -> Iterator[None]:
        """Notes a check; what it raises of its own is why it failed."""
        why = ""
        try:
            yield
        except Failed as failed:
            why = str(failed)
        self.results.append(Result(group, kind, expectation, says, why))

    # --- asking

    async def ask(self, type: str, pairs: Pairs, method: str = "GET") -> list[Resource]:
        """All resources of a search, page by page; each page is looked at as the kits do."""
        known = self.answers.get((method, type, pairs))
        if known is None:
            known = self.answers[method, type, pairs] = [r async for r in self._pages(type, pairs, method)]
        return known

    async def _pages(self, type: str, pairs: Pairs, method: str) -> Any:
        asked = f"{method} {type}?{'&'.join(map('='.join, pairs))}"
        answer = await self._first(type, pairs, method)
        for _ in range(PAGES):
            bundle = _bundle(answer, asked)
            for entry in bundle.get("entry", ()):
                must(entry["search"]["mode"] in {"match", "include"}, f"{asked}: a mode that is none")
                yield entry["resource"]
            following = next((one["url"] for one in bundle.get("link", ()) if one["relation"] == "next"), None)
            if following is None:
                return
            answer = await self.http.get(following)
        raise Failed(f"{asked}: more than {PAGES} pages")

    async def _first(self, type: str, pairs: Pairs, method: str) -> httpx.Response:
        if method == "GET":
            return await self.http.get(f"/fhir/{type}", params=list(pairs))
        form: dict[str, Any] = {}
        for name, value in pairs:
            form.setdefault(name, []).append(value)
        return await self.http.post(f"/fhir/{type}/_search", data=form)

    async def search(self, type: str, pairs: Pairs, method: str = "GET") -> dict[str, Resource]:
        """The resources of a search, by id: exactly those of the chart that match by the tests' own rules."""
        found = await self.ask(type, pairs, method)
        asked = f"{type}?{'&'.join(map('='.join, pairs))}"
        kinds = {one["resourceType"] for one in found} - {type, "OperationOutcome"} - BESIDE.get(type, set())
        must(not kinds, f"{asked}: {sorted(kinds)} are in the answer")
        own = {one["id"]: one for one in found if one["resourceType"] == type}
        wanted = {id for id, one in self.stored[type].items() if self.fits(type, one, pairs)}
        must(own.keys() <= wanted, f"{asked}: {sorted(own.keys() - wanted)} do not match")
        must(own.keys() >= wanted, f"{asked}: {sorted(wanted - own.keys())} are not found")
        return own

    def fits(self, type: str, resource: Resource, pairs: Pairs) -> bool:
        parameters = self.guide.types[type].parameters
        return all(
            matches(p.kind, values(resource, p.expression), value) for c, value in pairs for p in [parameters[c]]
        )

    async def read(self, place: str) -> Resource:
        """A read, checked as the kits do."""
        if place not in self.read_before:
            answer = await self.http.get(f"/fhir/{place}")
            must(answer.status_code == 200, f"GET {place}: {answer.status_code}")
            one = answer.json()
            type, _, id = place.partition("/")
            must((one["resourceType"], one["id"]) == (type, id), f"GET {place}: another resource")
            self.read_before[place] = one
        return self.read_before[place]

    # --- which values

    def first(self, group: Group, patient: str) -> list[Pairs]:
        """The searches that lead to a group's resources."""
        name = group.type.name
        if name == "Patient":
            return [(("_id", patient),)]
        if name in ALL_OF:
            return [(("patient", patient), ALL_OF[name])]
        return [(("patient", patient), pair) for pair in group.fixed] or [(("patient", patient),)]

    def pairs(self, group: Group, codes: Iterable[str], resource: Resource) -> Pairs | None:
        """The parameters with the values of a resource; None when it has not all of them."""
        made = [(code, self.value(group, code, resource)) for code in codes]
        whole = tuple((code, value) for code, value in made if value is not None)
        return whole if len(whole) == len(made) else None

    def value(self, group: Group, code: str, resource: Resource) -> str | None:
        return self.value_of(group.type, code, resource)

    def value_of(self, type: Type, code: str, resource: Resource) -> str | None:
        parameter = type.parameters[code]
        texts = (written(parameter, one) for one in values(resource, parameter.expression))
        return next((text for text in texts if text), None)

    def of_patient(self, group: Group, patient: str) -> list[Resource]:
        """What was found of a group for one patient."""
        mine = f"Patient/{patient}"
        found = self.found[group.name].values()
        return [one for one in found if f"{one['resourceType']}/{one['id']}" == mine or mine in references(one)]


def _bundle(answer: httpx.Response, asked: str) -> Resource:
    must(answer.status_code == 200, f"{asked}: {answer.status_code} {answer.text[:300]}")
    must(answer.headers["content-type"].startswith("application/fhir+json"), f"{asked}: no JSON")
    bundle: Resource = answer.json()
    must((bundle["resourceType"], bundle["type"]) == ("Bundle", "searchset"), f"{asked}: no searchset")
    return bundle


def written(parameter: Parameter, value: Any) -> str | None:
    """A value as it is asked for."""
    if parameter.kind == "token":
        return next((code for _, code in tokens(value) if code), None)
    if parameter.kind == "string":
        return next((text.partition(",")[0] for text in strings(value)), None)
    if parameter.kind == "reference":
        return str(value["reference"] if isinstance(value, dict) else value)
    if isinstance(value, dict):
        return f"ge{value['start']}" if "start" in value else None
    return str(value)


def references(value: Any) -> set[str]:
    """All references of a resource."""
    found: set[str] = set()
    at = [value]
    while at:
        one = at.pop()
        if isinstance(one, dict):
            found |= {one["reference"]} if isinstance(one.get("reference"), str) else set()
            at += one.values()
        elif isinstance(one, list):
            at += one
    return found
