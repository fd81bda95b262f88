"""$everything: all that belongs to a patient or an encounter, and what it refers to, page by page.

https://hl7.org/fhir/R4/patient-operation-everything.html · https://hl7.org/fhir/R4/encounter-operation-everything.html
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import Any
from urllib.parse import urlencode

import suture.services.interactions.binary as binary
import suture.services.interactions.bundle as bundle
import suture.services.interactions.guard as guard
from suture.access import compartment, policy, withheld
from suture.errors import Invalid, InvalidSearch
from suture.services.audit.event import TYPE as MADE
from suture.services.interactions.answer import Answer
from suture.services.interactions.cursor import PARAMETER, Place
from suture.services.interactions.notice import unread
from suture.services.operations.operation import Asked, Operation, Parameter
from suture.standards.fhir import json, patient_links
from suture.standards.fhir.definitions import RESOURCE_TYPES
from suture.standards.fhir.index_compartment import member_types
from suture.standards.fhir.search import Cursor, Include, SearchQuery
from suture.standards.fhir.search_within import EVERY, parse_within
from suture.store import resources, sound, whose
from suture.store import search as store_search
from suture.store.connection import Connection
from suture.store.resources import Row

MOST_LINKED = 20  # other records of the same person
MOST_REFERRED = 20_000  # resources that one page may refer to
_BORN = frozenset({"Patient", "RelatedPerson"})  # their date is a birthday, no care
Pairs = list[tuple[str, str]]
_ATTACHED = re.compile(rb'"url"\s*:\s*"(?:[^"\s]{0,500}/)?Binary/([A-Za-z0-9.\-]{1,64})"')
_WITH_ATTACHMENTS = frozenset({"DocumentReference", "DiagnosticReport", "Media", "Consent", "Communication", "Patient"})


async def run(asked: Asked) -> Answer:
    """One page: members of the compartment, then what they refer to that is nobody's."""
    owner, id = asked.type, asked.id or _own(asked)
    async with asked.frame() as access:
        pairs, cursor = _opened(asked, owner, id)
        work = partial(_page, asked, owner, id, pairs, cursor)
        answer = await asked.chart.slowly(work)
        access.concerns(answer.patients)
        return answer


def _own(asked: Asked) -> str:
    """At the level of the type: the record of the one patient the caller is bound to."""
    if not asked.caller.patient:
        raise Invalid("which patient is meant?", where="url", mend="Call Patient/ID/$everything, or $export for many.")
    return asked.caller.patient


def _opened(asked: Asked, owner: str, id: str) -> tuple[Pairs, Cursor | None]:
    """The parameters, or those that a cursor keeps, and where the page begins."""
    given = asked.one(PARAMETER)
    if given is None:
        return [(name, str(value)) for name, values in asked.values.items() for value in values], None
    if len(asked.values) > 1:
        raise InvalidSearch("a cursor stands alone", where=PARAMETER, mend="Follow the link as it was given.")
    chart = asked.chart
    place = chart.cursors.open(asked.caller, f"{owner}/{id}/$everything", given, chart.clock.micros())
    keys, row = place.position
    return place.pairs, Cursor(tuple(keys), row)


def _page(asked: Asked, owner: str, id: str, pairs: Pairs, cursor: Cursor | None, connection: Connection) -> Answer:
    chart, caller = asked.chart, asked.caller
    first = guard.visible(connection, caller, "read", owner, id)
    first = first if first.damaged else guard.present(first)
    wanted = _types(pairs)
    judged = guard.judge(connection, caller, "read", withheld.of(connection, caller))
    also = _linked(connection, first, judged) if owner == "Patient" else ()
    query = replace(_query(asked, (owner, id, *also), pairs, wanted, connection), cursor=cursor)
    budget = chart.settings["search.budget"]
    with sound.looking_past(connection) as unlooked:
        found = store_search.find(connection, query, budget=budget, read=sound.read_all)
    rows, hidden = guard.seen(_dated(connection, found.rows, pairs), judged)
    outside = partial(_outside, owner, first, judged)
    most = MOST_REFERRED
    referred = store_search.included(connection, query, rows, outside, most=most, budget=budget, read=sound.read_all)
    referred += _attached(asked, connection, rows)
    entries = [(row, row.body, "match") for row in rows]
    entries += [(row, row.body, "include") for row in referred]
    shown = [entry for entry in entries if not wanted or entry[0].type in wanted]
    patients = whose.of_rows(connection, [row for row, _, _ in shown])
    told = unread(len(hidden | unlooked - {row.rid for row in rows}))
    links = _links(asked, owner, id, pairs, found.next)
    return Answer(bundle.searchset(chart.fhir_url, shown, links, None, told), 200, patients)


def _types(pairs: Pairs) -> frozenset[str]:
    found = frozenset(part for name, value in pairs if name == "_type" for part in value.split(","))
    if not found <= RESOURCE_TYPES:
        raise Invalid("R4 has no such resource type", where="_type", mend="/fhir/metadata lists the types.")
    return found


def _linked(connection: Connection, first: Row, judged: Callable[[Row], bool]) -> tuple[str, ...]:
    """The ids of records of the same person: those it stands for or beside, where the other one says so, too, and the
    caller may read it."""
    base, found, ahead = connection.shared.base, {first.id: None}, [first] if first.body else []
    while ahead and len(found) <= MOST_LINKED:
        patient = json.reread(ahead.pop().body)
        named = patient_links.targets(patient, base, patient_links.REPLACES, patient_links.ALSO)
        for id in islice(named, MOST_LINKED):
            row = sound.read(connection, "Patient", id) if id not in found else None
            if row is not None and row.body and judged(row) and _answered(row, str(patient["id"]), base):
                found[id] = None
                ahead.append(row)
    return tuple(found)[1 : MOST_LINKED + 1]


def _answered(row: Row, id: str, base: str) -> bool:
    return id in patient_links.targets(json.reread(row.body), base)


def _query(
    asked: Asked, within: tuple[str, ...], pairs: Pairs, wanted: frozenset[str], connection: Connection
) -> SearchQuery:
    """The members of the compartment `within` (its type and ids); all of them when types are wanted that only references lead to."""
    owner, id, *also = within
    members = frozenset(member_types(owner)) - {MADE}
    searched: Pairs = [("_type", ",".join(sorted(wanted)))] if wanted and wanted <= members else []
    searched += [("_lastUpdated", f"ge{value}") for name, value in pairs if name == "_since"]
    url, without = asked.chart.fhir_url, frozenset({MADE})
    query = parse_within(owner, id, EVERY, searched, base_url=url, without=without, also=tuple(also))
    query = policy.narrow(asked.caller, query, withheld.of(connection, asked.caller))
    most = asked.chart.settings["fhir.max_page_size"]
    count = next((int(value) for name, value in pairs if name == "_count"), most)
    return replace(query, count=min(count, most), includes=(Include("*", "*"),))


def _dated(connection: Connection, rows: list[Row], pairs: Pairs) -> list[Row]:
    """Without those whose clinical date lies outside start and end; what has no date stays."""
    given = dict(pairs)
    start, end = given.get("start", ""), given.get("end", "")
    if not start and not end:
        return rows
    dates = resources.clinical_dates(connection, [row.rid for row in rows])
    return [row for row in rows if row.type in _BORN or _between(dates.get(row.rid, ""), start, end)]


def _between(day: str, start: str, end: str) -> bool:
    return not day or (day[: len(start)] >= start and (not end or day[: len(end)] <= end))


def _outside(owner: str, first: Row, judged: Callable[[Row], bool], row: Row) -> bool:
    """What rows refer to and may be shown: resources that are no patient's; of an encounter its own patient, too."""
    if row.type == "Patient":
        return owner == "Encounter" and _subject(first) == row.id and judged(row)
    return not compartment.parameters(row.type) and row.type not in compartment.REMOVED and judged(row)


def _subject(encounter: Row) -> str:
    said = json.reread(encounter.body) if encounter.body else {}
    found: dict[str, Any] = said.get("subject", {})
    return str(found.get("reference", "")).rpartition("Patient/")[2]


def _attached(asked: Asked, connection: Connection, rows: Sequence[Row]) -> list[Row]:
    """The Binaries that attachments name, as far as the caller may see them."""
    named = (row.body for row in rows if row.type in _WITH_ATTACHMENTS)
    ids = dict.fromkeys(m.decode() for body in named for m in _ATTACHED.findall(body))
    found = (binary.seen(connection, asked.caller, id) for id in ids)
    return [row for row in found if row is not None]


def _links(asked: Asked, owner: str, id: str, pairs: Pairs, following: Cursor | None) -> list[tuple[str, str]]:
    chart, path = asked.chart, f"{owner}/{id}/$everything"
    place = f"{chart.fhir_url}/{path}"
    links = [("self", f"{place}?{urlencode(pairs)}" if pairs else place)]
    if following is not None:
        position = [list(following.keys), following.row]
        sealed = chart.cursors.seal(asked.caller, path, Place(pairs, position), chart.clock.micros())
        links.append(("next", f"{place}?{PARAMETER}={sealed}"))
    return links


_PAGING = (
    Parameter("_since", "instant", "only what changed since"),
    Parameter("_type", "string", "resource types, separated by commas", many=True),
    Parameter("_count", "positiveInt", "entries of a page"),
    Parameter(PARAMETER, "string", "of a next link"),
)
PATIENT = Operation(
    "everything",
    "http://hl7.org/fhir/OperationDefinition/Patient-everything",
    "All of one patient's record, with what it refers to.",
    ("type", "instance"),
    run,
    types=("Patient",),
    parameters=(
        Parameter("start", "date", "only care on or after this date"),
        Parameter("end", "date", "only care on or before this date"),
        *_PAGING,
    ),
    scope="r of the Patient, r and s of every type that is shown",
)
ENCOUNTER = Operation(
    "everything",
    "http://hl7.org/fhir/OperationDefinition/Encounter-everything",
    "All of one encounter, with what it refers to.",
    ("instance",),
    run,
    types=("Encounter",),
    parameters=_PAGING,
    scope="r of the Encounter, r and s of every type that is shown",
)
