"""The sure yes of a binding: a code of the value set is there, or nobody can tell (https://hl7.org/fhir/R4/terminologies.html)."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import suture.standards.fhir.profiles.values as values
from suture.standards.fhir.profiles.quick_test import Seen, Test
from suture.standards.fhir.profiles.values import MemberOf

LONGEST = 200  # characters of a code that is remembered
MOST = 50_000  # answers


def remembered(member_of: MemberOf) -> MemberOf:
    """The same, with its answers kept: for value sets that don't change meanwhile."""
    known = lru_cache(MOST)(member_of)

    def asked(system: str | None, code: str, url: str) -> bool | None:
        short = len(code) + len(system or "") <= LONGEST
        return known(system, code, url) if short else member_of(system, code, url)

    return asked


def bound(strength: str, url: str, member_of: MemberOf) -> Test:
    """An extensible binding also lets text alone through."""
    lenient = strength == "extensible"

    def test(value: Any, seen: Seen) -> bool:
        if type(value) is str:
            return member_of(None, value, url) is not False
        if type(value) is dict:
            codings = value.get("coding")
            if codings is None and "code" not in value:
                return lenient
            if type(codings) is list and len(codings) == 1 and type(codings[0]) is dict:
                value = codings[0]
                codings = None
            code, system = value.get("code"), value.get("system", "")
            if codings is None and type(code) is str and type(system) is str:
                return member_of(system, code, url) is not False
        return values.member(value, url, member_of) is not False

    return test
