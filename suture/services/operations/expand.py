"""$expand: the codes of a value set (https://hl7.org/fhir/R4/valueset-operation-expand.html)."""

from __future__ import annotations

from functools import partial
from typing import Any

import suture.services.operations.terms as terms
from suture.clock import instant, new_id
from suture.errors import Invalid
from suture.services.interactions.answer import Answer
from suture.services.interactions.chart import Access
from suture.services.operations.operation import Asked, Operation, Parameter
from suture.standards.fhir import json
from suture.standards.terminology import expansion
from suture.standards.terminology.compose import Pinned, canonical, members
from suture.standards.terminology.expansion import MOST, Wanted
from suture.store.connection import Connection

TYPE = "ValueSet"
_KEPT = ("id", "url", "version", "name", "title", "status", "experimental", "date", "publisher", "identifier", "immutable")  # fmt: skip


async def run(asked: Asked) -> Answer:
    """The value set with its expansion."""
    return await terms.slowly(asked, partial(_expanded, _wanted(asked)))


def _wanted(asked: Asked) -> Wanted:
    offset, count = asked.one("offset"), asked.one("count")
    for name, number, most in (("offset", offset, 10**9), ("count", count, MOST)):
        if number is not None and not 0 <= number <= most:
            raise Invalid(f"must be 0 to {most}", where=name, mend="Ask for the next page with offset.")
    return Wanted(
        filter=asked.one("filter", ""),
        offset=offset,
        count=count,
        nested=not asked.one("excludeNested", False),
        designations=bool(asked.one("includeDesignations", False) or asked.all("designation")),
        languages=tuple(_languages(asked)),
        active=asked.one("activeOnly", False),
        language=asked.one("displayLanguage", ""),
        definition=asked.one("includeDefinition", False),
    )


def _languages(asked: Asked) -> list[str]:
    """`urn:ietf:bcp:47|de` or `de`."""
    return [text.removeprefix("urn:ietf:bcp:47|") for text in asked.all("designation")]


def _expanded(wanted: Wanted, asked: Asked, access: Access, connection: Connection) -> Answer:
    shelf = terms.shelf_of(asked, connection)
    value_set = terms.value_set(asked, access, connection, shelf)
    pinned = Pinned(shelf, dict(canonical(text) for text in asked.all("system-version")))
    found = expansion.expansion(members(pinned, value_set), wanted)
    chart = asked.chart
    made: dict[str, Any] = {"identifier": f"urn:uuid:{new_id(chart.clock)}", "timestamp": instant(chart.clock.micros())}
    head = {key: value_set[key] for key in _KEPT if key in value_set}
    if wanted.definition and "compose" in value_set:
        head["compose"] = value_set["compose"]
    head.setdefault("status", "active")
    return Answer(json.write({"resourceType": TYPE, **head, "expansion": {**made, **found}}))


OPERATION = Operation(
    "expand",
    "http://hl7.org/fhir/OperationDefinition/ValueSet-expand",
    "The codes of a value set.",
    ("type", "instance"),
    run,
    types=(TYPE,),
    parameters=(
        Parameter("url", "uri", "canonical of the value set, maybe with |version"),
        Parameter("valueSet", TYPE, "the value set itself"),
        Parameter("valueSetVersion", "string", "version of the value set"),
        Parameter("filter", "string", "words that stand in code, display or designation"),
        Parameter("offset", "integer", "how many codes are passed over"),
        Parameter("count", "integer", f"how many codes at most, up to {MOST}"),
        Parameter("includeDesignations", "boolean", "with designations"),
        Parameter("designation", "string", "only designations of these languages", many=True),
        Parameter("includeDefinition", "boolean", "with the value set's compose"),
        Parameter("activeOnly", "boolean", "without inactive codes"),
        Parameter("excludeNested", "boolean", "one flat list"),
        Parameter(
            "system-version", "canonical", "system|version for systems without a version of their own", many=True
        ),
        terms.LANGUAGE,
    ),
    scope="r or s of ValueSet",
)
