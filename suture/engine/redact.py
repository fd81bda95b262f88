"""Shows what a message is like without saying whose it is: structure and types stay, values are masked (45 CFR 164.502(b))."""

from __future__ import annotations

from typing import Any

from suture.standards.hl7v2 import message as hl7v2

PLAIN = frozenset(
    {"resourceType", "status", "method", "use", "system", "url", "location", "times", "errors", "warnings", "delivery"}
)
HEADER = ("MSH", "MSA", "EVN")
_MASK = str.maketrans(
    {
        **dict.fromkeys("abcdefghijklmnopqrstuvwxyz", "x"),
        **dict.fromkeys("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "X"),
        **dict.fromkeys("0123456789", "9"),
    }
)


def masked(value: Any, name: str = "") -> Any:
    """The value with its texts and numbers masked."""
    if isinstance(value, dict):
        return {key: masked(item, key) for key, item in value.items()}
    if isinstance(value, list):
        return [masked(item, name) for item in value]
    if value is None or isinstance(value, bool) or name in PLAIN:
        return value
    return text(value) if isinstance(value, str) else "9"


def text(value: str) -> str:
    """A text with letters and digits masked; letters of other scripts too."""
    return "".join(c if c.isascii() else "x" for c in value.translate(_MASK))


def original(raw: bytes, kind: str) -> str:
    """A message as it came, masked: HL7 v2 keeps its delimiters, segment names and header."""
    shown = raw.decode("utf-8", "replace")
    if kind != "hl7v2":
        return text(shown)
    lines = shown.replace("\r\n", "\r").replace("\n", "\r").split("\r")
    return "\n".join(line if line[:3] in HEADER else line[:3] + text(line[3:]) for line in lines if line)


def plain(raw: bytes, kind: str) -> str:
    """A message as it came, for who may see it."""
    shown = raw.decode("utf-8", "replace")
    return shown.replace("\r\n", "\n").replace("\r", "\n") if kind == "hl7v2" else shown


def content(value: Any, reveal: bool) -> Any:
    """A step's output for a screen."""
    if isinstance(value, hl7v2.Message):
        return plain(value.original, "hl7v2") if reveal else original(value.original, "hl7v2")
    return value if reveal else masked(value)
