"""Which entry of a Bundle a reference leads to: https://hl7.org/fhir/R4/bundle.html#references"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from suture.standards.fhir.closely.node import Node, Whole
from suture.standards.fhir.definitions import RESOURCE_TYPES

_ID = r"[A-Za-z0-9\-.]{1,64}"
_RESTFUL = re.compile(rf"(https?://\S+/)({'|'.join(sorted(RESOURCE_TYPES))})/({_ID})").fullmatch
RELATIVE = re.compile(rf"({'|'.join(sorted(RESOURCE_TYPES))})/{_ID}").fullmatch
ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:\S+").fullmatch  # of any scheme

_URN = re.compile(r"urn:(?:uuid|oid):")
_LONGEST = 2000  # characters of an address that is taken apart
_MOST = 50  # entries of one fullUrl that are told apart


def restful(url: str) -> re.Match[str] | None:
    """Root, type and id of an address on a server."""
    return _RESTFUL(url) if len(url) <= _LONGEST else None


def type_named(reference: str) -> str:
    """The type that an address of a server, or a relative one, names; '' for any other."""
    plain = reference.partition("#")[0].partition("/_history/")[0]
    return plain.split("/")[-2] if restful(plain) or RELATIVE(plain) else ""


class Entry(NamedTuple):
    """One entry that holds a resource."""

    number: int
    url: str
    resource: dict[str, Any]
    root: str = ""  # what makes a `Type/id` in it absolute: the server of its fullUrl, or the scheme of its urn

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

    def to(self, reference: str, root: str) -> list[Entry]:
        """Where a reference leads to that stands in an entry with this root."""
        plain, _, version = reference.partition("#")[0].partition("/_history/")
        if not ABSOLUTE(plain):
            plain = "" if not root else root + (plain.rpartition("/")[2] if root.startswith("urn:") else plain)
        found = self.by_url.get(plain, [])
        return [one for one in found if one.version == version] if version else found

    def alike(self, reference: str) -> list[Entry]:
        """Those whose type and id a relative reference names, whatever their fullUrl is."""
        return self.by_name.get(reference.partition("/_history/")[0], [])


def _root(url: str) -> str:
    server, urn = restful(url), _URN.match(url)
    return server[1] if server else urn[0] if urn else ""


def entries(bundle: dict[str, Any]) -> Entries:
    """The entries of a Bundle that hold a resource."""
    found = Entries()
    rows = bundle.get("entry")
    for number, row in enumerate(rows if isinstance(rows, list) else ()):
        resource = row.get("resource") if isinstance(row, dict) else None
        if isinstance(resource, dict):
            url = str(row.get("fullUrl", ""))
            one = Entry(number, url, resource, _root(url))
            found.all.append(one)
            found.by_name[f"{one.type}/{resource.get('id', '')}"].append(one)
            found.of_resource[id(resource)] = one
            if one.url and len(found.by_url[one.url]) < _MOST:
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
