"""Reads the values of search parameters, kind by kind: https://hl7.org/fhir/R4/search.html#ptypes"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from decimal import Decimal, InvalidOperation

from suture.errors import InvalidSearch
from suture.standards import ucum
from suture.standards.fhir.definitions import RESOURCE_TYPES
from suture.standards.fhir.index_time import written_range
from suture.standards.fhir.index_values import LONGEST_TEXT, fold
from suture.standards.fhir.search_query import (
    Moment,
    Nearby,
    Number,
    Parts,
    Target,
    Text,
    Token,
    TypedIdentifier,
    Uri,
    Value,
)

MOST_VALUES = 500
MOST_RANGES = 50  # of values that are more than one exact key
LONGEST_VALUE = 2048
NEAR = 10  # kilometres, when no distance is given
FARTHEST = 2.1e7  # metres: from anywhere to anywhere
PREFIXES = ("eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap")

_METRE = ucum.unit("m")
assert _METRE is not None
METRE = _METRE
_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}", re.ASCII)
_NUMBER = re.compile(r"[+-]?\d{1,40}(?:\.\d{1,40})?(?:[eE][+-]?\d{1,3})?", re.ASCII)


def pieces(text: str, separator: str) -> list[str]:
    r"""Splits at separators that no backslash escapes; the escapes stay in the pieces."""
    if separator not in text:
        return [text]
    found, start, at = [], 0, 0
    while at < len(text):
        if text[at] == "\\":
            at += 1
        elif text[at] == separator:
            found.append(text[start:at])
            start = at + 1
        at += 1
    return [*found, text[start:]]


def plain(text: str) -> str:
    r"""Without escapes: `\,` `\|` `\$` `\\`; a backslash before anything else stands for itself."""
    return re.sub(r"\\([,|$\\])", r"\1", text) if "\\" in text else text


def escaped(text: str) -> str:
    """The opposite of `plain`."""
    return re.sub(r"([,|$\\])", r"\\\1", text)


def values(text: str, kind: str, where: str, read: Callable[[str], Value]) -> tuple[Value, ...]:
    """All values of a comma list, read with `read`; duplicates once, in order."""
    most = MOST_VALUES if kind in ("token", "reference", "uri") else MOST_RANGES
    if len(text) > LONGEST_VALUE * 16:
        raise InvalidSearch(
            "the value is too long", where=where, mend=f"A value has at most {LONGEST_VALUE} characters."
        )
    parts = pieces(text, ",")
    if len(parts) > most:
        raise InvalidSearch(f"more than {most} values", where=where, mend="Search in several requests.")
    return tuple(dict.fromkeys(read(checked(part, where)) for part in parts))


def checked(part: str, where: str) -> str:
    if not part:
        raise InvalidSearch("a value is empty", where=where, mend="Leave the parameter out, or use :missing.")
    if len(part) > LONGEST_VALUE:
        raise InvalidSearch("a value is too long", where=where, mend=f"A value has at most {LONGEST_VALUE} characters.")
    if "\x00" in part or any("\ud800" <= c <= "\udfff" for c in part):
        raise InvalidSearch("a value holds a character that no text can have", where=where)
    return part


def token(text: str, where: str) -> Token:
    parts = pieces(text, "|")
    if len(parts) > 2 or text == "|":
        raise InvalidSearch("not a token", where=where, mend="Write code, system|code, |code or system|.")
    if len(parts) == 1:
        return Token(None, plain(parts[0]))
    return Token(plain(parts[0]), plain(parts[1]) or None)


def typed_identifier(text: str, where: str) -> TypedIdentifier:
    parts = [plain(p) for p in pieces(text, "|")]
    if len(parts) != 3 or not all(parts):
        raise InvalidSearch("not a typed identifier", where=where, mend="Write system|code|value.")
    return TypedIdentifier(*parts)


def string(text: str, where: str) -> Text:
    if len(fold(plain(text))) > LONGEST_TEXT:
        raise InvalidSearch("a text is too long", where=where, mend=f"{LONGEST_TEXT} characters are compared.")
    if not fold(plain(text)):
        raise InvalidSearch("a text has no letter and no digit", where=where, mend="Punctuation is passed over.")
    return Text(plain(text))


def uri(text: str, where: str) -> Uri:
    return Uri(plain(text))


def moment(text: str, where: str) -> Moment:
    prefix, rest = _prefix(text)
    try:
        low, high = written_range(rest)
    except ValueError:
        mend = "Write YYYY, YYYY-MM, YYYY-MM-DD or YYYY-MM-DDThh:mm:ssZ, with a prefix such as ge if need be"
        mend += "; in a URL, + is written %2B." if " " in rest else "."
        raise InvalidSearch("not a date", where=where, mend=mend) from None
    return Moment(prefix, rest, low, high)


def number(text: str, where: str) -> Number:
    prefix, rest = _prefix(text)
    value, half = _measured(rest, where)
    return Number(prefix, rest, float(value), float(value - half), float(value + half))


def quantity(text: str, where: str) -> Number:
    parts = pieces(text, "|")
    if len(parts) not in (1, 3):
        raise InvalidSearch("not a quantity", where=where, mend="Write number, number|system|code or number||code.")
    prefix, rest = _prefix(parts[0])
    value, half = _measured(rest, where)
    system, unit = [*(plain(p) for p in parts[1:]), "", ""][:2]
    bounds = float(value), float(value - half), float(value + half)
    return Number(prefix, rest, *bounds, system=system or None, unit=unit or None)


def nearby(text: str, where: str) -> Nearby:
    """`latitude|longitude|distance|unit`; without a distance NEAR, without a unit kilometres."""
    parts = [*pieces(text, "|"), "", ""]
    if len(parts) not in (4, 5, 6) or any(part and not _NUMBER.fullmatch(part) for part in parts[:3]):
        raise InvalidSearch("not a place", where=where, mend="Write latitude|longitude|distance|unit, 48.1|11.6|5|km.")
    latitude, longitude = (float(part or "nan") for part in parts[:2])
    if not (-90 <= latitude <= 90 and -180 <= longitude <= 180):
        raise InvalidSearch("no place on the earth", where=where, mend="Latitude -90 to 90, longitude -180 to 180.")
    unit = ucum.unit(parts[3] or "km")
    if unit is None or unit.dimension != METRE.dimension:
        raise InvalidSearch("not a length", where=where, mend="Write a UCUM unit: km, m, [mi_i].")
    metres = min(abs(float(parts[2] or NEAR)) * float(unit.factor / METRE.factor), FARTHEST)
    return Nearby(text, latitude, longitude, metres)


def _prefix(text: str) -> tuple[str, str]:
    return (text[:2], text[2:]) if text[:2] in PREFIXES else ("eq", text)


def _measured(text: str, where: str) -> tuple[Decimal, Decimal]:
    """The number and half of what its last digit leaves open; the specification gives 1e2 as 95 to 105."""
    if not _NUMBER.fullmatch(text):
        raise InvalidSearch(
            "not a number", where=where, mend="Write digits such as 5.4 or 1e3, with a prefix such as gt."
        )
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise InvalidSearch("not a number", where=where) from None
    place = int(value.as_tuple().exponent) - (1 if "e" in text.lower() else 0)
    return value, Decimal(5).scaleb(place - 1)


def reference(wanted: str, base_url: str) -> Callable[[str, str], Target]:
    """A reader of references; `wanted` is the type of a `:Type` modifier."""

    def read(text: str, where: str) -> Target:
        return _reference(plain(text), wanted, base_url, where)

    return read


def _reference(text: str, wanted: str, base_url: str, where: str) -> Target:
    local = text[len(base_url) + 1 :] if base_url and text.startswith(base_url + "/") else text
    kind, slash, name = local.partition("/")
    if not slash and _ID.fullmatch(local):
        return Target(wanted, local)
    if slash and kind in RESOURCE_TYPES and "/_history/" in name:
        raise InvalidSearch("a version of a resource can't be searched for", where=where, mend="Write Type/id.")
    if slash and kind in RESOURCE_TYPES and _ID.fullmatch(name):
        return _of_type(Target(kind, name), wanted, where)
    if ":" not in text:
        raise InvalidSearch("not a reference", where=where, mend="Write id, Type/id or an absolute URL.")
    url, _, version = text.partition("|")
    return Target(wanted, "", url, version)


def _of_type(target: Target, wanted: str, where: str) -> Target:
    if wanted and target.type != wanted:
        raise InvalidSearch(f"the reference is not to a {wanted}", where=where)
    return target


def composite(readers: list[Callable[[str, str], Value]]) -> Callable[[str, str], Parts]:
    """A reader of `a$b`, each component with its own reader."""

    def read(text: str, where: str) -> Parts:
        parts = pieces(text, "$")
        if len(parts) != len(readers):
            raise InvalidSearch(
                f"a composite of {len(readers)} values is needed", where=where, mend="Join them with $."
            )
        return Parts(tuple(_components(parts, readers, where)))

    return read


def _components(parts: list[str], readers: list[Callable[[str, str], Value]], where: str) -> Iterator[Value]:
    for part, read in zip(parts, readers, strict=True):
        yield read(checked(part, where), where)
