"""$translate: a code by concept maps, forwards or backwards (https://hl7.org/fhir/R4/conceptmap-operation-translate.html)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import suture.services.operations.terms as terms
from suture.errors import Invalid, NotFound
from suture.services.interactions.answer import Answer
from suture.services.interactions.chart import Access
from suture.services.operations.operation import Asked, Operation, Parameter
from suture.services.terminology.shelf import Shelf
from suture.standards.terminology.compose import canonical
from suture.standards.terminology.translation import Match, backwards, found, translate
from suture.store.connection import Connection

TYPE = "ConceptMap"


async def run(asked: Asked) -> Answer:
    """All that the maps say of the code."""
    return await terms.slowly(asked, _translated)


def _translated(asked: Asked, access: Access, connection: Connection) -> Answer:
    shelf = terms.shelf_of(asked, connection)
    given, reverse, target = terms.codings(asked), asked.one("reverse", False), asked.one("targetsystem", "")
    matches: list[Match] = []
    for concept_map in _maps(asked, access, connection, shelf):
        for coding in given:
            if reverse:
                matches += backwards(concept_map, coding, target)
            else:
                matches += translate(concept_map, coding, target, shelf.concept_map)
    return terms.told(_told(list(dict.fromkeys(matches))))


def _maps(asked: Asked, access: Access, connection: Connection, shelf: Shelf) -> Iterable[Mapping[str, Any]]:
    """The map that is meant, or all between the value sets or systems that are named."""
    here, url = terms.given(asked, access, connection, TYPE, "conceptMap"), asked.one("url")
    if here is not None:
        return [here]
    if url is not None:
        version = asked.one("conceptMapVersion", "")
        one = shelf.concept_map(f"{url}|{version}" if version else url)
        if one is None:
            raise NotFound(
                f"the concept map {url[:300]} is not known here", where="url", mend="Store it as a ConceptMap."
            )
        return [one]
    if not (asked.one("target") or asked.one("targetsystem") or asked.one("source")):
        raise Invalid("which concept map is meant?", where="url", mend="Send url, or target, or targetsystem.")
    return [m for m in shelf.concept_maps() if all(_is(m, side, asked.one(side)) for side in ("source", "target"))]


def _is(concept_map: Mapping[str, Any], side: str, wanted: str | None) -> bool:
    """Whether the map stands between the value sets that are meant."""
    there = str(concept_map.get(f"{side}Canonical") or concept_map.get(f"{side}Uri") or "")
    return wanted is None or canonical(there)[0] == canonical(wanted)[0]


def _told(matches: list[Match]) -> Iterator[dict[str, Any]]:
    yield {"name": "result", "valueBoolean": found(matches)}
    if not matches:
        yield {"name": "message", "valueString": "No map that is known here translates this code."}
    yield from (_match(match) for match in matches)


def _match(match: Match) -> dict[str, Any]:
    coding = match.coding
    texts = {"system": coding.system, "version": coding.version, "code": coding.code, "display": coding.display}
    parts: list[dict[str, Any]] = [{"name": "equivalence", "valueCode": match.equivalence}]
    if coding.code:
        parts.append({"name": "concept", "valueCoding": {key: text for key, text in texts.items() if text}})
    if match.source:
        parts.append({"name": "source", "valueUri": match.source})
    return {"name": "match", "part": parts}


OPERATION = Operation(
    "translate",
    "http://hl7.org/fhir/OperationDefinition/ConceptMap-translate",
    "A code in another code system.",
    ("type", "instance"),
    run,
    types=(TYPE,),
    parameters=(
        Parameter("url", "uri", "URL of the concept map"),
        Parameter("conceptMap", TYPE, "the concept map itself"),
        Parameter("conceptMapVersion", "string", "version of the concept map"),
        *terms.CODE,
        Parameter("codeableConcept", "CodeableConcept", "several codings, each is translated"),
        Parameter("source", "uri", "value set that the code is of"),
        Parameter("target", "uri", "value set that is translated into"),
        Parameter("targetsystem", "uri", "only codes of this system"),
        Parameter("reverse", "boolean", "from the map's target to its source"),
    ),
    scope="r or s of ConceptMap",
)
