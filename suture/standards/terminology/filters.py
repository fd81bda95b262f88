"""The filters of a compose: which codes of a system they choose (https://hl7.org/fhir/R4/valueset-filter-operator.html)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from suture.errors import Inapplicable, TooCostly
from suture.standards.fhir.fhirpath import regex
from suture.standards.terminology import ecl
from suture.standards.terminology.code_system import CodeSystem

SNOMED = "http://snomed.info/sct"
WORK = 1_000_000_000  # steps that a regular expression may take over all codes
_ENDS = re.compile(r"[*+]|,\}")
_SIMPLER = "Repeat less in it, or narrow the codes with another filter first."
Chooses = Callable[[str], bool]
Made = Callable[[CodeSystem, str, str], Chooses]


def chooser(system: CodeSystem, rule: Mapping[str, Any], where: str = "filter") -> Chooses:
    """Whether a code of the system is chosen; raises Inapplicable for a filter that this system can't answer."""
    name, op, value = (str(rule.get(key, "")) for key in ("property", "op", "value"))
    if (system.url, name, op) == (SNOMED, "constraint", "="):
        return ecl.chosen(system, value).__contains__
    made = OPERATORS.get(op)
    if made is None:
        raise Inapplicable("no such filter operator", where=f"{where}.op", mend=f"Use one of: {', '.join(OPERATORS)}.")
    if not system.has_property(name):
        raise Inapplicable(f"{system.url} has no property '{name[:64]}'", where=f"{where}.property")
    if op in _OF_TREE and name not in ("concept", "code"):
        raise Inapplicable(f"{op} asks for the property concept", where=f"{where}.property")
    return made(system, name, value)


def _equals(system: CodeSystem, name: str, value: str) -> Chooses:
    return lambda code: value in system.values(code, name)


def _is_a(system: CodeSystem, name: str, value: str) -> Chooses:
    return system.below(value).__contains__


def _descends(system: CodeSystem, name: str, value: str) -> Chooses:
    below = system.below(value)
    return lambda code: code != value and code in below


def _is_not_a(system: CodeSystem, name: str, value: str) -> Chooses:
    below = system.below(value)
    return lambda code: code not in below


def _generalizes(system: CodeSystem, name: str, value: str) -> Chooses:
    return system.above(value).__contains__


def _in(system: CodeSystem, name: str, value: str) -> Chooses:
    listed = _list(value)
    return lambda code: not listed.isdisjoint(system.values(code, name))


def _not_in(system: CodeSystem, name: str, value: str) -> Chooses:
    listed = _list(value)
    return lambda code: listed.isdisjoint(system.values(code, name))


def _list(value: str) -> frozenset[str]:
    return frozenset(part.strip() for part in value.split(","))


def _matches(system: CodeSystem, name: str, value: str) -> Chooses:
    """The whole value; what all codes together may cost is bounded, too."""
    ends, left = max(1, len(_ENDS.findall(value))), WORK

    def chooses(code: str) -> bool:
        nonlocal left
        texts = system.values(code, name)
        left -= sum((len(text) + 1) ** min(ends, 4) for text in texts)
        if left < 0:
            raise TooCostly("the regular expression is too much for so many codes", where="filter.value", mend=_SIMPLER)
        return any(regex.full(text, value) for text in texts)

    return chooses


def _exists(system: CodeSystem, name: str, value: str) -> Chooses:
    wanted = value != "false"
    return lambda code: bool(system.values(code, name)) is wanted


OPERATORS: dict[str, Made] = {
    "=": _equals,
    "is-a": _is_a,
    "descendent-of": _descends,
    "is-not-a": _is_not_a,
    "regex": _matches,
    "in": _in,
    "not-in": _not_in,
    "generalizes": _generalizes,
    "exists": _exists,
}
_OF_TREE = frozenset({"is-a", "descendent-of", "is-not-a", "generalizes"})
