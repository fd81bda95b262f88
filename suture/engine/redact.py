"""Shows what a message is like without saying whose it is: structure and types stay, values are masked (45 CFR 164.502(b))."""

from __future__ import annotations

import re
from typing import Any

from suture.errors import SutureError
from suture.message import DeliveryState
from suture.standards.fhir import json
from suture.standards.hl7v2 import message as hl7v2

# member of a FHIR resource -> what its value looks like when it is a word of the standard, never of a person
_FHIR_WORDS = {
    "resourceType": re.compile(r"[A-Z][A-Za-z]{2,40}"),
    "method": re.compile(r"[A-Z]{3,6}"),
    "use": re.compile(r"[a-z]{2,12}"),
    "status": re.compile(r"[a-z][a-z-]{2,30}|\d{3}( [A-Z][A-Za-z]+)?"),
    "type": re.compile(r"[a-z][a-z-]{2,30}"),
    "system": re.compile(r"[a-z][a-z0-9+.-]*:\S+|phone|fax|email|pager|url|sms|other"),
}
# member of a step's output -> what Suture itself writes there
_OWN_WORDS = {"delivery": re.compile(r"[0-9a-f-]{36}"), "status": re.compile("|".join(DeliveryState))}
_COUNTS = frozenset({"status", "times", "errors", "warnings"})
ADDRESSES = frozenset({"url", "location"})  # plain as far as the type; ids and queries are masked
SHOWN_OF = {"MSA": 3, "EVN": 3}  # fields shown; MSA-3 and EVN-5 are free text and a person
_SEGMENT = re.compile(r"[A-Z][A-Z0-9]{2}(?=[^A-Za-z0-9]|$)")
_TYPE = re.compile(r"[A-Z][A-Za-z]{2,40}(?=[/?]|$)")
_DEFINITION = re.compile(
    r"https?://(hl7\.org|terminology\.hl7\.org|unitsofmeasure\.org|loinc\.org|snomed\.info)/[\w./-]*"
)
_MASK = str.maketrans(
    {
        **dict.fromkeys("abcdefghijklmnopqrstuvwxyz", "x"),
        **dict.fromkeys("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "X"),
        **dict.fromkeys("0123456789", "9"),
    }
)


def masked(value: Any, name: str = "", fhir: bool = False) -> Any:
    """The value with its texts and numbers masked; what is a word of FHIR stays inside of resources only."""
    if isinstance(value, dict):
        fhir = fhir or "resourceType" in value
        return {key: masked(item, key, fhir) for key, item in value.items()}
    if isinstance(value, list):
        return [masked(item, name, fhir) for item in value]
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _masked_text(value, name, fhir)
    return value if isinstance(value, int) and name in _COUNTS and 0 <= value < 1000 else "9"


def _masked_text(value: str, name: str, fhir: bool) -> str:
    if fhir and name in ADDRESSES:
        return address(value)
    word = (_FHIR_WORDS if fhir else _OWN_WORDS).get(name)
    return value if word and word.fullmatch(value) else text(value)


def address(value: str) -> str:
    """`Patient?identifier=…` and `Patient/…` with everything but the type masked; a definition's URL stays."""
    if _DEFINITION.fullmatch(value):
        return value
    kind = _TYPE.match(value)
    return kind[0] + text(value[kind.end() :]) if kind else text(value)


def text(value: str) -> str:
    """A text with letters and digits masked; letters of other scripts too."""
    return "".join(c if c.isascii() else "x" for c in value.translate(_MASK))


def original(raw: bytes, kind: str) -> str:
    """Bytes that came or went, masked: HL7 v2 keeps its delimiters, segment names and header, JSON its structure."""
    shown = raw.decode("utf-8", "replace")
    if kind != "hl7v2":
        return _document(raw, shown)
    lines = shown.replace("\r\n", "\r").replace("\n", "\r").split("\r")
    return "\n".join(line if at == 0 and line[:3] == "MSH" else _line(line) for at, line in enumerate(lines) if line)


def _document(raw: bytes, shown: str) -> str:
    if not shown.lstrip().startswith("{"):
        return text(shown)
    try:
        return indented(masked(json.read(raw)))
    except SutureError:
        return text(shown)


def _line(line: str) -> str:
    """One segment; what does not begin like one (a line that was broken) is masked whole."""
    name = _SEGMENT.match(line)
    if name is None:
        return text(line)
    cut = line.split(line[3:4] or "|")
    shown = SHOWN_OF.get(name[0], 1)
    return (line[3:4] or "|").join([*cut[:shown], *(text(part) for part in cut[shown:])])


def _json(raw: bytes) -> str:
    """A JSON original with its names in the clear and its values masked; '' when it is none."""
    try:
        return json.write(masked(json.read(raw))).decode()
    except SutureError:
        return ""


def plain(raw: bytes, kind: str) -> str:
    """Bytes that came or went, for who may see them."""
    shown = raw.decode("utf-8", "replace")
    return shown.replace("\r\n", "\n").replace("\r", "\n") if kind == "hl7v2" else shown


def content(value: Any, reveal: bool) -> Any:
    """A step's output for a screen."""
    if isinstance(value, hl7v2.Message):
        return plain(value.original, "hl7v2") if reveal else original(value.original, "hl7v2")
    return value if reveal else masked(value)


def indented(value: Any, depth: int = 0) -> str:
    """A content as text to read: one member a line, numbers as they were written."""
    inner, outer = "  " * (depth + 1), "  " * depth
    if isinstance(value, dict) and value:
        rows = [f"{inner}{_scalar(key)}: {indented(item, depth + 1)}" for key, item in value.items()]
        return "{\n" + ",\n".join(rows) + f"\n{outer}}}"
    if isinstance(value, list) and value:
        return "[\n" + ",\n".join(inner + indented(item, depth + 1) for item in value) + f"\n{outer}]"
    return value if isinstance(value, str) and not depth else _scalar(value)


def _scalar(value: Any) -> str:
    try:
        return json.write(value).decode()
    except TypeError:  # a value of FHIRPath: a date, a quantity
        return json.write(str(value)).decode()
