"""What a worker process does with a task: read, give ids, resolve, validate, index. It touches no database."""

from __future__ import annotations

import gc
import marshal
import uuid
from collections.abc import Iterator
from typing import Any, NamedTuple

from suture.errors import SutureError
from suture.services.audit.event import TYPE as MADE
from suture.services.bulk.lines import deletes, deletions, is_header
from suture.services.imports.source import Task
from suture.services.interactions import references
from suture.services.interactions.incoming import is_id
from suture.standards.fhir import index, json, validate
from suture.standards.fhir.definitions import RESOURCE_TYPES
from suture.store.splice import splice

# (type, id, body, index rows as a plain tuple, conditional references)
Item = tuple[str, str, bytes, tuple[Any, ...], tuple[str, ...]]
Fault = tuple[int, str]  # line, what is wrong

Read = tuple[dict[str, Any], bytes]
MANIFEST = "the manifest of an export, no data"
UNGIVEN = "says what an export could not give, no data"

_CONTENT = uuid.UUID("5a7e6f0c-3f9b-5d52-9c53-0d2f0f0a7c11")  # ids of resources that came without one


class Unreadable(SutureError):
    """A line or entry that can't be taken."""


class Passed(str):
    """Why a line or document is no data; it is passed over, and that is told."""

    __slots__ = ()


def warm() -> None:
    """Prepares a worker; the collector has nothing to find in resources, which hold no circles."""
    gc.disable()


class Found(NamedTuple):
    """What a task came to."""

    items: list[Item]
    gone: list[tuple[str, str]]  # to be deleted
    faults: list[Fault]
    passed: dict[str, int]  # lines that are no data, by why


def work(task: Task, base: str) -> bytes:
    """What is found in a task, marshalled: it only passes between processes of one import."""
    found = Found([], [], [], {})
    if task.fault:
        found.faults.append((task.line, task.fault))
    else:
        for line, read in _lines(task) if task.lines else _document(task):
            _take(task, line, read, base, found)
    return marshal.dumps(tuple(found))


def _take(task: Task, line: int, read: Read | str, base: str, found: Found) -> None:
    if isinstance(read, Passed):
        found.passed[str(read)] = found.passed.get(read, 0) + 1
        return
    try:
        if isinstance(read, str):
            found.faults.append((line, read))
        elif task.deletes:
            found.gone.extend(deletions(read[0]))
        else:
            found.items.append(_item(*read, base))
    except SutureError as error:
        found.faults.append((line, _said(error)))


def _said(error: SutureError) -> str:
    return f"{error.where}: {error.text}" if error.where else error.text


def _lines(task: Task) -> Iterator[tuple[int, Read | str]]:
    """Each line; the headers of files that are organized by patients are no resources of the chart."""
    for number, raw in enumerate(task.raw.split(b"\n"), task.line):
        if not raw.strip():
            continue
        try:
            read = json.read(raw)
        except SutureError as error:
            yield number, _said(error)
            continue
        if read.get("resourceType") == "OperationOutcome" and "id" not in read:
            yield number, Passed(UNGIVEN)
        elif not is_header(read):
            yield number, (read, raw)


def _document(task: Task) -> Iterator[tuple[int, Read | str]]:
    """A single resource, or the entries of a bundle with their references resolved."""
    try:
        content = json.read(task.raw, max_size=1 << 30)
    except SutureError as error:
        yield 1, _said(error)
        return
    if "resourceType" not in content and isinstance(content.get("output"), list) and "transactionTime" in content:
        yield 1, Passed(MANIFEST)
        return
    if content.get("resourceType") != "Bundle":
        yield 1, (content, task.raw)
        return
    entries = content.get("entry", [])
    if not isinstance(entries, list):
        yield 1, "Bundle.entry must be a list"
        return
    resources = [_resource(entry) for entry in entries]
    resolve = references.resolver(_addresses(entries, resources))
    for number, resource in enumerate(resources):
        if resource is None:
            yield 1, f"Bundle.entry[{number}] has no resource"
        else:
            changed = references.rewritten(resource, resolve)
            yield 1, (changed, json.write(changed))


def _resource(entry: Any) -> dict[str, Any] | None:
    resource = entry.get("resource") if isinstance(entry, dict) else None
    return resource if isinstance(resource, dict) else None


def _addresses(entries: list[Any], resources: list[dict[str, Any] | None]) -> dict[str, str]:
    """fullUrl -> Type/id; an entry without an id takes the one of its urn:uuid."""
    found: dict[str, str] = {}
    for entry, resource in zip(entries, resources, strict=True):
        url = entry.get("fullUrl") if isinstance(entry, dict) else None
        if resource is None or not isinstance(url, str):
            continue
        if "id" not in resource and is_id(url.removeprefix("urn:uuid:")):
            resource["id"] = url.removeprefix("urn:uuid:")
        if isinstance(resource.get("id"), str):
            found[url] = f"{resource.get('resourceType')}/{resource['id']}"
    return found


def _item(resource: dict[str, Any], raw: bytes, base: str) -> Item:
    kind = resource.get("resourceType")
    if not isinstance(kind, str) or kind not in RESOURCE_TYPES:
        raise Unreadable("R4 has no such resource type", where="resourceType")
    if kind == MADE:
        raise Unreadable("AuditEvents are made from the audit trail and can't be imported", where="resourceType")
    if deletes(resource):
        raise Unreadable("it deletes; name its file deleted.ndjson if that is meant", where="Bundle.entry")
    validate.require(resource)
    id = resource.get("id") or str(uuid.uuid5(_CONTENT, raw.decode()))
    rows = index.extract(resource, base)
    conditional = tuple(references.conditional(resource)) if references.may_be_conditional(raw) else ()
    return (
        kind,
        id,
        splice(raw, id, 1, 0),
        tuple(rows),
        conditional,
    )  # so that the writer finds both where it leaves them
