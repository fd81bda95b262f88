"""$docref of US Core: a patient's documents, by type and date (https://hl7.org/fhir/us/core/OperationDefinition-docref.html)."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import suture.services.interactions.bundle as bundle
import suture.services.interactions.guard as guard
from suture.access import policy, withheld
from suture.errors import Invalid
from suture.services.interactions.answer import Answer
from suture.services.interactions.notice import unread
from suture.services.operations.operation import Asked, Operation, Parameter
from suture.services.operations.values import SEARCH
from suture.standards.fhir import search
from suture.store import search as store_search
from suture.store import sound, whose
from suture.store.connection import Connection

TYPE = "DocumentReference"
CCD = "http://loinc.org|34133-9"  # summarization of episode note: the Continuity of Care Document
MOST = 1000


async def run(asked: Asked) -> Answer:
    """References to the documents that are there; none is made for the call."""
    async with asked.frame() as access:
        answer = await asked.chart.slowly(partial(_found, asked))
        access.concerns(answer.patients)
        return answer


def _found(asked: Asked, connection: Connection) -> Answer:
    away = withheld.of(connection, asked.caller)
    query = search.parse(TYPE, _pairs(asked), base_url=asked.chart.fhir_url)
    query = replace(policy.narrow(asked.caller, query, away), count=1 if _newest_only(asked) else MOST)
    judged = guard.judge(connection, asked.caller, "search-type", away)
    page = store_search.find(connection, query, budget=asked.chart.settings["search.budget"], read=sound.read_all)
    rows, hidden = guard.seen(page.rows, judged)
    entries = [(row, row.body, "match") for row in rows]
    links = [("self", f"{asked.chart.fhir_url}/{TYPE}/$docref")]
    return Answer(
        bundle.searchset(asked.chart.fhir_url, entries, links, len(rows), unread(len(hidden))),
        200,
        whose.of_rows(connection, rows),
    )


def _newest_only(asked: Asked) -> bool:
    """Without dates and types the newest CCD is meant."""
    return not any(asked.values.get(name) for name in ("start", "end", "type"))


def _pairs(asked: Asked) -> list[tuple[str, str]]:
    pairs = [("patient", _reference(asked.one("patient"))), ("_sort", "-date")]
    pairs += [("date", f"ge{value}") for value in asked.all("start")]
    pairs += [("date", f"le{value}") for value in asked.all("end")]
    types = [_token(value) for value in asked.all("type")]
    pairs += [("type", ",".join(types))] if types else [("type", CCD)] if _newest_only(asked) else []
    return pairs + [("_profile", str(value)) for value in asked.all("profile")]


def _reference(value: Any) -> str:
    text = value.get("reference", "") if isinstance(value, dict) else value
    if not isinstance(text, str) or not text:
        raise Invalid("which patient is meant?", where="patient", mend="Write patient=ID.")
    return text


def _token(value: Any) -> str:
    """A token of a URL, a Coding or a CodeableConcept."""
    if isinstance(value, str):
        return value
    codings = value.get("coding", [value]) if isinstance(value, dict) else []
    found = [f"{c.get('system', '')}|{c['code']}" for c in codings if isinstance(c, dict) and c.get("code")]
    if not found:
        raise Invalid("no code", where="type", mend="Write type=http://loinc.org|34133-9.")
    return ",".join(found)


OPERATION = Operation(
    "docref",
    "http://hl7.org/fhir/us/core/OperationDefinition/docref",
    "A patient's documents, by type and date.",
    ("type",),
    run,
    types=(TYPE,),
    parameters=(
        Parameter("patient", SEARCH, "Write patient=ID.", min=1),
        Parameter("start", "dateTime", "documents of this time or later"),
        Parameter("end", "dateTime", "documents of this time or earlier"),
        Parameter("type", SEARCH, "system|code of the kind of document", many=True),
        Parameter("on-demand", "boolean", "documents that are made for the call; there are none"),
        Parameter("profile", "canonical", "only documents of these profiles", many=True),
    ),
    scope="s of DocumentReference",
)
