"""Reads an FHIR package, the .tgz in which an implementation guide is published (https://hl7.org/fhir/R4/packages.html).

Nothing is unpacked to disk: entries are looked at one by one, within bounds on their number and size.
"""

from __future__ import annotations

import io
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from suture.errors import Invalid, InvalidSyntax
from suture.standards.fhir import json

LARGEST = 256 << 20  # bytes of a package once it is unpacked
MOST = 20_000  # entries
LARGEST_ENTRY = 32 << 20
CONFORMANCE = ("StructureDefinition", "ValueSet", "CodeSystem", "ConceptMap")
DEEPEST = 300
_MARK = b"\xef\xbb\xbf"
_MEND = "Take the package.tgz that the guide's publisher offers."


@dataclass(frozen=True, slots=True)
class Package:
    """A package's name, version, what it builds on, and its conformance resources."""

    name: str
    version: str
    dependencies: dict[str, str]
    resources: tuple[dict[str, Any], ...]

    def __str__(self) -> str:
        return f"{self.name}@{self.version}"


def read(raw: bytes, where: str) -> Package:
    """The package in these bytes; raises Invalid, naming `where`, for what is no sound package for R4."""
    try:
        head, found = None, []
        for name, content in _entries(raw, where):
            resource = json.read(content.removeprefix(_MARK), max_size=LARGEST_ENTRY, max_depth=DEEPEST)
            if name == "package.json":
                head = resource
            elif resource.get("resourceType") in CONFORMANCE:
                found.append(resource)
    except (tarfile.TarError, InvalidSyntax, OSError, EOFError, ValueError) as error:
        raise Invalid("the package can't be read", where=where, mend=_MEND) from error
    if head is None:
        raise Invalid("it has no package/package.json", where=where, mend=_MEND)
    return _package(head, tuple(found), where)


def _package(head: dict[str, Any], found: tuple[dict[str, Any], ...], where: str) -> Package:
    versions = head.get("fhirVersions") or head.get("fhir-version-list") or []
    if isinstance(versions, list) and versions and not any(str(one).startswith("4.0") for one in versions):
        raise Invalid("the package is not for FHIR R4", where=where, mend="Take its R4 edition.")
    needed = head.get("dependencies")
    dependencies = {str(name): str(version) for name, version in needed.items()} if isinstance(needed, dict) else {}
    return Package(str(head.get("name", "")), str(head.get("version", "")), dependencies, found)


def _entries(raw: bytes, where: str) -> Iterator[tuple[str, bytes]]:
    """The JSON files that stand right in package/, where conformance resources are; examples stand deeper."""
    with tarfile.open(fileobj=io.BytesIO(_unpacked(raw, where)), mode="r:") as archive:
        left = LARGEST
        for number, member in enumerate(archive):
            if number >= MOST:
                raise Invalid(f"the package has more than {MOST} entries", where=where, mend=_MEND)
            folder, _, name = member.name.removeprefix("./").rpartition("/")
            if folder != "package" or not name.endswith(".json") or name.startswith(".") or not member.isfile():
                continue
            left -= member.size  # a sparse entry claims more than there is
            if member.size > LARGEST_ENTRY or left < 0:
                raise Invalid("the entries are too large", where=where, mend=_MEND)
            stream = archive.extractfile(member)
            if stream is not None:
                yield name, stream.read()


def _unpacked(raw: bytes, where: str) -> bytes:
    """Decompressed, at most LARGEST bytes."""
    unpack = zlib.decompressobj(wbits=31)
    try:
        content = unpack.decompress(raw, LARGEST + 1)
    except zlib.error as error:
        raise Invalid("the file is no .tgz", where=where, mend=_MEND) from error
    if len(content) > LARGEST:
        raise Invalid(f"unpacked it is larger than {LARGEST} bytes", where=where, mend=_MEND)
    if not unpack.eof:
        raise Invalid("the file is cut off", where=where, mend=_MEND)
    return content
