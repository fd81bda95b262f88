"""Packages are read within bounds; what is no package, or one for another FHIR, is refused by name."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suture.errors import Invalid
from suture.standards.fhir import packages

HEAD = {
    "name": "example.guide",
    "version": "1.2.0",
    "fhirVersions": ["4.0.1"],
    "dependencies": {"other.guide": "2.0.0"},
}
COLOURS = {"resourceType": "ValueSet", "id": "colours", "url": "http://example.org/colours", "status": "active"}


def packed(entries: dict[str, Any]) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as archive:
        for name, content in entries.items():
            raw = content if isinstance(content, bytes) else json.dumps(content).encode()
            entry = tarfile.TarInfo(name)
            entry.size = len(raw)
            archive.addfile(entry, io.BytesIO(raw))
    return made.getvalue()


def refused(raw: bytes) -> str:
    with pytest.raises(Invalid) as caught:
        packages.read(raw, "guide.tgz")
    return str(caught.value)


def test_conformance_resources_are_taken_and_nothing_else() -> None:
    examples = {"resourceType": "ValueSet", "id": "an-example"}
    entries = {
        "package/package.json": HEAD,
        "package/.index.json": {"files": []},
        "package/ValueSet-colours.json": b"\xef\xbb\xbf" + json.dumps(COLOURS).encode(),
        "package/SearchParameter-x.json": {"resourceType": "SearchParameter", "id": "x"},
        "package/example/ValueSet-an-example.json": examples,
        "package/../../ValueSet-outside.json": examples,
        "/etc/ValueSet-absolute.json": examples,
        "package/readme.md": b"not JSON",
    }
    found = packages.read(packed(entries), "guide.tgz")
    assert (str(found), found.dependencies) == ("example.guide@1.2.0", {"other.guide": "2.0.0"})
    assert [one["id"] for one in found.resources] == ["colours"]


def test_a_link_is_never_followed() -> None:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as archive:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE):
            entry = tarfile.TarInfo("package/package.json")
            entry.type, entry.linkname = kind, "/etc/passwd"
            archive.addfile(entry)
    assert "it has no package/package.json" in refused(made.getvalue())


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"", "the file is cut off"),
        (b"PK\x03\x04", "the file is no .tgz"),
        (packed({"package/package.json": HEAD})[:-20], "the file is cut off"),
        (gzip.compress(b"no archive at all" * 100), "the package can't be read"),
        (packed({"package/package.json": b"{"}), "the package can't be read"),
        (packed({"package/ValueSet-colours.json": COLOURS}), "it has no package/package.json"),
        (packed({"package/package.json": HEAD | {"fhirVersions": ["5.0.0"]}}), "the package is not for FHIR R4"),
    ],
)
def test_what_is_no_package_is_refused(raw: bytes, text: str) -> None:
    assert text in refused(raw)
    assert "guide.tgz" in refused(raw)


def test_a_package_that_blows_up_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "LARGEST", 1 << 20)
    bomb = gzip.compress(bytes(8 << 20))
    assert len(bomb) < 10_000
    assert "unpacked it is larger" in refused(bomb)


def test_an_entry_that_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "LARGEST_ENTRY", 100)
    assert "the entries are too large" in refused(packed({"package/ValueSet-x.json": b" " * 101}))


def test_too_many_entries_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "MOST", 3)
    assert "more than 3 entries" in refused(packed({f"package/{n}.txt": b"" for n in range(4)}))


@given(st.binary(max_size=2000), st.booleans())
def test_any_bytes_are_read_or_refused(raw: bytes, zipped: bool) -> None:
    with suppress(Invalid):
        packages.read(gzip.compress(raw) if zipped else raw, "x")


GOOD = packed({"package/package.json": HEAD, "package/ValueSet-colours.json": COLOURS})


@given(st.integers(0, 1023), st.binary(min_size=1, max_size=40))
def test_a_broken_archive_is_read_or_refused(at: int, change: bytes) -> None:
    plain = gzip.decompress(GOOD)
    with suppress(Invalid):
        packages.read(gzip.compress(plain[:at] + change + plain[at + len(change) :]), "x")
