"""The functions of maps: each is registered once with what it does, what it gives and examples that are its tests (docs/map-language.md)."""

from __future__ import annotations

import base64 as encoding
import binascii
import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from html import escape as as_html
from typing import Any, TypeVar

from suture.mapping import moments, systems
from suture.mapping.context import Source
from suture.standards.hl7v2.escapes import unescape

Work = Callable[..., Any]
W = TypeVar("W", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Doubt:
    """A value together with why somebody should look at it (no value in the reason)."""

    value: Any
    reason: str


@dataclass(frozen=True, slots=True)
class Function:
    """`work(text, source, *arguments)` gives the value, or None for a text it can't read."""

    name: str
    help: str
    gives: str  # the FHIR type of what it gives; `list`: several texts
    examples: tuple[tuple[str, Any], ...]  # the text (`text | argument`) and what comes out
    work: Work
    takes: str = "text"  # `parts`: the field or component as written, with its separators
    least: int = 0  # arguments
    most: int = 0
    of_nothing: bool = False  # is asked when the source is absent, too


REGISTRY: dict[str, Function] = {}


def function(
    help: str, gives: str, *examples: tuple[str, Any], takes: str = "text", arguments: tuple[int, int] = (0, 0),
    name: str = "", of_nothing: bool = False,
) -> Callable[[W], W]:  # fmt: skip
    """Registers a function under its name."""

    def register(work: W) -> W:
        called = name or work.__name__.rstrip("_")
        REGISTRY[called] = Function(called, help, gives, examples, work, takes, *arguments, of_nothing)
        return work

    return register


# --- dates and times


@function(
    "A date of the precision it has; a time of day is left away.",
    "date",
    ("19800131", "1980-01-31"), ("198001", "1980-01"), ("1980", "1980"), ("19800131235959-0500", "1980-01-31"),
    ("1980-01-31", "1980-01-31"), ("19800000", "1980"), ("19800500", "1980-05"), ("19800230", None), ("unknown", None),
)  # fmt: skip
def date(text: str, source: Source) -> str | None:
    return moments.day(text)


@function(
    "A dateTime of the precision it has; a time without an offset is a time in the source's time zone.",
    "dateTime",
    ("20260115083000", "2026-01-15T08:30:00+00:00"), ("202601150830-0500", "2026-01-15T08:30:00-05:00"),
    ("20260115", "2026-01-15"), ("20260115083000.123+0100", "2026-01-15T08:30:00.123+01:00"), ("202613", None),
    name="dateTime",
)  # fmt: skip
def date_time(text: str, source: Source) -> str | None:
    return moments.moment(text, source.time_zone)


@function(
    "An instant: at least precise to the minute, with an offset.",
    "instant",
    ("20260115083000", "2026-01-15T08:30:00+00:00"), ("20260115", None),
)  # fmt: skip
def instant(text: str, source: Source) -> str | None:
    return moments.instant(text, source.time_zone)


@function("A time of day.", "time", ("0830", "08:30:00"), ("08:30:15", "08:30:15"), ("2530", None))
def time(text: str, source: Source) -> str | None:
    return moments.clock_time(text)


# --- numbers and truth

NUMBER = re.compile(r"[+-]?(?:\d{1,30}(?:\.\d{0,30})?|\.\d{1,30})")
RANGE = re.compile(r"\s*(-?\d+(?:\.\d+)?)\s*(?:-|–|to)\s*(-?\d+(?:\.\d+)?)\s*")
BOUND = re.compile(r"\s*(<=?|>=?|≤|≥)\s*(-?\d+(?:\.\d+)?)\s*")
TRUTH = {"Y": True, "YES": True, "T": True, "TRUE": True, "1": True}
TRUTH |= {"N": False, "NO": False, "F": False, "FALSE": False, "0": False}


@function(
    "A number as it is written: 72.50 stays 72.50.",
    "decimal",
    ("72.50", Decimal("72.50")), ("7", 7), ("+.5", Decimal("0.5")), ("-3.", -3), ("1,5", None), ("<5", None),
)  # fmt: skip
def decimal(text: str, source: Source) -> Decimal | int | None:
    text = text.strip()
    if not NUMBER.fullmatch(text) or not text.isascii():
        return None
    text = text.removeprefix("+").removesuffix(".")
    return Decimal(text) if "." in text else int(text)


@function(
    "A whole number.",
    "integer",
    ("007", 7),
    ("-3", -3),
    ("3.0", 3),
    ("3.5", None),
    ("99999999999", None),
)
def integer(text: str, source: Source) -> int | None:
    number = decimal(text, source)
    if number is None or number != int(number) or not -(2**31) <= number < 2**31:
        return None
    return int(number)


@function(
    "A number that a comparator may stand before: <5 is 5.",
    "decimal",
    ("72.50", Decimal("72.50")),
    ("< 5", 5),
    (">=1.0", Decimal("1.0")),
    ("negative", None),
)
def amount(text: str, source: Source) -> Decimal | int | None:
    found = decimal(text, source)
    if found is not None:
        return found
    bound = BOUND.fullmatch(text)
    return decimal(bound[2], source) if bound else None


COMPARATORS = {"<": "<", "<=": "<=", ">": ">", ">=": ">=", "≤": "<=", "≥": ">="}


@function("The comparator before a number.", "code", ("<5", "<"), ("≥ 1.0", ">="), ("5", None))
def comparator(text: str, source: Source) -> str | None:
    bound = BOUND.fullmatch(text) if text[:1] in "<>≤≥ " else None
    return COMPARATORS[bound[1]] if bound else None


@function("Text that is no amount.", "string", ("see note", "see note"), ("<5", None), ("7.0", None), (" ", None))
def words(text: str, source: Source) -> str | None:
    return text.strip() or None if amount(text, source) is None else None


@function("A whole number above 0.", "positiveInt", ("1", 1), ("0", None), name="positiveInt")
def positive(text: str, source: Source) -> int | None:
    number = integer(text, source)
    return number if number is not None and number > 0 else None


@function("A whole number, 0 or above.", "unsignedInt", ("0", 0), ("-1", None), name="unsignedInt")
def unsigned(text: str, source: Source) -> int | None:
    number = integer(text, source)
    return number if number is not None and number >= 0 else None


@function("Yes or no: Y, N, YES, NO, T, F, TRUE, FALSE, 1, 0.", "boolean", ("Y", True), ("no", False), ("U", None))
def boolean(text: str, source: Source) -> bool | None:
    return TRUTH.get(text.strip().upper())


@function(
    "The lower end of a range written as text.",
    "decimal",
    ("3.5-5.1", Decimal("3.5")),
    (">10", 10),
    ("<5", None),
    ("negative", None),
)
def range_low(text: str, source: Source) -> Decimal | int | None:
    return _bound(text, source, 1, ">≥")


@function(
    "The upper end of a range written as text.",
    "decimal",
    ("3.5-5.1", Decimal("5.1")),
    ("<5", 5),
    (">10", None),
    ("negative", None),
)
def range_high(text: str, source: Source) -> Decimal | int | None:
    return _bound(text, source, 2, "<≤")


def _bound(text: str, source: Source, end: int, signs: str) -> Decimal | int | None:
    found = RANGE.fullmatch(text)
    if found:
        return decimal(found[end], source)
    found = BOUND.fullmatch(text)
    if not found or found[1][0] not in signs:
        return None
    return decimal(found[2], source)


# --- text


@function("Text without blanks around it and without control characters.", "string", (" a\tb\n ", "a\tb"), (" ", None))
def text(text: str, source: Source) -> str | None:
    kept = "".join(c for c in text if c >= " " or c in "\n\t") if not text.isprintable() else text
    return kept.strip() or None


@function(
    "What stands in all parts of a field, as text for people.",
    "string",
    ("Doe^Jane^^^Dr", "Doe Jane Dr"),
    (r"4^a \T\ b", "4 a & b"),
    ("^^", None),
    takes="parts",
)
def readable(text: str, source: Source) -> str | None:
    return " ".join(unescape(part).strip() for part in re.split(r"[\^&]", text) if part.strip()) or None


@function("Text without blanks around it.", "string", ("  a b ", "a b"))
def trim(text: str, source: Source) -> str | None:
    return text.strip() or None


@function("Upper case.", "string", ("abc", "ABC"))
def upper(text: str, source: Source) -> str:
    return text.upper()


@function("Lower case.", "string", ("ABC", "abc"))
def lower(text: str, source: Source) -> str:
    return text.lower()


@function(
    "Each word begins with a capital.",
    "string",
    ("O'BRIEN-SMITH", "O'Brien-Smith"),
    ("mary ann", "Mary Ann"),
)
def title(text: str, source: Source) -> str:
    return text.title()


@function("Only the digits.", "string", ("(555) 010-4477", "5550104477"), ("none", None))
def digits(text: str, source: Source) -> str | None:
    return "".join(c for c in text if "0" <= c <= "9") or None


@function("A code: no blanks around it, single ones inside.", "code", (" a  b ", "a b"), (" ", None))
def code(text: str, source: Source) -> str | None:
    return " ".join(text.split()) or None


@function(
    "The parts between a separator.", "list", ("a b | ' '", ["a", "b"]), ("a;;b | ;", ["a", "b"]), arguments=(1, 1)
)
def split(text: str, source: Source, separator: str) -> list[str] | None:
    return [part.strip() for part in text.split(separator or " ") if part.strip()] or None


@function("The first characters.", "string", ("12345-6789 | 5", "12345"), arguments=(1, 1))
def first(text: str, source: Source, count: str) -> str | None:
    return text[: int(count)] or None


@function("A URI; a bare OID or UUID becomes urn:oid:, urn:uuid:.", "uri", ("1.2.3", "urn:oid:1.2.3"), ("a b", None))
def uri(text: str, source: Source) -> str | None:
    text = text.strip()
    if systems.OID.fullmatch(text):
        return f"urn:oid:{text}"
    if systems.UUID.fullmatch(text):
        return f"urn:uuid:{text.lower()}"
    return text if text and not any(c.isspace() for c in text) else None


@function(
    "Text as XHTML for a narrative.", "xhtml", ("a < b", '<div xmlns="http://www.w3.org/1999/xhtml">a &lt; b</div>')
)
def xhtml(text: str, source: Source) -> str:
    return f'<div xmlns="http://www.w3.org/1999/xhtml">{as_html(text, quote=False)}</div>'


@function("Text (UTF-8) in Base64.", "base64Binary", ("abc", "YWJj"))
def base64(text: str, source: Source) -> str:
    return encoding.b64encode(text.encode("utf-8", "replace")).decode("ascii")


@function(
    "Base64, checked; line breaks are taken out.", "base64Binary", ("YW\nJj", "YWJj"), ("!", None), name="base64Binary"
)
def base64_binary(text: str, source: Source) -> str | None:
    packed = "".join(text.split())
    try:
        encoding.b64decode(packed, validate=True)
    except (binascii.Error, ValueError):
        return None
    return packed or None


@function("Bytes written as hexadecimal digits.", "base64Binary", ("616263", "YWJj"), ("6", None), name="hex")
def hexadecimal(text: str, source: Source) -> str | None:
    try:
        return encoding.b64encode(bytes.fromhex(text)).decode("ascii") or None
    except ValueError:
        return None


# --- telephone

PREFIXES = {"US": "1", "CA": "1", "GB": "44", "IE": "353", "DE": "49", "AT": "43", "CH": "41", "FR": "33", "NL": "31"}
PREFIXES |= {"BE": "32", "ES": "34", "IT": "39", "AU": "61", "NZ": "64", "IN": "91", "MX": "52", "BR": "55", "JP": "81"}


@function(
    "A telephone number in E.164; without a country code it is one of the source's country (or of the one named).",
    "string",
    ("(555) 010-4477", "+15550104477"), ("1-555-010-4477", "+15550104477"), ("+44 20 7946 0000", "+442079460000"),
    ("020 7946 0000 | GB", "+442079460000"), ("5550104477 x12", "+15550104477"), ("12", None),
    arguments=(0, 1),
)  # fmt: skip
def e164(text: str, source: Source, country: str = "") -> str | None:
    number = re.split(r"(?i)\s*(?:x|ext\.?)\s*\d+\s*$", text.strip(), maxsplit=1)[0]
    found = digits(number, source) or ""
    prefix = PREFIXES.get(country or source.country, "")
    if number.startswith("+"):
        full = found
    elif number.startswith("00"):
        full = found[2:]
    elif prefix == "1":
        full = found if len(found) == 11 and found[0] == "1" else "1" + found if len(found) == 10 else ""
    else:
        full = prefix + found.removeprefix("0") if prefix else ""
    return f"+{full}" if 8 <= len(full) <= 15 else None


# --- who numbers, who names

MOST_NAMES = 4096


@function(
    "The system of an assigning authority (HD): the source's table, else its universal id, else the source's own; none is the source's own.",
    "uri",
    ("HOSP&2.16.840.1.1&ISO", "urn:oid:2.16.840.1.1"), ("", "urn:suture:source:source"), ("^https://example.org/mrn^URI", "https://example.org/mrn"),
    takes="parts", of_nothing=True,
)  # fmt: skip
def system(text: str, source: Source) -> Any:
    return _remembered("system " + text, source, lambda: _system(text, source))


def _system(text: str, source: Source) -> str | Doubt:
    parts = [unescape(part).strip() for part in re.split(r"[\^&]", text)] + ["", "", ""]
    found, sure = systems.authority(parts[0], parts[1], parts[2], source)
    return found if sure else Doubt(found, "an assigning authority that the source's table does not know")


def _remembered(key: str, source: Source, work: Callable[[], Any]) -> Any:
    """Names come again and again; a stranger can't fill the memory with them."""
    found = source.memo.get(key)
    if found is None:
        if len(source.memo) > MOST_NAMES:
            source.memo.clear()
        found = source.memo[key] = work()
    return found


@function(
    "The URI of a code system's name (HL7 table 0396 or the source's table); a local one stays the source's own.",
    "uri",
    ("LN", "http://loinc.org"), ("HL70001", "http://terminology.hl7.org/CodeSystem/v2-0001"), ("L", "urn:suture:source:source:code:L"),
    ("2.16.840.1.113883.6.1", "urn:oid:2.16.840.1.113883.6.1"),
)  # fmt: skip
def coding_system(text: str, source: Source) -> Any:
    return _remembered("code " + text, source, lambda: _coding_system(text, source))


def _coding_system(text: str, source: Source) -> str | Doubt:
    found, sure = systems.coding_system(text.strip(), source)
    return found if sure else Doubt(found, "a code system's name that nobody knows")


def number_text(value: Any) -> str:
    """A JSON scalar as the text a function takes."""
    if value is True or value is False:
        return "true" if value else "false"
    return value if isinstance(value, str) else str(value)


__all__ = ["REGISTRY", "Doubt", "Function", "function", "number_text"]
