"""A resource that came in: read, of the type and id it was sent for, sound, and with its index rows.

All of this happens before the transaction; inside it only rows are written.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from suture.errors import Invalid, NotAllowed, NotFound
from suture.services.audit.event import TYPE as MADE
from suture.standards.fhir import index, json, search_own, validate
from suture.standards.fhir.definitions import RESOURCE_TYPES

Read = Callable[[bytes], dict[str, Any]]  # JSON within the limits of the settings
_STAMPS = frozenset({"versionId", "lastUpdated"})
_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}", re.ASCII)


class Translated(bytes):
    """JSON that was made of XML: its bytes are this server's own, so what it says is what counts."""


@dataclass(frozen=True, slots=True)
class Incoming:
    """What is needed to write one version."""

    type: str
    resource: dict[str, Any]
    body: bytes
    rows: index.Rows
    base: str = ""  # what absolute references to this server begin with
    translated: bool = False  # it came as XML


def require_type(type: str) -> None:
    """Raises NotFound for a type that R4 has not, NotAllowed for the one that is made from the audit trail."""
    if type not in RESOURCE_TYPES:
        raise NotFound("R4 has no such resource type", where="type", mend="/fhir/metadata lists the types.")
    if type == MADE:
        raise NotAllowed(
            "AuditEvents are made from the audit trail", where=MADE, mend="Read and search them, each by itself."
        )


def is_id(id: str) -> bool:
    """Whether this is an id that R4 allows."""
    return _ID.fullmatch(id) is not None


def require_id(id: str) -> None:
    """Raises Invalid for an id that can't be given to a resource."""
    if not is_id(id):
        raise Invalid("not an id", where="id", mend="An id has 1 to 64 of the characters A-Z a-z 0-9 - .")


def accept(
    body: bytes | dict[str, Any], type: str, id: str = "", *, base: str = "", read: Read = json.read
) -> Incoming:
    """Reads and checks what was sent to `type` (and `id`); raises Invalid or InvalidResource with all findings."""
    if isinstance(body, bytes):
        resource, raw = read(body), body
    else:
        resource, raw = body, json.write(body)
    _require_fit(resource, type, id)
    return prepared(resource, raw, base, translated=isinstance(body, Translated))


def prepared(resource: dict[str, Any], raw: bytes, base: str, *, translated: bool = False) -> Incoming:
    """The same for a resource whose type and id are already known to be right; `base` is this server's, with a slash."""
    validate.require(resource)
    if resource["resourceType"] == "SearchParameter":
        search_own.read(resource)  # refused now, not when it is to be searched by
    return Incoming(resource["resourceType"], resource, raw, index.extract(resource, base), base, translated)


def says_the_same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two versions of a resource differ in nothing but what the server itself puts in."""
    return json.same(_told(one), _told(other))


def _told(resource: dict[str, Any]) -> dict[str, Any]:
    meta = {name: value for name, value in resource.get("meta", {}).items() if name.lstrip("_") not in _STAMPS}
    return {**resource, "id": "", "meta": meta}


def _require_fit(resource: dict[str, Any], type: str, id: str) -> None:
    if resource.get("resourceType") != type:
        raise Invalid(
            f"the body is no {type}", where="resourceType", mend="resourceType must be the type of the address."
        )
    if id and resource.get("id") != id:
        raise Invalid(
            "the body's id is not the id of the address", where=f"{type}.id", mend="Send the same id in both."
        )
