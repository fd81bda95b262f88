"""What a list was asked for: filters in the URL, but never whose they are: a patient's identifier comes in a body and goes on sealed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from suture.access.policy import require_permission
from suture.errors import Invalid, InvalidSearch
from suture.server.route import LARGEST_FORM, Request, form
from suture.services.interactions.cursor import PARAMETER, Place
from suture.standards.fhir import json

CURSOR = PARAMETER
PRIVATE = "patient"
FIRST = 1 << 62  # before everything: the newest page
LONGEST = 200


class NoReason(Invalid):
    """Nobody said why."""

    code = "no-reason"


@dataclass(frozen=True, slots=True)
class Asked:
    """Filters with their values, and the number the last page ended at."""

    pairs: tuple[tuple[str, str], ...] = ()
    before: int = FIRST

    def __getitem__(self, name: str) -> str:
        return next((value for key, value in self.pairs if key == name), "")

    @property
    def names(self) -> str:
        """For the audit trail: which filters, without their values."""
        return "&".join(name for name, _ in self.pairs)


def of_url(request: Request, target: str, filters: Iterable[str]) -> Asked:
    """Reads the URL's filters, or its cursor; raises InvalidSearch for what is not known here."""
    pairs = [pair for pair in request.pairs() if pair[1]]
    named = dict(pairs)
    if CURSOR in named:
        place = request.site.interactions.cursors.open(
            request.caller, target, named[CURSOR], request.site.clock.micros()
        )
        return Asked(tuple(place.pairs), int(place.position[0]))
    if PRIVATE in named:
        raise InvalidSearch(
            "a patient's identifier may not stand in an address",
            where=PRIVATE,
            mend="POST it: addresses are kept in histories and logs.",
        )
    return Asked(checked(pairs, filters))


def checked(pairs: Sequence[tuple[str, str]], filters: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """The filters that hold something; raises InvalidSearch for an unknown or very long one."""
    known = set(filters)
    for name, value in pairs:
        if name not in known:
            raise InvalidSearch("no filter of this name", where=name[:40], mend=f"Filters: {', '.join(sorted(known))}.")
        if len(value) > LONGEST:
            raise InvalidSearch(f"longer than {LONGEST} characters", where=name, mend="Give the exact value.")
    return tuple((name, value.strip()) for name, value in pairs if value.strip())


def require_may_name(request: Request, pairs: Sequence[tuple[str, str]]) -> None:
    """Raises Forbidden when a patient's identifier is asked by somebody who may not see any."""
    if PRIVATE in dict(pairs):
        require_permission(request.caller, "phi.reveal")


def sealed(request: Request, target: str, pairs: Sequence[tuple[str, str]], before: int = FIRST) -> str:
    """A cursor that only this caller can use, for a while."""
    place = Place(list(pairs), [before])
    return request.site.interactions.cursors.seal(request.caller, target, place, request.site.clock.micros())


async def fields(request: Request, names: Iterable[str]) -> dict[str, str]:
    """The fields of a body: a form, or a JSON object of texts; raises Invalid for an unknown one."""
    body = await request.body(LARGEST_FORM)
    given: dict[str, Any] = {}
    if request.header(b"content-type").partition(";")[0].strip() == "application/json":
        given = json.read(body) if body else {}
    else:
        given = dict(form(body))
    known = set(names)
    for name, value in given.items():
        if name not in known or not isinstance(value, str):
            raise Invalid("no text field of this name", where=name[:40], mend=f"Fields: {', '.join(sorted(known))}.")
    return {name: value.strip() for name, value in given.items()}


def reason(given: dict[str, str]) -> str:
    """Why somebody does this; raises Invalid without one."""
    text = " ".join(given.get("reason", "").split())
    if not 3 <= len(text) <= LONGEST:
        raise NoReason(
            "a reason is needed", where="reason", mend=f"Say in 3 to {LONGEST} characters why; it is kept in the audit."
        )
    return text


def choice(given: dict[str, str], name: str, choices: Sequence[str]) -> str:
    """One of a few words, the first of them when nothing is said."""
    value = given.get(name) or choices[0]
    if value not in choices:
        raise Invalid("not one of the choices", where=name, mend=f"One of: {', '.join(choices)}.")
    return value
