"""A vital sign keeps R4's own profile of it, whether it says so or not: https://hl7.org/fhir/R4/observation-vitalsigns.html"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from suture.errors import Issue
from suture.standards.fhir import vital_signs
from suture.standards.fhir.closely.node import Node
from suture.standards.fhir.closely.rule import Rule
from suture.standards.fhir.inside import resolved
from suture.standards.fhir.profiles import below
from suture.standards.fhir.profiles.check import Around, check


def observation(node: Node) -> Iterator[Issue]:
    """The breaches of the profile that its code asks for; what is only a warning there is told to whom names the profile."""
    url = vital_signs.meant(node.value)
    profile = vital_signs.profile(url) if url and not _asked(node, url) else None
    resolve = partial(resolved, node.whole.resource)
    if profile is None or vital_signs.QUICK.keeps(node.value, profile, resolve):
        return
    around = Around(vital_signs.profile, resolve, vital_signs.member_of)
    found = (one for one in check(node.value, profile, around) if one.severity == "error")
    yield from below(node.path, found)


def _asked(node: Node, url: str) -> bool:
    """Whether it is held against the same profile anyway, since somebody names it."""
    return node.up is None and url in node.around.profiles


RULES = (Rule("Observation", observation),)
