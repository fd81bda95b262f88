"""References up and down a strict hierarchy, `location:below=Location/1`: https://hl7.org/fhir/R4/search.html#reference"""

from __future__ import annotations

from collections.abc import Iterator

from suture.errors import InvalidSearch
from suture.standards.fhir.definitions import SearchParameter
from suture.standards.fhir.search_query import AnyOf, Branch, Chain, Condition, Has, Kin, Match, Target, Token

# the references that R4 declares to be strict hierarchies, by the parameter that follows them
PARENTS = {"CarePlan": "part-of", "Encounter": "part-of", "Location": "partof", "Organization": "partof"}
DEEPEST = 6  # steps between the two


def kin(parameter: SearchParameter, match: Match, where: str) -> Kin:
    """What refers to the resource or to one below (above) it, as conditions that policy can narrow at every step."""
    types = tuple(t for t in parameter.targets if t in PARENTS)
    if not types:
        mend = f"There are hierarchies of {', '.join(sorted(PARENTS))}."
        raise InvalidSearch(f"what {parameter.code} leads to has no hierarchy", where=where, mend=mend)
    targets = [v for v in match.values if isinstance(v, Target)]
    if any(not v.id or v.type not in ("", *types) for v in targets):
        raise InvalidSearch("a resource of this server is needed", where=where, mend=f"Write {types[0]}/ID.")
    found = [way for v in targets for t in types if v.type in ("", t) for way in _ways(match, t, v.id)]
    return Kin(match, AnyOf(tuple(found)))


def _ways(match: Match, type: str, id: str) -> Iterator[Condition]:
    """The resource itself, then one step away, two …"""
    yield Match(match.parameter, "reference", (Target(type, id),))
    step = _below(type, id) if match.modifier == "below" else _above(type, id)
    for condition in step:
        yield Chain(match.parameter, (Branch(type, (condition,)),))


def _below(type: str, id: str) -> Iterator[Condition]:
    inner: Condition = Match(PARENTS[type], "reference", (Target(type, id),))
    for _ in range(DEEPEST):
        yield inner
        inner = Chain(PARENTS[type], (Branch(type, (inner,)),))


def _above(type: str, id: str) -> Iterator[Condition]:
    inner: Condition = Match("_id", "token", (Token(None, id),))
    for _ in range(DEEPEST):
        inner = Has(type, PARENTS[type], (inner,))
        yield inner
