"""What a kick-off asks for, checked: https://hl7.org/fhir/uv/bulkdata/STU2/export.html#query-parameters"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from suture.access.caller import Caller
from suture.errors import Invalid, Issue
from suture.standards.fhir import search
from suture.standards.fhir.definitions import RESOURCE_TYPES
from suture.standards.fhir.index_time import moment_range
from suture.standards.fhir.validate.primitives import FINE

FORMATS = ("application/fhir+ndjson", "application/ndjson", "ndjson")
PROVENANCE = ("LatestProvenanceResources", "RelevantProvenanceResources")
NAMES = (
    "_outputFormat", "_since", "_until", "_type", "_typeFilter", "_elements", "patient", "includeAssociatedData",
    "organizeOutputBy",
)  # fmt: skip
ORGANIZED = ("Patient",)  # what a file can be organized by
# of searches, but without meaning for a filter
_REFUSED = (
    "_include",
    "_revinclude",
    "_sort",
    "_count",
    "_summary",
    "_elements",
    "_total",
    "_contained",
    "_cursor",
    "_format",
)


class Wanted(msgspec.Struct, frozen=True):
    """One export as it was asked for. `level`: system, patient or group; times in microseconds, 0 for none."""

    url: str
    caller: Caller
    level: str
    group: str = ""
    types: tuple[str, ...] = ()
    since: int = 0
    until: int = 0
    filters: tuple[tuple[str, str], ...] = ()  # type, query
    elements: tuple[tuple[str, str], ...] = ()  # type ('' for all), element
    patients: tuple[str, ...] = ()
    provenance: str = ""  # one of PROVENANCE, when it was asked for
    left_out: tuple[str, ...] = ()  # parameters that were not heeded, being lenient
    organized: str = ""  # one of ORGANIZED: files hold blocks of whole records


def read(url: str, caller: Caller, level: str, group: str, pairs: Sequence[tuple[str, Any]], lenient: bool) -> Wanted:
    """Reads the parameters; raises Invalid naming the one that is wrong or not known, unless that is to be passed over."""
    given: dict[str, list[str]] = {}
    for name, value in pairs:
        given.setdefault(name, []).append(_text(name, value))
    unknown = [name for name in given if name not in NAMES or (name == "patient" and level == "system")]
    if unknown and not lenient:
        raise Invalid("the export has no such parameter", where=unknown[0][:100], mend=f"It knows: {', '.join(NAMES)}.")
    _check_format(given.get("_outputFormat", []))
    types = _types(given.get("_type", []))
    filters = tuple(_filter(text) for text in given.get("_typeFilter", []) for text in _split(text))
    for type, _ in filters:
        if types and type not in types:
            raise Invalid("a filter of a type that is not exported", where="_typeFilter", mend="Add it to _type.")
    data, odd = _associated(given.get("includeAssociatedData", []), lenient)
    organized, unfit = _organized(given.get("organizeOutputBy", []), lenient)
    return Wanted(
        url, caller, level, group,
        types=types,
        since=_moment("_since", given.get("_since", [])),
        until=_moment("_until", given.get("_until", [])),
        filters=filters,
        elements=tuple(_element(text) for text in _listed(given.get("_elements", []))),
        patients=tuple(_patient(text) for text in _listed(given.get("patient", []))) if level != "system" else (),
        provenance=data,
        left_out=(*(name[:100] for name in unknown), *odd, *unfit),
        organized=organized,
    )  # fmt: skip


def _text(name: str, value: Any) -> str:
    found = value.get("reference") if isinstance(value, dict) else value
    if not isinstance(found, str):
        raise Invalid("not a value of this parameter", where=name[:100], mend="Send text, or for patient a Reference.")
    return found


def _listed(texts: Sequence[str]) -> list[str]:
    return [part.strip() for text in texts for part in text.split(",") if part.strip()]


def _check_format(texts: Sequence[str]) -> None:
    for text in texts:
        if text.replace(" ", "+").strip() not in FORMATS:
            raise Invalid("files are made as NDJSON only", where="_outputFormat", mend=f"One of {', '.join(FORMATS)}.")


def _types(texts: Sequence[str]) -> tuple[str, ...]:
    found = _listed(texts)
    for name in found:
        if name not in RESOURCE_TYPES:
            raise Invalid("R4 has no such resource type", where="_type", mend="/fhir/metadata lists the types.")
    return tuple(dict.fromkeys(found))


def _moment(name: str, texts: Sequence[str]) -> int:
    if not texts:
        return 0
    text = texts[0].replace(" ", "+")
    if len(texts) > 1 or not FINE["instant"](text):
        raise Invalid("not an instant", where=name, mend="Write 2026-11-25T10:00:00Z.")
    return moment_range(text)[0]


def _split(text: str) -> list[str]:
    """Filters are separated by commas; a comma inside a query is not followed by `Type?`."""
    parts: list[str] = []
    for part in text.split(","):
        if "?" in part or not parts:
            parts.append(part)
        else:
            parts[-1] += "," + part
    return parts


def _filter(text: str) -> tuple[str, str]:
    type, mark, query = text.partition("?")
    if type not in RESOURCE_TYPES or not mark:
        raise Invalid("not a search", where="_typeFilter", mend="Write Observation?category=laboratory.")
    refused = next((p for p in query.split("&") if p.partition("=")[0].partition(":")[0] in _REFUSED), "")
    if refused:
        raise Invalid(
            f"{refused.partition('=')[0]} has no meaning in a filter", where="_typeFilter", mend="Leave it out."
        )
    if any(map(search.looks_away, search.parse(type, pairs_of(query)).conditions)):
        raise Invalid(
            "a filter looks at one resource alone", where="_typeFilter", mend="Leave chains, _has and _list out."
        )
    return type, query


def pairs_of(query: str) -> list[tuple[str, str]]:
    """The parameters of a filter's query."""
    return parse_qsl(query, keep_blank_values=True, max_num_fields=50)


def _element(text: str) -> tuple[str, str]:
    type, dot, name = text.partition(".")
    if not dot:
        return "", type
    if type not in RESOURCE_TYPES:
        raise Invalid("R4 has no such resource type", where="_elements", mend="Write Patient.name, or name.")
    return type, name


def _patient(text: str) -> str:
    id = text.rpartition("Patient/")[2]
    if not FINE["id"](id):
        raise Invalid("not a patient", where="patient", mend="Write Patient/ID.")
    return id


def _associated(texts: Sequence[str], lenient: bool) -> tuple[str, list[str]]:
    found = _listed(texts)
    odd = [text for text in found if text not in PROVENANCE]
    if odd and not lenient:
        raise Invalid(
            "no such associated data here", where="includeAssociatedData", mend=f"One of {', '.join(PROVENANCE)}."
        )
    good = [text for text in found if text in PROVENANCE]
    return (good[-1] if good else ""), (["includeAssociatedData"] if odd else [])


def _organized(texts: Sequence[str], lenient: bool) -> tuple[str, list[str]]:
    if not texts:
        return "", []
    if len(texts) == 1 and texts[0] in ORGANIZED:
        return texts[0], []
    if not lenient:
        raise Invalid(
            "files are not organized by that", where="organizeOutputBy", mend=f"One of {', '.join(ORGANIZED)}."
        )
    return "", ["organizeOutputBy"]


def issues(wanted: Wanted) -> list[Issue]:
    """What was not heeded, one issue each."""
    return [
        Issue("warning", "not-supported", "this parameter was not heeded, it is not known here", name)
        for name in wanted.left_out
    ]
