"""Formats of primitives against R4's own regular expressions."""

from __future__ import annotations

import base64
import json
import re
import tarfile
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from suture.standards.fhir.validate.primitives import FINE, PATTERNS, fine_base64
from suture.standards.fhir.validate.shapes import surely
from tests import public

REGEX = "http://hl7.org/fhir/StructureDefinition/regex"


@cache
def official() -> dict[str, re.Pattern[str]]:
    """Type -> R4's own expression, read as Java reads it (ASCII spaces)."""
    found = {}
    with tarfile.open(public.path("fhir/hl7.fhir.r4.core-4.0.1.tgz")) as tar:
        for member in tar:
            name = member.name.removeprefix("package/StructureDefinition-").removesuffix(".json")
            if name not in FINE:
                continue
            definition = json.load(tar.extractfile(member))  # type: ignore[arg-type]
            value = next(e for e in definition["snapshot"]["element"] if e["path"] == f"{name}.value")
            texts = [x["valueString"] for t in value["type"] for x in t.get("extension", []) if x["url"] == REGEX]
            found |= {name: re.compile(text, re.ASCII) for text in texts}
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(PATTERNS))
def test_what_we_accept_r4_accepts(name: str) -> None:
    theirs = official()[name]

    @settings(max_examples=300, database=None)
    @given(st.from_regex(re.compile(PATTERNS[name].replace("{1,1048576}", "{1,20}"), re.ASCII), fullmatch=True))
    def accepted(text: str) -> None:
        assert theirs.fullmatch(text) or name in {"string", "markdown"}, text

    accepted()


# what R4's expression lets through and we do not, and why
STRICTER = {
    "date": re.compile(r"\d{4}-\d\d-(?:29|30|31)"),  # days that do not exist
    "dateTime": re.compile(r"\d{4}-\d\d-(?:29|30|31).*"),
    "instant": re.compile(r"\d{4}-\d\d-(?:29|30|31).*"),
    "string": re.compile(r"(?s).*[\x00-\x08\x0b\x0c\x0e-\x1f].*"),
    "markdown": re.compile(r"(?s).*[\x00-\x08\x0b\x0c\x0e-\x1f].*"),
    "code": re.compile(r"(?s).*[\x00-\x1f].*"),
    "uri": re.compile(r"(?s)|.*[\x00-\x1f].*"),  # empty texts, control characters
    "url": re.compile(r"(?s)|.*[\x00-\x1f].*"),
    "canonical": re.compile(r"(?s)|.*[\x00-\x1f].*"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(PATTERNS))
def test_what_r4_accepts_we_accept_but_for_good_reasons(name: str) -> None:
    theirs = official()[name]

    @settings(max_examples=300, database=None)
    @given(st.from_regex(theirs, fullmatch=True))
    def accepted(text: str) -> None:
        assert FINE[name](text) or (name in STRICTER and STRICTER[name].fullmatch(text)), text

    accepted()


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("date", ["2024-02-29", "2000-02-29", "0001", "2023-12-31"], ["2023-02-29", "1900-02-29", "2023-04-31", "2023-13", "0000", "2023-1-1", "2023-01-01T00:00:00Z", "20230101"]),
        ("dateTime", ["2024-02-29T23:59:60.123Z", "2024-01-01T00:00:00+14:00"], ["2024-01-01T00:00Z", "2024-01-01T00:00:00", "2024-01-01T24:00:00Z", "2024-01-01T00:00:00+14:30", "2024-01-01 00:00:00Z", "2024-01T00:00:00Z"]),
        ("instant", ["2024-02-29T23:59:59Z"], ["2024-02-29", "2023-02-29T23:59:59Z"]),
        ("time", ["00:00:00", "23:59:60", "10:00:00.123456"], ["24:00:00", "10:00", "10:00:00Z", "10:00:00."]),
        ("id", ["a", "A-1.b", "x" * 64], ["", "x" * 65, "a_b", "a/b", "\u00e4", "a\n"]),
        ("oid", ["urn:oid:2.16.840"], ["2.16.840", "urn:oid:3.1", "urn:oid:1.02"]),
        ("uuid", ["urn:uuid:53fefa32-fcbb-4ff8-8a92-55ee120877b7"], ["urn:uuid:53FEFA32-fcbb-4ff8-8a92-55ee120877b7", "53fefa32-fcbb-4ff8-8a92-55ee120877b7"]),
        ("code", ["a", "a b", "\u00e4"], ["", " a", "a ", "a  b", "a\x00"]),
        ("integer", [0, -2147483648, 2147483647], [2147483648, "1", 1.0, True, None]),
        ("unsignedInt", [0], [-1]),
        ("positiveInt", [1], [0, True]),
        ("decimal", [1, 1.5, -2], ["1", True, float("nan"), float("inf"), None]),
        ("boolean", [True, False], ["true", 1, None]),
        ("base64Binary", ["YQ==", "YWJj", "YW Jj\n", "+/+/"], ["", "YQ", "YQ=", "Y===", "YWJ-", 5, "YQ==YQ=="]),
        ("string", ["a", " ", "\t", "x" * 1048576], ["", "\x00", "\x0b", "x" * 1048577, None]),
    ],
)  # fmt: skip
def test_formats(name: str, good: list[object], bad: list[object]) -> None:
    assert [value for value in good if not surely(FINE[name], value)] == []
    assert [value for value in bad if surely(FINE[name], value)] == []


@given(st.binary(min_size=1))
def test_every_base64_text_is_fine(raw: bytes) -> None:
    text = base64.b64encode(raw).decode()
    assert fine_base64(text)
    assert fine_base64(text[:1] + " \n" + text[1:])
