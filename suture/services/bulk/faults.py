"""What went wrong with an export: as a whole, told at its status URL, or with single resources, told in the manifest's `error` files.

https://hl7.org/fhir/uv/bulkdata/STU2/export.html#response---error-status-1
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from suture.access.caller import Caller
from suture.errors import Issue, SutureError
from suture.services.bulk import select
from suture.services.bulk.request import Wanted, issues
from suture.standards.fhir import json, outcome
from suture.store import holes
from suture.store.connection import Connection
from suture.store.exports import Job
from suture.store.holes import Unread

TRIES = 5  # of an export that something in the way keeps from its end
PAUSE = 2.0  # seconds before the second try; each further one is twice as long
NAMED = 1000  # damaged resources of a type that are named one by one
MEND = "The operator finds it with: suture verify. When it is mended, ask for the export again."
_KEPT = range(400, 500)  # causes that lie with what was asked for keep their status
_OF_THE_PLACE = (401, 404, 410, 429)  # but these say something about the status URL itself


class ExportFailed(SutureError):
    """An export as a whole came to no end; the same answer each time it is asked for."""

    code = "export-failed"


class Fault(msgspec.Struct, frozen=True):
    """Why an export failed; nothing personal stands in it."""

    status: int
    issue: str
    text: str
    where: str
    mend: str


def of_error(error: Exception, tries: int) -> str:
    """The fault to be kept: what failed, what to do, and whether asking again makes sense."""
    if not isinstance(error, SutureError):
        mend = (
            "Ask for it once more; if that fails too, it needs the operator, who finds the fault in the server's log."
        )
        return _kept(Fault(500, "exception", "the export failed by a fault of the server", "export", mend))
    text = f"the export failed: {error.text}" + (f" ({tries} tries)" if tries > 1 else "")
    if error.retry:
        return _kept(
            Fault(500, "exception", text, error.where or "export", f"{_stop(error.mend)}Then ask for it again.")
        )
    status = error.status if error.status in _KEPT and error.status not in _OF_THE_PLACE else 500
    mend = f"{_stop(error.mend)}Unchanged, it will fail again."
    return _kept(Fault(status, error.issue, text, error.where or "export", mend))


def of_endless(tries: int) -> str:
    """Of one that its server never outlived."""
    text = f"the export was begun {tries} times and the server ended each time before it was done"
    mend = "Ask for less at once (_type, _since), and tell the operator: the server's log says why it ended."
    return _kept(Fault(500, "exception", text, "export", mend))


def raised(job: Job) -> ExportFailed:
    """The error its status URL answers with."""
    if not job.fault:  # it failed before this was kept
        return ExportFailed(job.progress, where="export", mend="Ask for it again.")
    fault = msgspec.json.decode(job.fault, type=Fault)
    issue = Issue("error", fault.issue, fault.text, fault.where, fault.mend)
    error = ExportFailed(fault.text, where=fault.where, mend=fault.mend, issues=[issue])
    error.status = fault.status
    return error


def _kept(fault: Fault) -> str:
    return msgspec.json.encode(fault).decode()


def _stop(mend: str) -> str:
    return f"{mend.rstrip('.')}. " if mend else ""


def lines(connection: Connection, wanted: Wanted, unread: Unread, missing: int = 0) -> list[bytes]:
    """A line of the error file for each parameter that was passed over and each resource that could not be read."""
    holes.name(connection, unread)
    found = [*issues(wanted), *_of_missing(missing), *unreadable(connection, wanted.caller, unread)]
    return [json.write(outcome.outcome([issue])) for issue in dict.fromkeys(found)]


def _of_missing(count: int) -> list[Issue]:
    if not count:
        return []
    text = f"{count} of the patients that were named are unknown here, or are none of the group's active members"
    return [
        Issue(
            "warning",
            "not-found",
            text,
            "patient",
            "Nothing of theirs is exported. The group's members say whom it holds.",
        )
    ]


def unreadable(connection: Connection, caller: Caller, unread: Unread) -> list[Issue]:
    """Each that could not be read; where a caller may not see everything of a type, what can't be judged is not named."""
    ids: dict[str, list[str]] = {}
    for type, id in unread.values():
        ids.setdefault(type, []).append(id)
    rows = [rid for rid, place in unread.items() if place == holes.UNKNOWN]
    return [
        *(issue for type in sorted(ids.keys() - {""}) for issue in _of_type(connection, caller, type, ids[type])),
        *([_of_pages(rows)] if rows else []),
    ]


def _of_type(connection: Connection, caller: Caller, type: str, ids: list[str]) -> Iterator[Issue]:
    text = "a resource could not be exported: what is stored of it is damaged"
    if not select.all_of(connection, caller, type):
        yield Issue("error", "exception", text, type, MEND)
        return
    known = sorted(filter(None, ids))[:NAMED]
    yield from (Issue("error", "exception", text, f"{type}/{id}", MEND) for id in known)
    if more := len(ids) - len(known):
        text = f"{more} {'more ' if known else ''}resources could not be exported: what is stored of them is damaged"
        yield Issue("error", "exception", text, type, MEND)


def _of_pages(rows: list[int]) -> Issue:
    """Of rows of which not even the type can be read: their numbers tell the operator where to look."""
    text = f"up to {len(rows)} resources could not be exported: the pages of the database that hold them are damaged"
    return Issue("error", "exception", text, "export", f"They have the row numbers {_spans(rows)}. {MEND}")


def _spans(rows: list[int], most: int = 100) -> str:
    """3, 5-9, 12; the first ones of many."""
    found: list[list[int]] = []
    for rid in sorted(rows):
        if found and rid == found[-1][1] + 1:
            found[-1][1] = rid
        else:
            found.append([rid, rid])
    texts = [str(first) if first == last else f"{first}-{last}" for first, last in found[:most]]
    return ", ".join([*texts, "…"] if len(found) > most else texts)


MORE = json.write(
    outcome.outcome(
        [
            Issue(
                "error", "incomplete", "more could not be exported than this file names", "export",
                "The operator finds all of it with: suture verify.",
            )
        ]
    )
)  # fmt: skip
