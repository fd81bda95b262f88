"""Turns the tests of a `_filter` into conditions of a search, by operator and kind of parameter.

https://hl7.org/fhir/R4/search_filter.html#ops
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Protocol

from suture.errors import InvalidSearch
from suture.ports import Expander
from suture.standards.fhir.definitions import SearchParameter
from suture.standards.fhir.search_filter_text import WHERE, Comparison, Denied, Joined, Part, Tree
from suture.standards.fhir.search_query import (
    AllOf,
    AnyOf,
    Condition,
    Match,
    Missing,
    Moment,
    NoneOf,
    Number,
    Parts,
    Text,
    Value,
)
from suture.standards.fhir.search_tables import component_parameters, vocabulary
from suture.standards.fhir.search_values import checked, escaped, string, token, uri

MOST_CONDITIONS = 200  # that one filter may stand for: a chain without a type means several
PREFIXED = ("eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap")
SYSTEMS = {
    "loinc": "http://loinc.org",
    "snomed": "http://snomed.info/sct",
    "rxnorm": "http://www.nlm.nih.gov/research/umls/rxnorm",
    "ucum": "http://unitsofmeasure.org",
}  # short names that the specification gives
_SHORT = re.compile(rf"(?:^|(?<=[|$]))(?:{'|'.join(SYSTEMS)})(?=\|)")
GROUPS = {  # elements of which the specification gives the parts names: a composite, and what its parts are called
    ("DocumentReference", "relatesTo"): ("relationship", {"code": "relation", "target": "relatesto"}),
    ("Group", "characteristic"): ("characteristic-value", {"code": "characteristic", "value": "value"}),
}
BESIDE = ("_list", "_text", "_content", "_filter")  # parameters of their own, which are joined by `&`

Read = Callable[[str, str], Value]
Build = Callable[[str], tuple[Condition, ...]]


class Links(Protocol):
    """What the reader of the whole search gives: its parameters, readers of their values, ways along references."""

    @property
    def expander(self) -> Expander: ...

    def parameter(self, type: str, name: str) -> SearchParameter: ...

    def reader(self, type: str, parameter: SearchParameter) -> Read: ...

    def chain(self, type: str, name: str, build: Build) -> Condition: ...

    def has(self, type: str, name: str, build: Callable[[str, str], Condition]) -> Condition: ...


@dataclass(slots=True)
class _Reading:
    links: Links
    deepest: int
    made: list[str] = field(default_factory=list)  # parameters that are compared


def condition(type: str, tree: Tree, links: Links, deepest: int) -> Condition:
    """What the filter asks of a resource of the type; a path has at most `deepest` links."""
    return _tree(type, tree, _Reading(links, deepest), 0)


def _tree(type: str, tree: Tree, reading: _Reading, depth: int) -> Condition:
    if isinstance(tree, Joined):
        found = tuple(_tree(type, part, reading, depth) for part in tree.filters)
        return AllOf(found) if tree.word == "and" else AnyOf(found)
    if isinstance(tree, Denied):
        return NoneOf((_tree(type, tree.inner, reading, depth),))
    return _path(type, tree.path, tree, reading, depth)


def _path(type: str, path: tuple[Part, ...], test: Comparison, reading: _Reading, depth: int) -> Condition:
    """Along the names to the values."""
    head, *rest = path
    if depth > reading.deepest:
        raise InvalidSearch(f"more than {reading.deepest} links in a path", where=WHERE)
    if head.name.startswith("_has:"):
        return _has(type, head, tuple(rest), test, reading, depth)
    if not rest:
        return _compared(type, head.name, test, reading)
    if head.inner is not None and (type, head.name) in GROUPS:
        return _grouped(type, head, tuple(rest), test, reading)

    def build(far: str) -> tuple[Condition, ...]:
        inner = () if head.inner is None else (_tree(far, head.inner, reading, depth + 1),)
        return (*inner, _path(far, tuple(rest), test, reading, depth + 1))

    return reading.links.chain(type, head.name, build)


def _has(type: str, head: Part, rest: tuple[Part, ...], test: Comparison, reading: _Reading, depth: int) -> Condition:
    """`_has:Observation:patient:code eq …`; what follows stands at the far end."""

    def build(far: str, name: str) -> Condition:
        return _path(far, (Part(name, head.inner), *rest), test, reading, depth + 1)

    return reading.links.has(type, head.name, build)


def _grouped(type: str, head: Part, rest: tuple[Part, ...], test: Comparison, reading: _Reading) -> Condition:
    """`relatesTo[code eq replaces].target re …`: both parts of one element."""
    composite, names = GROUPS[type, head.name]
    given = {one.path[0].name: one for one in (head.inner, replace(test, path=rest)) if isinstance(one, Comparison)}
    plain = all(len(one.path) == 1 and one.operator in ("eq", "re") for one in given.values())
    if not plain or given.keys() != names.keys():
        first, second = names
        mend = f"Write {head.name}[{first} eq VALUE].{second} eq VALUE."
        raise InvalidSearch(f"{head.name} has other parts", where=f"{WHERE}: {head.name}", mend=mend)
    parameter, by_code = reading.links.parameter(type, composite), {names[name]: one for name, one in given.items()}
    parts = (_part(type, one, by_code[one.code], reading) for one in component_parameters(type, parameter))
    return Match(composite, parameter.type, (Parts(tuple(parts)),))


def _part(type: str, parameter: SearchParameter, test: Comparison, reading: _Reading) -> Value:
    asked = _Asked(parameter, test, reading.links.reader(type, parameter), reading.links.expander)
    return asked.value(asked.read, checked(test.value, asked.where))


# --- one test


@dataclass(frozen=True, slots=True)
class _Asked:
    """A parameter, an operator and the text it is compared with."""

    parameter: SearchParameter
    test: Comparison
    read: Read
    expander: Expander

    @property
    def where(self) -> str:
        return f"{WHERE}: {self.parameter.code}"

    def value(self, read: Read, text: str) -> Value:
        return read(_SHORT.sub(lambda m: SYSTEMS[m[0]], text), self.where)

    def match(self, value: Value, modifier: str = "") -> Match:
        return Match(self.parameter.code, self.parameter.type, (value,), modifier)


def _compared(type: str, name: str, test: Comparison, reading: _Reading) -> Condition:
    if name in BESIDE:
        raise InvalidSearch(f"{name} does not stand in a filter", where=WHERE, mend=f"Write {name}=… beside it.")
    if ":" in name:
        mend = "Operators say what modifiers say: co, sw, ew, ss, sb, in, ni, pr."
        raise InvalidSearch("a parameter has no modifier in a filter", where=WHERE, mend=mend)
    parameter = reading.links.parameter(type, name)
    reading.made.append(name)
    if len(reading.made) > MOST_CONDITIONS:
        mend = "Write the types of references: subject:Patient.name."
        raise InvalidSearch("the filter's paths lead to too many types", where=WHERE, mend=mend)
    known = OPERATORS[parameter.type]
    if test.operator not in known:
        mend = f"There are: {', '.join(known)}."
        raise InvalidSearch(f"no such operator for a {parameter.type}", where=f"{WHERE}: {name}", mend=mend)
    asked = _Asked(parameter, test, reading.links.reader(type, parameter), reading.links.expander)
    checked(test.value, asked.where)
    return known[test.operator](asked)


def _prefixed(asked: _Asked) -> Condition:
    return asked.match(asked.value(asked.read, asked.test.operator + asked.test.value))


def _own_prefix(asked: _Asked) -> Condition:
    """Operators that no prefix says."""
    value = asked.value(asked.read, "eq" + asked.test.value)
    assert isinstance(value, Moment | Number)
    return asked.match(replace(value, prefix=asked.test.operator))


def _present(asked: _Asked) -> Condition:
    if asked.test.value not in ("true", "false"):
        raise InvalidSearch("pr is true or false", where=asked.where)
    code = asked.parameter.code
    if code in ("_id", "_lastUpdated"):
        raise InvalidSearch(f"{code} is always there", where=asked.where)
    return Missing(code, asked.parameter.type, asked.test.value == "false")


def _plain(asked: _Asked) -> Condition:
    return asked.match(asked.value(asked.read, asked.test.value))


def _text(modifier: str) -> Callable[[_Asked], Condition]:
    """A comparison of folded texts; the value has no escapes."""

    def made(asked: _Asked) -> Condition:
        found = string(escaped(asked.test.value), asked.where)
        assert isinstance(found, Text)
        return asked.match(found, modifier)

    return made


def _unequal_token(asked: _Asked) -> Condition:
    if asked.parameter.code == "_id":
        return NoneOf((_plain(asked),))
    return asked.match(asked.value(token, asked.test.value), "ne")


def _of_terms(modifier: str, read: Read) -> Callable[[_Asked], Condition]:
    """Codes of a value set, or above or below one."""

    def made(asked: _Asked) -> Condition:
        if asked.parameter.code == "_id":
            raise InvalidSearch("an id is no code", where=asked.where, mend="Write eq or ne.")
        match = asked.match(asked.value(read, asked.test.value), modifier)
        return replace(match, members=vocabulary(match, asked.expander, asked.where))

    return made


def _literal_uri(text: str, where: str) -> Value:
    return uri(escaped(text), where)


_PREFIXES: dict[str, Callable[[_Asked], Condition]] = dict.fromkeys(PREFIXED, _prefixed)
_PR: dict[str, Callable[[_Asked], Condition]] = {"pr": _present}
OPERATORS: dict[str, dict[str, Callable[[_Asked], Condition]]] = {
    "string": {
        "eq": _text("eq"), "ne": _text("ne"), "co": _text("contains"), "sw": _text(""), "ew": _text("ew"),
        "gt": _text("gt"), "lt": _text("lt"), "ge": _text("ge"), "le": _text("le"), **_PR,
    },
    "date": {**_PREFIXES, "co": _own_prefix, "po": _own_prefix, **_PR},
    "number": {**_PREFIXES, "co": _own_prefix, **_PR},
    "quantity": {**_PREFIXES, **_PR},
    "token": {
        "eq": _plain, "ne": _unequal_token,
        "ss": _of_terms("below", token), "sb": _of_terms("above", token),
        "in": _of_terms("in", _literal_uri), "ni": _of_terms("not-in", _literal_uri), **_PR,
    },
    "reference": {"re": _plain, **_PR},
    "uri": {"eq": _plain, **_PR},
    "composite": {"eq": _plain},
    "special": {"eq": _plain, **_PR},
}  # fmt: skip
