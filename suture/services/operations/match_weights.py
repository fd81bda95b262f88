"""How likely two Patients are one person: weights of agreement and disagreement, added up (Fellegi and Sunter, 1969).

https://doi.org/10.1080/01621459.1969.10501049
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import suture.services.operations.match_compare as compare
from suture.standards.fhir.index_values import cut

PRIOR = -17.0  # bits: before anything is compared, one in 130,000 is the one
CERTAIN, PROBABLE, POSSIBLE = 10.0, 3.0, -5.0  # bits: odds of 1000 to 1, 8 to 1, 1 to 32
APART = 5.0  # bits by which the best has to stand out to be certain
MOST = 20  # names, identifiers … of one patient that are compared

# What is compared -> how it came out -> bits: log2 of how often that happens to one person over how often to two.
WEIGHTS: dict[str, dict[str, float]] = {
    "identifier": {"exact": 14.0},
    "family": {"exact": 6.5, "near": 4.0, "sound": 2.0, "part": 2.0, "apart": -5.0},
    "given": {"exact": 5.5, "near": 3.5, "sound": 1.5, "part": 1.5, "apart": -5.0},
    "birthDate": {"exact": 12.0, "near": 4.0, "month": 8.0, "year": 5.0, "apart": -7.0},
    "gender": {"exact": 1.0, "apart": -4.0},
    "phone": {"exact": 7.0, "apart": -0.8},
    "email": {"exact": 8.0, "apart": -0.6},
    "postalCode": {"exact": 4.0, "apart": -1.0},
    "line": {"exact": 6.0, "near": 5.0, "apart": -0.8},
}
HOUSEHOLD = frozenset({"family", "phone", "email", "postalCode", "line"})
SHARED = 10.0  # bits that these give together, at most, where the first names differ: siblings, parents, twins
TELLING = ("family", "given", "birthDate", "gender")  # where one of these differs nothing is certain


@dataclass(frozen=True, slots=True)
class Likeness:
    """What comparing two people came to."""

    bits: float
    levels: dict[str, str]

    @property
    def score(self) -> float:
        """The probability that they are one."""
        return round(1 / (1 + 2 ** -max(min(self.bits, 60.0), -60.0)), 4)

    @property
    def grade(self) -> str:
        """A code of FHIR's match-grade, as far as this pair alone says."""
        if self.bits >= CERTAIN and self._agrees:
            return "certain"
        return "probable" if self.bits >= PROBABLE else "possible" if self.bits >= POSSIBLE else "certainly-not"

    @property
    def _agrees(self) -> bool:
        """Name and birthday are there and the same, and nothing that tells people apart differs."""
        same = all(self.levels.get(name) == "exact" for name in ("family", "given", "birthDate"))
        return same and "apart" not in [self.levels.get(name) for name in TELLING]


class Traits:
    """What of a Patient is compared."""

    def __init__(self, patient: dict[str, Any]) -> None:
        self._patient = patient

    def _list(self, name: str) -> list[dict[str, Any]]:
        return [one for one in self._patient.get(name, [])[:MOST] if isinstance(one, dict)]

    @cached_property
    def identifiers(self) -> set[str]:
        return {
            f"{i['system']}|{i['value']}"
            for i in self._list("identifier")
            if i.get("system") and i.get("value") and i.get("use") != "old"
        }

    @cached_property
    def family(self) -> set[str]:
        return {cut(n["family"]) for n in self._list("name") if n.get("family")} - {""}

    @cached_property
    def given(self) -> set[str]:
        """First names; middle names tell little."""
        return {cut(n["given"][0]) for n in self._list("name") if n.get("given") and n["given"][0]} - {""}

    @cached_property
    def day(self) -> str:
        return str(self._patient.get("birthDate", ""))

    @cached_property
    def gender(self) -> str:
        """Only what can be compared."""
        found = str(self._patient.get("gender", ""))
        return found if found in ("female", "male") else ""

    def telecom(self, system: str) -> set[str]:
        """Phone numbers by their last ten digits, mail addresses without case."""
        values = [t["value"] for t in self._list("telecom") if t.get("system") == system and t.get("value")]
        if system == "phone":
            return {"".join(c for c in value if c.isdigit())[-10:] for value in values} - {""}
        return {value.strip().lower() for value in values}

    @cached_property
    def postal(self) -> set[str]:
        return {cut(a["postalCode"])[:5] for a in self._list("address") if a.get("postalCode")}

    @cached_property
    def lines(self) -> set[str]:
        return {cut(a["line"][0]) for a in self._list("address") if a.get("line") and a["line"][0]}

    @property
    def replaced(self) -> bool:
        """Whether another record stands for this one."""
        return any(link.get("type") == "replaced-by" for link in self._list("link"))


def _shared(ours: set[str], theirs: set[str]) -> str:
    return "" if not ours or not theirs else "exact" if ours & theirs else "apart"


def _lines(ours: set[str], theirs: set[str]) -> str:
    level = compare.names(ours, theirs)
    return level if level in ("", "exact", "near") else "apart"


COMPARED: dict[str, Callable[[Traits, Traits], str]] = {
    "identifier": lambda a, b: "exact" if a.identifiers & b.identifiers else "",
    "family": lambda a, b: compare.names(a.family, b.family),
    "given": lambda a, b: compare.names(a.given, b.given),
    "birthDate": lambda a, b: compare.days(a.day, b.day),
    "gender": lambda a, b: "" if not a.gender or not b.gender else "exact" if a.gender == b.gender else "apart",
    "phone": lambda a, b: _shared(a.telecom("phone"), b.telecom("phone")),
    "email": lambda a, b: _shared(a.telecom("email"), b.telecom("email")),
    "postalCode": lambda a, b: _shared(a.postal, b.postal),
    "line": lambda a, b: _lines(a.lines, b.lines),
}


def likeness(ours: Traits, theirs: Traits) -> Likeness:
    """Both compared in everything that both have."""
    levels = {name: level for name, way in COMPARED.items() if (level := way(ours, theirs))}
    if levels.get("family") == levels.get("given") == "apart" and _swapped(ours, theirs):
        levels |= {"family": "near", "given": "near"}
    weighed = {name: WEIGHTS[name].get(level, 0.0) for name, level in levels.items()}
    house = sum(bits for name, bits in weighed.items() if name in HOUSEHOLD)
    own = sum(bits for name, bits in weighed.items() if name not in HOUSEHOLD)
    return Likeness(PRIOR + own + (min(house, SHARED) if levels.get("given") == "apart" else house), levels)


def _swapped(ours: Traits, theirs: Traits) -> bool:
    """Family and first name in each other's place."""
    return bool(ours.family & theirs.given) and bool(ours.given & theirs.family)
