"""The lines of an import, read: a resource that is to be written, resources that are to be deleted, or what is wrong.

https://hl7.org/fhir/uv/bulkdata/STU2/export.html#bulk-data-output-file-request (NDJSON, and transactions that delete)
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any, NamedTuple

from suture.errors import Invalid, SutureError
from suture.services.bulk.sources import DELETED, Input
from suture.services.interactions.chart import Chart
from suture.services.interactions.incoming import Incoming, accept, require_id, require_type
from suture.standards.fhir import json, outcome

_CONTENT = uuid.UUID("2b6b8d5e-54a1-5c0e-8f43-6f0e9b6a3d11")  # ids of resources that came without one
MOST_DELETIONS = 1000  # of one line
Places = tuple[tuple[str, str], ...]


class Line(NamedTuple):
    """A line of the file: what is to be written or deleted, or why not."""

    number: int
    found: Incoming | Places | SutureError
    id: str = ""


def read(chart: Chart, raw: bytes, before: int, of: Input | None) -> Iterator[Line]:
    """The lines of a part; `before`: how many lines of the file came earlier; `of`: what the manifest says of the file."""
    for number, text in enumerate(raw.split(b"\n"), before + 1):
        if text.strip() and (line := _line(chart, number, text, of)) is not None:
            yield line


def _line(chart: Chart, number: int, text: bytes, of: Input | None) -> Line | None:
    """None for the header of a block of a file that is organized by patients."""
    try:
        resource = chart.read_json(text)
        if is_header(resource):
            return None
        if of is not None and of.kind == DELETED:
            return Line(number, deletions(resource))
        return _resource(chart, number, text, resource, of)
    except SutureError as error:
        return Line(number, error)


def _resource(chart: Chart, number: int, text: bytes, resource: dict[str, Any], of: Input | None) -> Line:
    type = resource.get("resourceType")
    if not isinstance(type, str):
        raise Invalid("a line is a resource", where="resourceType", mend="Write one resource on each line.")
    require_type(type)
    if of is not None and of.type not in ("", type):
        raise Invalid(f"the manifest says that the file holds {of.type}", where="resourceType")
    found = accept(text, type, base=chart.database.base, read=chart.read_json)
    id = str(resource.get("id") or uuid.uuid5(_CONTENT, text.decode()))
    require_id(id)
    return Line(number, found, id)


def is_header(resource: dict[str, Any]) -> bool:
    """Whether a line is the one before a patient's block."""
    rows = resource.get("parameter") if resource.get("resourceType") == "Parameters" else None
    return isinstance(rows, list) and len(rows) == 1 and isinstance(rows[0], dict) and rows[0].get("name") == "header"


def deletes(resource: dict[str, Any]) -> bool:
    """Whether this is a transaction that does nothing but delete, as it stands in the deleted files of an export."""
    if resource.get("resourceType") != "Bundle" or resource.get("type") != "transaction" or not resource.get("entry"):
        return False
    try:
        return bool(deletions(resource))
    except SutureError:
        return False


def deletions(bundle: dict[str, Any]) -> Places:
    """What the transaction of a line deletes; it may do nothing else."""
    rows = bundle.get("entry", [])
    if bundle.get("resourceType") != "Bundle" or not isinstance(rows, list):
        raise Invalid("a line of a deleted file is a transaction Bundle", where="resourceType")
    if len(rows) > MOST_DELETIONS:
        raise Invalid(f"a line deletes at most {MOST_DELETIONS}", where="Bundle.entry", mend="Write several lines.")
    return tuple(_deletion(row, f"Bundle.entry[{at}].request") for at, row in enumerate(rows))


def _deletion(row: Any, where: str) -> tuple[str, str]:
    asked = row.get("request") if isinstance(row, dict) else None
    if not isinstance(asked, dict) or asked.get("method") != "DELETE" or not isinstance(asked.get("url"), str):
        raise Invalid("an entry of a deleted file deletes", where=where, mend="Write DELETE and Type/id.")
    type, _, id = asked["url"].partition("/")
    require_type(type)
    require_id(id)
    return type, id


def told(number: int, error: SutureError) -> bytes:
    """An OperationOutcome on one line; where in the file it was comes first."""
    made = outcome.from_error(error)
    if number:
        for issue in made["issue"]:
            issue["location"] = [f"line {number}", *issue.get("location", [])]
    return json.write(made) + b"\n"
