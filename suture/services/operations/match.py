"""$match: which patients here a person may be, the likeliest first (https://hl7.org/fhir/R4/patient-operation-match.html)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import suture.services.interactions.bundle as bundle
import suture.services.interactions.guard as guard
from suture.access import policy, withheld
from suture.errors import Invalid, TooCostly
from suture.services.interactions.answer import Answer
from suture.services.operations.match_blocks import blocks
from suture.services.operations.match_weights import APART, Likeness, Traits, likeness
from suture.services.operations.operation import Asked, Operation, Parameter
from suture.standards.fhir import json, search, validate
from suture.store import search as store_search
from suture.store import whose
from suture.store.connection import Connection
from suture.store.resources import Row

TYPE = "Patient"
GRADE = "http://hl7.org/fhir/StructureDefinition/match-grade"
OF_BLOCK = 200  # patients that one search may bring
MOST = 1000  # that are compared
SHOWN = 20  # unless `count` says otherwise


@dataclass(frozen=True, slots=True)
class Candidate:
    """A patient here and how alike they are."""

    row: Row
    like: Likeness
    replaced: bool


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
    ours = Traits(asked.one("resource"))
    rows, whole = _rows(asked, ours, connection)
    candidates = sorted((_candidate(ours, row) for row in rows), key=lambda c: (-c.like.bits, c.row.rid))
    grades = [(c, _grade(c, candidates, whole)) for c in candidates]
    wanted = ("certain",) if asked.one("onlyCertainMatches", False) else ("certain", "probable", "possible")
    most = min(asked.one("count", SHOWN), asked.chart.settings["fhir.max_page_size"])
    shown = [(c, grade) for c, grade in grades if grade in wanted][:most]
    links = [("self", f"{asked.chart.fhir_url}/{TYPE}/$match")]
    entries = [_entry(asked.chart.fhir_url, c, grade) for c, grade in shown]
    made = bundle.searchset(asked.chart.fhir_url, (), links, len(shown), entries)
    return Answer(made, 200, whose.of_rows(connection, [c.row for c, _ in shown]))


def _rows(asked: Asked, ours: Traits, connection: Connection) -> tuple[list[Row], bool]:
    """Whom any of the searches finds and this caller may see; and whether none of them was cut."""
    chart = asked.chart
    away = withheld.of(connection, asked.caller)
    judged = guard.judge(connection, asked.caller, "search-type", away)
    end = chart.clock.monotonic() + chart.settings["search.budget"]
    found: dict[int, Row] = {}
    whole = True
    policy.require(asked.caller, "search-type", TYPE)
    for pairs in blocks(asked.one("resource"), ours):
        query = search.parse(TYPE, pairs, base_url=chart.fhir_url, expander=chart.expander)
        query = replace(policy.narrow(asked.caller, query, away), count=OF_BLOCK)
        left = end - chart.clock.monotonic()
        if left <= 0:
            raise TooCostly("the match takes too long", where="resource", mend="Send fewer names and identifiers.")
        page = store_search.find(connection, query, budget=left)
        found |= {row.rid: row for row in page.rows if judged(row)}
        whole = whole and page.next is None and len(found) <= MOST
    return list(found.values())[:MOST], whole


def _candidate(ours: Traits, row: Row) -> Candidate:
    theirs = Traits(json.reread(row.body))
    return Candidate(row, likeness(ours, theirs), theirs.replaced)


def _grade(one: Candidate, all: list[Candidate], whole: bool) -> str:
    """Certain only when nobody else comes near, nobody may have been overlooked, and the record still stands."""
    grade = one.like.grade
    if grade != "certain":
        return grade
    second = max((c.like.bits for c in all if c is not one), default=-60.0)
    alone = one is all[0] and one.like.bits - second >= APART
    return "certain" if alone and whole and not one.replaced else "probable"


def _entry(base: str, one: Candidate, grade: str) -> bytes:
    found = {
        "extension": [{"url": GRADE, "valueCode": grade}],
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
