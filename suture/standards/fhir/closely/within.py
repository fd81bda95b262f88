"""Which entry of a Bundle a reference leads to: https://hl7.org/fhir/R4/bundle.html#references"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from suture.standards.fhir.closely.node import Node, Whole
from suture.standards.fhir.definitions import RESOURCE_TYPES

_ID = r"[A-Za-z0-9\-.]{1,64}"
RESTFUL = re.compile(rf"(https?://\S+/)({'|'.join(sorted(RESOURCE_TYPES))})/({_ID})").fullmatch
RELATIVE = re.compile(rf"({'|'.join(sorted(RESOURCE_TYPES))})/{_ID}").fullmatch
ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:\S+").fullmatch  # of any scheme


def type_named(reference: str) -> str:
    """The type that an address of a server, or a relative one, names; '' for any other."""
    plain = reference.partition("#")[0].partition("/_history/")[0]
    return plain.split("/")[-2] if RESTFUL(plain) or RELATIVE(plain) else ""


_URN = re.compile(r"urn:(?:uuid|oid):")


class Entry(NamedTuple):
    """One entry that holds a resource."""

    number: int
    url: str
    resource: dict[str, Any]

    @property
    def type(self) -> str:
        return str(self.resource.get("resourceType", ""))

    @property
    def version(self) -> str:
        meta = self.resource.get("meta")
        return str(meta.get("versionId", "")) if isinstance(meta, dict) else ""


@dataclass(slots=True)
class Entries:
    """The entries of one Bundle, by fullUrl."""

    all: list[Entry] = field(default_factory=list)
    by_url: dict[str, list[Entry]] = field(default_factory=lambda: defaultdict(list))
    by_name: dict[str, list[Entry]] = field(default_factory=lambda: defaultdict(list))  # Type/id
    of_resource: dict[int, Entry] = field(default_factory=dict)  # by the identity of the dict

    def to(self, reference: str, source: str) -> list[Entry]:
        """Where a reference that stands in the entry with the fullUrl `source` leads to."""
        plain, _, version = reference.partition("#")[0].partition("/_history/")
        if not ABSOLUTE(plain):
            plain = _absolute(plain, source)
        found = self.by_url.get(plain, [])
        return [one for one in found if one.version == version] if version else found

    def alike(self, reference: str) -> list[Entry]:
        """Those whose type and id a relative reference names, whatever their fullUrl is."""
        return self.by_name.get(reference.partition("/_history/")[0], [])


def _absolute(relative: str, source: str) -> str:
    """A `Type/id` as an address: at the server of the fullUrl it stands under, or by the same scheme of urns."""
    root = RESTFUL(source)
    if root:
        return root[1] + relative
    urn = _URN.match(source)
    return urn[0] + relative.rpartition("/")[2] if urn else ""


def entries(bundle: dict[str, Any]) -> Entries:
    """The entries of a Bundle that hold a resource."""
    found = Entries()
    rows = bundle.get("entry")
    for number, row in enumerate(rows if isinstance(rows, list) else ()):
        resource = row.get("resource") if isinstance(row, dict) else None
        if isinstance(resource, dict):
            one = Entry(number, str(row.get("fullUrl", "")), resource)
            found.all.append(one)
            found.by_name[f"{one.type}/{resource.get('id', '')}"].append(one)
            found.of_resource[id(resource)] = one
            if one.url:
                found.by_url[one.url].append(one)
    return found


def _bundles(whole: Whole) -> dict[int, Entries]:
    return {}


def of(bundle: Node) -> Entries:
    """The same of a Bundle that is being looked at; read once."""
    known = bundle.whole.once(_bundles)
    if id(bundle.value) not in known:
        known[id(bundle.value)] = entries(bundle.value)
    return known[id(bundle.value)]


def standing(node: Node) -> tuple[Node, Entry] | None:
    """The innermost Bundle a value stands in, and its entry there."""
    found = node.resource
    while found.up is not None and found.element != "Bundle.entry.resource":
        found = found.up.resource
    if found.up is None or found.up.up is None:
        return None
    bundle = found.up.resource
    entry = of(bundle).of_resource.get(id(found.value))
    return None if entry is None else (bundle, entry)
