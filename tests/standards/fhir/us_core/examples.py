"""The packages of US Core, where they are at hand: their definitions as they were published, and their examples."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from functools import cache, partial
from typing import Any

from suture.standards.fhir import json, profiles, us_core
from suture.standards.fhir.inside import resolved
from suture.standards.fhir.profiles import Around, Profile
from suture.standards.terminology.collected import Collected
from tests import public

Resource = dict[str, Any]
ARCHIVES = {version: f"fhir/us_core_{version.replace('.', '')}.tgz" for version in us_core.VERSIONS}


@cache
def package(version: str) -> tuple[tuple[Resource, ...], tuple[Resource, ...]]:
    """Its conformance resources, and its examples."""
    made, examples = [], []
    with tarfile.open(public.path(ARCHIVES[version])) as archive:
        for member in archive:
            if not member.name.endswith(".json"):
                continue
            found = json.read(archive.extractfile(member).read().removeprefix(b"\xef\xbb\xbf"), max_depth=300)  # type: ignore[union-attr]
            if "/example/" in member.name:
                examples.append(found)
            elif member.name.count("/") == 1 and "resourceType" in found:
                made.append(found)
    return tuple(made), tuple(examples)


def around(resource: Resource) -> Around:
    return Around(us_core.profile, partial(resolved, resource), us_core.member_of)


@cache
def published(version: str) -> tuple[dict[str, Profile], Collected]:
    """The profiles read from the package, and its terminology."""
    made, _ = package(version)
    found = [profiles.read(one) for one in made if one["resourceType"] == "StructureDefinition"]
    return {one.url: one for one in found}, Collected(made)


def claims(version: str) -> Iterator[tuple[Resource, str]]:
    """Each example with each profile of the guide it claims (its canonical without the version)."""
    guide = us_core.guide(version)
    assert guide is not None
    for example in package(version)[1]:
        for url in example.get("meta", {}).get("profile", []):
            if url.partition("|")[0] in guide.urls:
                yield example, url.partition("|")[0]
