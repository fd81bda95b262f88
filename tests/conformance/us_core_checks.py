"""The checks that the US Core kits make of every profile: searches, reads, validity, must-support elements, references."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from datetime import date, timedelta
from functools import cache

from suture.errors import Issue
from suture.standards.fhir import profiles, validate
from suture.standards.terminology.collected import Collected
from tests.conformance.us_core_guide import PLACE, Group, Parameter, Resource, Search, guide, targets
from tests.conformance.us_core_oracle import tokens, values
from tests.conformance.us_core_walk import Failed, Pairs, Walk, must, references
from tests.sandbox.must_support import lacking

# A blood pressure has its values in its components; a value beside them would contradict them.
NOT_MEANT = {"us-core-blood-pressure Observation.value[x]", "us-core-average-blood-pressure Observation.value[x]"}
DAY = timedelta(days=1)
CODES = "code-invalid"


def late(group: Group) -> bool:
    """Whether its resources are found only by what refers to them."""
    by_patient = any(one.expectation == "SHALL" and "patient" in one.codes for one in group.type.searches)
    return not by_patient and group.type.name != "Patient"


async def walk(kit: Walk) -> None:
    """All checks of all groups; those that others lead to come last."""
    groups = sorted(kit.guide.groups, key=late)
    for group in groups:
        await (_referred if late(group) else _searched)(kit, group)
    for group in groups:
        for step in (
            _searches,
            _variants,
            _includes,
            _provenance,
            _reads,
            _validity,
            _must_support,
            _references,
        ):
            await step(kit, group)


# --- finding


async def _searched(kit: Walk, group: Group) -> None:
    asked = "+".join(code for code, _ in kit.first(group, "")[0])
    with kit.checking(group.name, "first", f"{asked} leads to resources of the profile, for each patient"):
        for patient in kit.patients:
            for pairs in kit.first(group, patient):
                _keep(kit, group, (await kit.search(group.type.name, pairs)).values())
        must(kit.found[group.name], "nothing is found")


def _keep(kit: Walk, group: Group, found: Iterable[Resource]) -> None:
    """Of what a search finds, the resources that claim the profile."""
    for one in found:
        if group.url in one["meta"].get("profile", ()):
            kit.found[group.name][one["id"]] = one


async def _referred(kit: Walk, group: Group) -> None:
    name = group.type.name
    with kit.checking(group.name, "first", "what was found before leads to resources of the profile"):
        if name == "Provenance":
            _keep(kit, group, [one async for one in _origins(kit)])
        for place in sorted(place for all in kit.found.values() for one in all.values() for place in references(one)):
            if place.startswith(name + "/"):
                _keep(kit, group, [await kit.read(place)])
        must(kit.found[group.name], "nothing is found")


async def _origins(kit: Walk) -> AsyncIterator[Resource]:
    for group in kit.guide.groups:
        if not late(group):
            for one in await kit.ask(group.type.name, _with_origins(kit.first(group, kit.patients[0])[0])):
                if one["resourceType"] == "Provenance":
                    yield one


def _with_origins(pairs: Pairs) -> Pairs:
    return (*pairs, ("_revinclude", "Provenance:target"))


# --- searches


async def _searches(kit: Walk, group: Group) -> None:
    for search in group.type.searches:
        with kit.checking(group.name, "search", search.says, search.expectation):
            asked = _asked(kit, group, search.codes)
            must(asked, "no resource of the profile has these elements")
            for pairs, source in asked:
                must(source["id"] in await kit.search(group.type.name, pairs), f"{pairs}: the source is not found")
        await _dates(kit, group, search)
        await _many(kit, group, search)


def _asked(kit: Walk, group: Group, codes: tuple[str, ...]) -> list[tuple[Pairs, Resource]]:
    """For each patient (or for two resources that are nobody's) the values of one that has them all."""
    own = [kit.of_patient(group, one) for one in kit.patients] if "patient" in codes else []
    all = own or [[one] for one in kit.found[group.name].values()]
    tried = (((kit.pairs(group, codes, one), one) for one in some) for some in all)
    made = (next(((pairs, one) for pairs, one in some if pairs is not None), None) for some in tried)
    found = [one for one in made if one is not None]
    return found if "patient" in codes else found[:2]


async def _dates(kit: Walk, group: Group, search: Search) -> None:
    for code in search.codes:
        parameter = group.type.parameters[code]
        if parameter.kind == "date" and parameter.comparators:
            says = f"{search.says}: {code} with {', '.join(parameter.comparators)}"
            with kit.checking(group.name, "comparator", says, search.expectation):
                asked = _asked(kit, group, search.codes)
                must(asked, "no resource of the profile has these elements")
                for prefix in parameter.comparators:
                    pairs = tuple((c, _moved(prefix, v) if c == code else v) for c, v in asked[0][0])
                    must(asked[0][1]["id"] in await kit.search(group.type.name, pairs), f"{pairs}: not found")


def _moved(prefix: str, value: str) -> str:
    """A day before for what is later, a day after for what is earlier."""
    text = value[2:] if value[:2].isalpha() else value
    day = date.fromisoformat(text[:10]) + (-DAY if prefix in {"gt", "ge"} else DAY)
    return prefix + day.isoformat() + text[10:]


async def _many(kit: Walk, group: Group, search: Search) -> None:
    for code in search.codes:
        if group.type.parameters[code].many:
            with kit.checking(group.name, "or", f"{search.says}: several of {code}", search.expectation):
                await _several(kit, group, search, code)


async def _several(kit: Walk, group: Group, search: Search, code: str) -> None:
    """All values of a patient's resources at once find every one of the resources."""
    for patient in kit.patients:
        mine = kit.of_patient(group, patient)
        seen = sorted({value for one in mine for value in [kit.value(group, code, one)] if value})
        pairs = next((p for one in mine for p in [kit.pairs(group, search.codes, one)] if p), None)
        if pairs is not None:
            asked = tuple((c, ",".join(seen) if c == code else v) for c, v in pairs)
            found = await kit.search(group.type.name, asked)
            got = {kit.value(group, code, one) for one in found.values()}
            same = [one["id"] for one in mine if kit.fits(group.type.name, one, asked)]
            must(found.keys() >= set(same) and got, f"{asked}: not all are found")


# --- the same search, asked otherwise


async def _variants(kit: Walk, group: Group) -> None:
    search = next((one for one in group.type.searches if one.expectation == "SHALL"), None)
    if search is None:
        return
    with kit.checking(group.name, "post", f"{search.says} by POST _search finds the same"):
        for pairs, _ in _asked(kit, group, search.codes)[:1] or [_nothing()]:
            got = await kit.search(group.type.name, pairs)
            must(got.keys() == (await kit.search(group.type.name, pairs, "POST")).keys(), f"{pairs}: another answer")
    for code, parameter in group.type.parameters.items():
        used = next((one for one in group.type.searches if code in one.codes), None)
        if used is not None and parameter.kind == "token":
            await _with_system(kit, group, used, code, parameter)
        if used is not None and parameter.kind == "reference" and code in {"patient", "practitioner"}:
            await _forms(kit, group, used, code)


def _nothing() -> tuple[Pairs, Resource]:
    raise Failed("no resource of the profile has these elements")


async def _forms(kit: Walk, group: Group, search: Search, code: str) -> None:
    says = f"{search.says}: {code} as id, as Type/id and as address finds the same"
    with kit.checking(group.name, "reference", says, search.expectation):
        pairs, _ = (_asked(kit, group, search.codes) or [_nothing()])[0]
        place = dict(pairs)[code]
        got = []
        for form in (place.rpartition("/")[2], place, f"{kit.http.base_url}/fhir/{place}".replace("//fhir", "/fhir")):
            asked = tuple((c, form if c == code else v) for c, v in pairs)
            got.append(sorted(await kit.search(group.type.name, asked)))
        must(got[0] and got[0] == got[1] == got[2], f"{[len(one) for one in got]} are found")


async def _with_system(kit: Walk, group: Group, search: Search, code: str, parameter: Parameter) -> None:
    """`system|code`, where the element has a system."""
    for pairs, source in _asked(kit, group, search.codes)[:1]:
        own = [one for v in values(source, parameter.expression) for one in tokens(v)]
        full = next((f"{system}|{value}" for system, value in own if system and value == dict(pairs)[code]), None)
        if full is not None:
            asked = tuple((c, full if c == code else v) for c, v in pairs)
            with kit.checking(group.name, "token", f"{search.says}: {code} as system|code", search.expectation):
                must(source["id"] in await kit.search(group.type.name, asked), f"{asked}: not found")


# --- what comes along


async def _includes(kit: Walk, group: Group) -> None:
    for include, expectation in group.type.includes.items():
        with kit.checking(group.name, "include", f"_include={include}", expectation):
            seen = 0
            for pairs in _ways(kit, group):
                seen += await _included(kit, group, pairs, include)
            must(seen, "nothing comes along")


def _ways(kit: Walk, group: Group) -> list[Pairs]:
    if not late(group):
        return [pairs for one in kit.patients for pairs in kit.first(group, one)]
    search = next(one for one in group.type.searches if one.expectation == "SHALL")
    return [pairs for pairs, _ in _asked(kit, group, search.codes)]


async def _included(kit: Walk, group: Group, pairs: Pairs, include: str) -> int:
    """How many came along: exactly those that the element refers to."""
    got = await kit.ask(group.type.name, (*pairs, ("_include", include)))
    own = [one for one in got if one["resourceType"] == group.type.name]
    beside = {f"{one['resourceType']}/{one['id']}" for one in got if one["resourceType"] != group.type.name}
    _, element, *only = include.split(":")
    wanted = {place for one in own for place in _leads(one, element) if not only or place.startswith(only[0] + "/")}
    must(beside == wanted, f"{pairs} {include}: {sorted(beside ^ wanted)}")
    return len(wanted)


def _leads(resource: Resource, element: str) -> set[str]:
    """The references of the element of that name, of whichever kind."""
    return {place for key, one in resource.items() if key.startswith(element) for place in references(one)}


async def _provenance(kit: Walk, group: Group) -> None:
    if "Provenance:target" not in group.type.revincludes:
        return
    with kit.checking(
        group.name, "revinclude", "_revinclude=Provenance:target", group.type.revincludes["Provenance:target"]
    ):
        seen = 0
        for pairs in _ways(kit, group):
            got = await kit.ask(group.type.name, _with_origins(pairs))
            own = {f"{one['resourceType']}/{one['id']}" for one in got if one["resourceType"] == group.type.name}
            wanted = {id for id, one in kit.stored["Provenance"].items() if references(one["target"]) & own}
            came = {one["id"] for one in got if one["resourceType"] == "Provenance"}
            must(came == wanted, f"{pairs}: {sorted(came ^ wanted)}")
            seen += len(came)
            if seen:
                return
        must(seen, "no Provenance comes along")


# --- single resources


async def _reads(kit: Walk, group: Group) -> None:
    name, asked = group.type.name, group.type.interactions
    with kit.checking(group.name, "read", "read of each resource that was found", asked.get("read", "SHALL")):
        for id, one in kit.found[group.name].items():
            must(await kit.read(f"{name}/{id}") == one, f"{name}/{id}: not what the search showed")
    one = next(iter(kit.found[group.name].values()), {"id": "", "meta": {"versionId": ""}})
    for code, place in (("vread", f"_history/{one['meta']['versionId']}"), ("history-instance", "_history")):
        if asked.get(code) in {"SHALL", "SHOULD"}:
            with kit.checking(group.name, "read", code, asked[code]):
                answer = await kit.http.get(f"/fhir/{name}/{one['id']}/{place}")
                must(answer.status_code == 200, f"{place}: {answer.status_code}")
                got = answer.json()
                must(one in [got, *(row["resource"] for row in got.get("entry", ()))], f"{place}: another resource")


async def _validity(kit: Walk, group: Group) -> None:
    """One look at each resource for two checks: its form, and its codes as far as the package and R4 say what value sets hold."""
    profile, around = kit.guide.profiles[group.url], replace(about(kit), member_of=_members(kit))
    found = {
        id: [*validate.check(one), *profiles.check(one, profile, around)] for id, one in kit.found[group.name].items()
    }
    wrong = [(i.code, f"{id}: {i.expression}: {i.text}") for id, issues in found.items() for i in issues if _broken(i)]
    with kit.checking(group.name, "valid", "every resource that was found is valid R4 and keeps the profile"):
        must(not (others := [text for code, text in wrong if code != CODES]), str(others[:3]))
    with kit.checking(group.name, "codes", "every code that a required binding asks for is of its value set"):
        must(not (codes := [text for code, text in wrong if code == CODES]), str(codes[:3]))


def _broken(issue: Issue) -> bool:
    return issue.severity in {"error", "fatal"}


def _members(kit: Walk) -> Callable[[str | None, str, str], bool | None]:
    library = _library(kit.guide.version)

    def member_of(system: str | None, code: str, url: str) -> bool | None:
        known = library.member_of(system, code, url)
        kit.unchecked |= {url} if known is None else set()
        return known

    return member_of


@cache
def _library(version: str) -> Collected:
    return Collected(guide(version).resources.values())


def about(kit: Walk) -> profiles.Around:
    def resolve(place: str) -> Resource | None:
        type, _, id = place.partition("/")
        return kit.stored.get(type, {}).get(id)

    return profiles.Around(lambda url: kit.guide.profiles.get(url.partition("|")[0]), resolve)


async def _must_support(kit: Walk, group: Group) -> None:
    found = list(kit.found[group.name].values())
    with kit.checking(group.name, "must-support", "every must-support element is there"):
        _, absent = lacking(group.definition, found, kit.guide.resources)
        left = set(absent) - NOT_MEANT
        must(not left, f"nowhere: {sorted(left)}")


async def _references(kit: Walk, group: Group) -> None:
    for path, url in targets(group.definition):
        if url.removeprefix(PLACE) in {"us-core-vital-signs"}:
            continue
        says = f"{path} leads to a {url.rpartition('/')[2]} that is there and valid"
        with kit.checking(group.name, "references", says):
            must(await _leading(kit, group, path, url), "no reference does")


async def _leading(kit: Walk, group: Group, path: str, url: str) -> bool:
    """Whether one of the references can be read and keeps the profile."""
    kind, around = kit.guide.profiles[url], about(kit)
    for one in kit.found[group.name].values():
        for place in sorted(references(_inside(one, path.split(".")[1:]))):
            if re.match(rf"{kind.type}/", place):
                with suppress(Failed):
                    there = await kit.read(place)
                    issues = profiles.check(there, kind, around)
                    if not any(issue.severity in {"error", "fatal"} for issue in issues):
                        return True
    return False


def _inside(value: object, path: list[str]) -> object:
    if not path:
        return value
    if isinstance(value, list):
        return [_inside(one, path) for one in value]
    stem = path[0].removesuffix("[x]")
    all = value.items() if isinstance(value, dict) else ()
    return [_inside(one, path[1:]) for key, one in all if key == stem or (path[0] != stem and key.startswith(stem))]
