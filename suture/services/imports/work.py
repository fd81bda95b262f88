"""What a worker process does with a task: read, give ids, resolve, validate, index. It touches no database."""

from __future__ import annotations

import gc
import marshal
import uuid
from collections.abc import Iterator
from typing import Any

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

_CONTENT = uuid.UUID("5a7e6f0c-3f9b-5d52-9c53-0d2f0f0a7c11")  # ids of resources that came without one


class Unreadable(SutureError):
    """A line or entry that can't be taken."""


def warm() -> None:
    """Prepares a worker; the collector has nothing to find in resources, which hold no circles."""
    gc.disable()


def work(task: Task, base: str) -> bytes:
    """The items, deletions and faults of a task, marshalled: they only pass between processes of one import."""
    items: list[Item] = []
    gone: list[tuple[str, str]] = []
    faults: list[Fault] = []
    if task.fault:
        return marshal.dumps((items, gone, [(task.line, task.fault)]))
    for line, read in _lines(task) if task.lines else _document(task):
        if isinstance(read, str):
            faults.append((line, read))
            continue
        try:
            if task.deletes:
                gone += deletions(read[0])
            else:
                items.append(_item(*read, base))
        except SutureError as error:
            faults.append((line, _said(error)))
    return marshal.dumps((items, gone, faults))


def _said(error: SutureError) -> str:
    return f"{error.where}: {error.text}" if error.where else error.text


def _lines(task: Task) -> Iterator[tuple[int, tuple[dict[str, Any], bytes] | str]]:
    """Each line; the headers of files that are organized by patients are no resources of the chart."""
    for number, raw in enumerate(task.raw.split(b"\n"), task.line):
        if not raw.strip():
            continue
        try:
            read = json.read(raw)
        except SutureError as error:
            yield number, _said(error)
            continue
        if not is_header(read):
            yield number, (read, raw)


def _document(task: Task) -> Iterator[tuple[int, tuple[dict[str, Any], bytes] | str]]:
    """A single resource, or the entries of a bundle with their references resolved."""
    try:
        content = json.read(task.raw, max_size=1 << 30)
    except SutureError as error:
        yield 1, _said(error)
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
