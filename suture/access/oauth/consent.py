"""What a person is asked when an app wants in, and what the ticks of the form come to.

The form holds no scopes: its fields are names of offers that are made anew from the sealed request, so nothing can be added.
https://hl7.org/fhir/smart-app-launch/best-practices.html
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from suture.access import compartment
from suture.access.caller import Scope
from suture.access.oauth import kinds
from suture.access.oauth.granted import OFFLINE, resource
from suture.standards.fhir.definitions import RESOURCE_TYPES

REST = "rest"
KEEP = "keep"  # the tick for offline access


@dataclass(frozen=True, slots=True)
class Offer:
    """One tick of the form: `word` is granted when it is set; `parts` stand for it when it is not."""

    id: str
    title: str
    does: str
    word: str
    everyone: bool = False  # records of all whom the person may see, not of one patient
    parts: tuple[Offer, ...] = ()


def offers(grantable: Iterable[str]) -> list[Offer]:
    """The ticks for all words that open something in the chart; a wildcard comes apart into kinds of data."""
    found: list[Offer] = []
    for number, word in enumerate(grantable):
        scope = resource(word)
        if scope is not None:
            found += _wild(f"{number}", scope) if scope.type == "*" else [_one(f"{number}", word, scope)]
    return found


def _wild(id: str, scope: Scope) -> list[Offer]:
    made = [_one(f"{id}.{type}", str(_of(scope, type)), _of(scope, type)) for type in kinds.TYPES]
    rest = "Everything else, also what may be added to the record later"
    return [*made, Offer(f"{id}.{REST}", rest, kinds.does(scope.letters), "", scope.context != "patient")]


def _of(scope: Scope, type: str) -> Scope:
    return Scope(scope.context, type, scope.letters, scope.query)


def _one(id: str, word: str, scope: Scope) -> Offer:
    title = kinds.finer_title(scope.type, scope.query) if scope.query else kinds.title(scope.type)
    finer = () if scope.query else kinds.FINER.get(scope.type, ())
    parts = tuple(
        Offer(f"{id}/{at}", told, "", str(Scope(scope.context, scope.type, scope.letters, f"category={value}")))
        for at, (value, told) in enumerate(finer)
    )
    return Offer(id, title, kinds.does(scope.letters), word, scope.context != "patient", parts)


def chosen(grantable: Iterable[str], ticks: Collection[str]) -> tuple[str, ...]:
    """The words that the ticks leave; what is no offer (openid, launch …) stays, but for offline access."""
    found: list[str] = []
    for number, word in enumerate(grantable):
        scope = resource(word)
        if scope is None:
            found += [word] if word != OFFLINE or KEEP in ticks else []
        elif scope.type == "*":
            found += _left(f"{number}", word, scope, ticks)
        else:
            found += _ticked(_one(f"{number}", word, scope), ticks)
    return tuple(dict.fromkeys(found))


def _ticked(offer: Offer, ticks: Collection[str]) -> list[str]:
    if offer.id in ticks:
        return [offer.word]
    return [part.word for part in offer.parts if part.id in ticks]


def _left(id: str, word: str, scope: Scope, ticks: Collection[str]) -> list[str]:
    """The wildcard itself when everything is ticked; else the types one by one."""
    made = _wild(id, scope)
    if all(offer.id in ticks for offer in made):
        return [word]
    found = [one for offer in made[:-1] for one in _ticked(offer, ticks)]
    if made[-1].id in ticks:
        found += [str(_of(scope, type)) for type in sorted(_types(scope)) if type not in kinds.TYPES]
    return found


def _types(scope: Scope) -> Iterable[str]:
    if scope.context != "patient":
        return RESOURCE_TYPES
    inside = {type for type in RESOURCE_TYPES if compartment.parameters(type)}
    return inside | compartment.SHARED
