"""$match: which patients here a person may be, the likeliest first (https://hl7.org/fhir/R4/patient-operation-match.html)."""

from __future__ import annotations

from functools import partial

import suture.services.interactions.bundle as bundle
from suture.errors import Invalid
from suture.services.interactions.answer import Answer
from suture.services.operations.match_find import TYPE, Candidate, candidates, grade
from suture.services.operations.operation import Asked, Operation, Parameter
from suture.standards.fhir import json, validate
from suture.store import whose
from suture.store.connection import Connection

GRADE = "http://hl7.org/fhir/StructureDefinition/match-grade"
SHOWN = 20  # unless `count` says otherwise


async def run(asked: Asked) -> Answer:
    """A searchset; empty when nobody here may be the person."""
    person = asked.one("resource")
    if person.get("resourceType") != TYPE:
        raise Invalid("not a Patient", where="resource", mend="Send what is known of the person as a Patient.")
    validate.require(person)
    async with asked.frame() as access:
        answer = await asked.chart.slowly(partial(_found, asked))
        access.concerns(answer.patients)
        return answer


def _found(asked: Asked, connection: Connection) -> Answer:
    found, whole = candidates(asked.chart, asked.caller, asked.one("resource"), connection)
    grades = [(c, grade(c, found, whole)) for c in found]
    wanted = ("certain",) if asked.one("onlyCertainMatches", False) else ("certain", "probable", "possible")
    most = min(asked.one("count", SHOWN), asked.chart.settings["fhir.max_page_size"])
    shown = [(c, code) for c, code in grades if code in wanted][:most]
    links = [("self", f"{asked.chart.fhir_url}/{TYPE}/$match")]
    entries = [_entry(asked.chart.fhir_url, c, code) for c, code in shown]
    made = bundle.searchset(asked.chart.fhir_url, (), links, len(shown), entries)
    return Answer(made, 200, whose.of_rows(connection, [c.row for c, _ in shown]))


def _entry(base: str, one: Candidate, code: str) -> bytes:
    found = {
        "extension": [{"url": GRADE, "valueCode": code}],
        "mode": "match",
        "score": one.like.score,
    }
    url = json.write(f"{base}/{TYPE}/{one.row.id}")
    return b'{"fullUrl":%s,"resource":%s,"search":%s}' % (url, one.row.body, json.write(found))


OPERATION = Operation(
    "match",
    "http://hl7.org/fhir/OperationDefinition/Patient-match",
    "Which patients a person may be, the likeliest first.",
    ("type",),
    run,
    types=(TYPE,),
    parameters=(
        Parameter("resource", "Resource", "Send what is known of the person as a Patient.", min=1),
        Parameter("onlyCertainMatches", "boolean", "only one that nobody else comes near"),
        Parameter("count", "positiveInt", f"at most so many; {SHOWN} unless told"),
    ),
    scope="s of Patient",
)
