"""Synthetic families whose records hold every US Core must-support element (6.1.0, 7.0.0, 8.0.0); nobody in them exists.

The same seed, count, anchor and version give the same bytes. Four persons make a family: mother, father, child, elder;
a whole family holds every element. https://hl7.org/fhir/us/core/
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta

from suture.sandbox.people import TODAY, Person, person
from suture.sandbox.synthetic import care, findings, house, papers, persons
from suture.sandbox.synthetic.shapes import Life, Resource

# role -> gender (None: as it comes), youngest and oldest age in days
FAMILY: dict[str, tuple[str | None, int, int]] = {
    "mother": ("female", 24 * 365, 44 * 365),
    "father": ("male", 24 * 365, 60 * 365),
    "child": (None, 30, 30 * 28),
    "elder": (None, 66 * 365, 95 * 365),
}


def family(seed: int, number: int, anchor: date = TODAY) -> dict[str, Person]:
    """The four persons of a family; they share name, house and insurance."""
    r = random.Random(f"{seed}/family/{number}")
    first = person(seed, number * len(FAMILY))
    found = {}
    for place, (role, (gender, young, old)) in enumerate(FAMILY.items()):
        own = _of(gender, seed, number * len(FAMILY) + place)
        found[role] = replace(
            own, birth=anchor - timedelta(days=r.randint(young, old)), family=first.family, line=first.line,
            city=first.city, state=first.state, postal=first.postal, payer=first.payer,
        )  # fmt: skip
    return found


def _of(gender: str | None, seed: int, number: int) -> Person:
    """A person of that gender; the number and what hangs on it stay."""
    own = person(seed, number)
    tries = (person(seed, number + 1_000_000 * again) for again in range(1, 64))
    like = next((one for one in tries if one.gender == gender), own) if gender not in (None, own.gender) else own
    return replace(own, gender=like.gender, given=like.given, middle=like.middle)


def record(life: Life) -> list[Resource]:
    """The whole record of one person."""
    for room in (persons.demographics, care.care, findings.findings, papers.papers, papers.origins):
        room(life)
    return life.made


def world(seed: int, count: int, anchor: date = TODAY, us_core: str = "8.0.0") -> Iterator[Resource]:
    """The house, then the records of `count` persons, one after the other."""
    yield from house.shared(anchor)
    for number in range(count):
        kin = family(seed, number // len(FAMILY), anchor)
        role = list(FAMILY)[number % len(FAMILY)]
        yield from record(Life(kin[role], kin, role, anchor, random.Random(f"{seed}/life/{number}"), us_core))
