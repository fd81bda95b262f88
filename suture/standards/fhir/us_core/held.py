"""Holds resources against US Core with what is inside alone: its profiles, its value sets and R4's (https://hl7.org/fhir/us/core/)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import suture.standards.fhir.us_core.tables as tables
from suture.errors import Issue
from suture.standards.fhir.inside import resolved
from suture.standards.fhir.profiles import below, check
from suture.standards.fhir.profiles.check import Around
from suture.standards.fhir.profiles.claims import Claim
from suture.standards.fhir.profiles.quick import Quick
from suture.standards.fhir.profiles.quick_binding import remembered
from suture.standards.fhir.us_core.choice import Named, asked
from suture.standards.terminology.collected import Collected

_R4 = Collected(())


def held(named: Named, content: dict[str, Any]) -> list[Issue]:
    """What is found about content; of a Bundle about the resources in it that the profile, or US Core, is for."""
    resolve = partial(resolved, content)
    quickly = resolve if "contained" in content or "entry" in content else None
    found: list[Issue] = []
    for inner, path, url in _meant(named, content):
        profile = tables.profile(url)
        if profile is not None and not QUICK.keeps(inner, profile, quickly):
            found += below(path, check(inner, profile, Around(tables.profile, resolve, member_of)))
    return found


def _meant(named: Named, content: dict[str, Any]) -> Iterator[Claim]:
    profile = tables.profile(named.url) if named.url else None
    if profile is None:
        yield from asked([named], content)
        return
    yield from (Claim(one, path, named.url) for one, path in of_type(content, profile.type))


def of_type(content: dict[str, Any], type: str) -> Iterator[tuple[dict[str, Any], str]]:
    """The resources of this type in content, with their places: itself, or the entries of a Bundle."""
    own = str(content.get("resourceType", ""))
    if own == type or own != "Bundle":
        yield content, own
        return
    entries = content.get("entry")
    for number, entry in enumerate(entries if isinstance(entries, list) else ()):
        inner = entry.get("resource") if isinstance(entry, dict) else None
        if isinstance(inner, dict) and inner.get("resourceType") == type:
            yield inner, f"Bundle.entry[{number}].resource"


def _member_of(system: str | None, code: str, url: str) -> bool | None:
    """Whether a value set of US Core or R4 holds a code; None when nobody here can tell."""
    told = tables.member_of(system, code, url)
    return told if told is not None else _R4.member_of(system, code, url)


member_of = remembered(_member_of)  # what is inside never changes
QUICK = Quick(tables.profile, member_of)
