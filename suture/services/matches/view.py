"""Pairs as they are shown: the queue row by row through policy, and two records side by side with what differs.

https://hl7.org/fhir/R4/patient.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import suture.services.interactions.guard as guard
from suture.access import withheld
from suture.access.caller import Caller
from suture.services.operations.match_weights import Likeness, Traits, likeness
from suture.standards.fhir import json
from suture.store import matches, sound
from suture.store.connection import Connection
from suture.store.matches import Pair
from suture.store.resources import Row

FIRST = (1 << 30, 1 << 40)  # before everything
AT_ONCE, MOST_LOOKED_AT = 50, 1000  # pairs of one page that may be passed over, because the caller may not see them
MOST_SHOWN = 20  # values of one kind
SHOWS = ("open", "later", matches.LINKED, matches.APART)
Patient = dict[str, Any]

# what was compared -> what it is called
NAMES = {
    "identifier": "identifier", "family": "family name", "given": "first name", "birthDate": "birth date", "gender": "gender",
    "phone": "telephone", "email": "mail address", "postalCode": "postal code", "line": "street",
}  # fmt: skip
LEVELS = {
    "exact": "the same", "near": "nearly the same", "sound": "sounds alike", "part": "a part of the other",
    "month": "the same month", "year": "the same year", "apart": "different",
}  # fmt: skip


class Shown(NamedTuple):
    """A pair with both records."""

    pair: Pair
    one: Row
    other: Row


class Line(NamedTuple):
    """One kind of value in both records; `how`: same, alike, differs, one when only one of them has it, told when there is nothing to compare."""

    name: str
    one: list[str]
    other: list[str]
    how: str


@dataclass(frozen=True, slots=True)
class Listed:
    """A page of the queue; `after`: where the next one goes on, None on the last."""

    shown: list[Shown]
    after: tuple[int, int] | None


def listed(connection: Connection, caller: Caller, show: str, now: int, before: tuple[int, int], count: int) -> Listed:
    """Pairs whose records this caller may both read, the likeliest first."""
    judged = guard.judge(connection, caller, "read", withheld.of(connection, caller))
    shown: list[Shown] = []
    at, looked = before, 0
    while looked < MOST_LOOKED_AT:
        found = _some(connection, show, now, at)
        for pair in found:
            at, looked = (pair.score, pair.n), looked + 1
            one, other = (sound.read_rid(connection, rid, set()) for rid in (pair.low, pair.high))
            if one is not None and other is not None and _fit(one, judged) and _fit(other, judged):
                shown.append(Shown(pair, one, other))
            if len(shown) == count:
                return Listed(shown, at)
        if len(found) < AT_ONCE:
            return Listed(shown, None)
    return Listed(shown, at)


def _some(connection: Connection, show: str, now: int, at: tuple[int, int]) -> list[Pair]:
    state = matches.OPEN if show == "later" else show
    return matches.find(connection, state, now, at, AT_ONCE, later=show == "later")


def _fit(row: Row, judged: Callable[[Row], bool]) -> bool:
    return not row.deleted and judged(row)


def compared(one: Patient, other: Patient) -> Likeness:
    """As both are today."""
    return likeness(Traits(one), Traits(other))


def reasons(like: Likeness) -> tuple[list[str], list[str]]:
    """What speaks for one person, and what against it, in words."""
    told = [(level, f"{NAMES[name]}: {LEVELS[level]}") for name, level in like.levels.items()]
    return [text for level, text in told if level != "apart"], [text for level, text in told if level == "apart"]


def side_by_side(one: Patient, other: Patient) -> list[Line]:
    """Everything that tells persons apart, in both."""
    lines = (_line(name, list(ways(one)), list(ways(other))) for name, ways in _WAYS.items())
    return [line for line in lines if line.one or line.other]


def _line(name: str, one: list[str], other: list[str]) -> Line:
    ours, theirs = {text.casefold() for text in one}, {text.casefold() for text in other}
    how = "one" if not ours or not theirs else "same" if ours == theirs else "alike" if ours & theirs else "differs"
    how = "told" if name in _TOLD else how
    return Line(name, one[:MOST_SHOWN], other[:MOST_SHOWN], how)


def _names(patient: Patient) -> Iterator[str]:
    for name in patient.get("name", ()):
        given = " ".join(str(part) for part in name.get("given", ()))
        text = ", ".join(part for part in (str(name.get("family", "")), given) if part) or str(name.get("text", ""))
        yield f"{text} ({name['use']})" if name.get("use") not in (None, "official", "usual") else text


def _identifiers(patient: Patient) -> Iterator[str]:
    for one in patient.get("identifier", ()):
        if one.get("value"):
            yield " ".join(str(part) for part in (one["value"], one.get("system", "")) if part)


def _reached(patient: Patient) -> Iterator[str]:
    for one in patient.get("telecom", ()):
        if one.get("value"):
            yield " ".join(str(part) for part in (one.get("system", ""), one["value"]) if part)


def _addresses(patient: Patient) -> Iterator[str]:
    for one in patient.get("address", ()):
        parts = [*one.get("line", ()), one.get("city"), one.get("state"), one.get("postalCode"), one.get("country")]
        yield ", ".join(str(part) for part in parts if part) or str(one.get("text", ""))


def _one(*elements: str) -> Callable[[Patient], Iterator[str]]:
    def found(patient: Patient) -> Iterator[str]:
        return (str(patient[name]) for name in elements if name in patient)

    return found


def _relatives(patient: Patient) -> Iterator[str]:
    for one in patient.get("contact", ()):
        yield from _names({"name": [one["name"]]} if "name" in one else {})


def _active(patient: Patient) -> Iterator[str]:
    if "active" in patient:
        yield "yes" if patient["active"] else "no"


def _links(patient: Patient) -> Iterator[str]:
    for link in patient.get("link", ()):
        yield f"{link.get('type', '')} {link.get('other', {}).get('reference', '')}".strip()


_WAYS: dict[str, Callable[[Patient], Iterator[str]]] = {
    "Name": _names,
    "Birth date": _one("birthDate"),
    "Gender": _one("gender"),
    "Identifiers": _identifiers,
    "Contact": _reached,
    "Address": _addresses,
    "Died": _one("deceasedBoolean", "deceasedDateTime"),
    "Of several born": _one("multipleBirthBoolean", "multipleBirthInteger"),
    "Relatives": _relatives,
    "In use": _active,
    "Links": _links,
}


_TOLD = frozenset({"In use", "Links"})  # what the records say of themselves


def headline(patient: Patient) -> str:
    """The first name that it has."""
    return next(_names(patient), "")


def read(row: Row) -> Patient:
    found: Patient = json.reread(row.body)
    return found
