"""Compares one indexed value with one value asked for, kind by kind: https://hl7.org/fhir/R4/search.html#prefix"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from math import asin, cos, radians, sin, sqrt
from typing import Any

from suture.standards import ucum
from suture.standards.fhir.index_time import DAY
from suture.standards.fhir.index_values import fold, number_range_row
from suture.standards.fhir.search_query import Moment, Nearby, Number, Target, Text, Token, TypedIdentifier, Uri

GLOBE = 6_371_008.8  # metres, its mean radius
UCUM = "http://unitsofmeasure.org"
Found = dict[
    str, list[tuple[Any, ...]]
]  # name of a list of Rows -> what a parameter has there, without the atom's number


def widening(moment: Moment) -> int:
    """How far `ap` looks to both sides: as far as the date itself reaches, at least a day."""
    return max(moment.high - moment.low, DAY)


def _within(m: Moment, low: int, high: int) -> bool:
    return m.low <= low and high <= m.high


MOMENTS: dict[str, Callable[[Moment, int, int], bool]] = {
    "eq": _within,
    "ne": lambda m, low, high: not _within(m, low, high),
    "gt": lambda m, low, high: high > m.high,
    "lt": lambda m, low, high: low < m.low,
    "ge": lambda m, low, high: high > m.high or _within(m, low, high),
    "le": lambda m, low, high: low < m.low or _within(m, low, high),
    "sa": lambda m, low, high: low >= m.high,
    "eb": lambda m, low, high: high <= m.low,
    "ap": lambda m, low, high: low < m.high + widening(m) and high > m.low - widening(m),
    "co": lambda m, low, high: low <= m.low and m.high <= high,
    "po": lambda m, low, high: low < m.high and high > m.low,
}


def distance(one: tuple[float, float], other: tuple[float, float]) -> float:
    """Metres between two places (latitude, longitude in degrees) on a globe."""
    a, b = radians(one[0]), radians(other[0])
    across = sin((b - a) / 2) ** 2 + cos(a) * cos(b) * sin(radians(other[1] - one[1]) / 2) ** 2
    return 2 * GLOBE * asin(min(1.0, sqrt(across)))


def place(value: Nearby, found: Found) -> bool:
    here = value.latitude, value.longitude
    return any(distance(here, (low, high)) <= value.metres for *_, low, high in found.get("quantities", ()))


def near(number: Number) -> tuple[float, float]:
    """A tenth to both sides, for `ap`."""
    reach = abs(number.value) / 10
    return min(number.value - reach, number.low), max(number.value + reach, number.high)


NUMBERS: dict[str, Callable[[Number, float, float], bool]] = {
    "eq": lambda n, low, high: n.low <= low and high < n.high,
    "ne": lambda n, low, high: not (n.low <= low and high < n.high),
    "gt": lambda n, low, high: high > n.value,
    "lt": lambda n, low, high: low < n.value,
    "ge": lambda n, low, high: high >= n.value,
    "le": lambda n, low, high: low <= n.value,
    "sa": lambda n, low, high: low > n.value,
    "eb": lambda n, low, high: high < n.value,
    "ap": lambda n, low, high: low <= near(n)[1] and high >= near(n)[0],
}


def date(value: Moment, found: Found) -> bool:
    compare = MOMENTS[value.prefix]
    return any(compare(value, low, high) for low, high in found.get("dates", ()))


def number(value: Number, found: Found) -> bool:
    compare = NUMBERS[value.prefix]
    return any(
        compare(asked, low, high)
        for system, code, unit, low, high in found.get("quantities", ())
        if (asked := in_unit(value, system, code, unit)) is not None
    )


def covers(value: Number, item: Any) -> bool:
    """Lies the number in what the digits of an item leave open, or in a Range?"""
    if isinstance(item, dict):
        row = number_range_row(item)
        return row is not None and row[3] <= value.value <= row[4]
    number = Decimal(str(item))
    place = int(number.as_tuple().exponent) - ("E" in str(number))
    half = Decimal(5).scaleb(place - 1)
    return float(number - half) <= value.value < float(number + half)


@lru_cache(4096)
def in_unit(value: Number, system: str, code: str, unit: str) -> Number | None:
    """What is asked, in the unit of a stored quantity; None when that unit is not meant.

    With a system the code counts, and other UCUM codes of the same kind; without one, the code or the unit as it is written.
    """
    if value.system is None:
        return value if value.unit in (None, code, unit) else None
    if value.system != system:
        return None
    if value.unit in (None, code):
        return value
    return _converted(value, code) if system == UCUM else None


def _converted(value: Number, code: str) -> Number | None:
    """UCUM takes moles for mere numbers, so that mmol/L converts to cells per litre; here amounts of substance stay apart."""
    source, target = ucum.unit(value.unit or ""), ucum.unit(code)
    if source is None or target is None or not source.dimension or source.dimension != target.dimension:
        return None
    if _amounts(value.unit or "") != _amounts(code):
        return None

    try:
        ends = [
            float((Fraction(text) * source.factor + source.offset - target.offset) / target.factor)
            for text in (value.text, repr(value.low), repr(value.high))
        ]
    except (OverflowError, ValueError):
        return None  # larger than any number that is stored
    return replace(value, value=ends[0], low=ends[1], high=ends[2])


def _amounts(code: str) -> frozenset[str]:
    bare = re.sub(r"\[[^\]]*\]|\{[^}]*\}", "", code)
    return frozenset(name for name in ("mol", "osm", "eq", "kat", "U") if name in bare)


def token(value: Token, found: Found) -> bool:
    return (
        any(_token_fits(value, system, code) for system, code in found.get("tokens", ()))
        or any(value.system in (None, "") and (value.code or "").lower() == word for (word,) in found.get("words", ()))
        or identifier(value, found)
    )


def _token_fits(value: Token, system: str, code: str) -> bool:
    if value.code is None:
        return value.system == system
    return value.system in (None, system) and value.code.lower() == code


def identifier(value: Token, found: Found) -> bool:
    """Identifiers are compared to the letter: two that differ in case may be two persons."""
    return any(
        value.system in (None, system) and value.code in (None, text) for system, text in found.get("identifiers", ())
    )


def typed_identifier(value: TypedIdentifier, found: Found) -> bool:
    return (value.system, value.code.lower(), value.value) in found.get("typed", ())


def starts(value: Text, found: Found) -> bool:
    return any(text.startswith(fold(value.text)) for (text,) in found.get("strings", ()))


def contains(value: Text, found: Found) -> bool:
    return any(fold(value.text) in text for (text,) in found.get("strings", ()))


def folded(operator: str) -> Callable[[Text, Found], bool]:
    """A text as `_filter` compares it: folded, by its code points."""
    fits = TEXTS[operator]
    return lambda value, found: any(fits(text, fold(value.text)) for (text,) in found.get("strings", ()))


TEXTS: dict[str, Callable[[str, str], bool]] = {
    "eq": lambda text, asked: text == asked,
    "ne": lambda text, asked: text != asked,
    "ew": lambda text, asked: text.endswith(asked),
    "gt": lambda text, asked: text > asked,
    "lt": lambda text, asked: text < asked,
    "ge": lambda text, asked: text >= asked,
    "le": lambda text, asked: text <= asked,
}


def reference(value: Target, found: Found) -> bool:
    if value.url:
        return (f"{value.url}|{value.version}" if value.version else value.url,) in found.get("urls", ())
    return any(value.type in ("", type) and value.id == id for type, id in found.get("references", ()))


def uri(value: Uri, found: Found) -> bool:
    return (value.text,) in found.get("urls", ())


def uri_below(value: Uri, found: Found) -> bool:
    return any(text == value.text or text.startswith(below(value.text)) for (text,) in found.get("urls", ()))


def uri_above(value: Uri, found: Found) -> bool:
    return any(text in above(value.text) for (text,) in found.get("urls", ()))


def below(url: str) -> str:
    """What all URLs below this one begin with."""
    return url if url.endswith("/") else url + "/"


def above(url: str) -> frozenset[str]:
    """The URL and all that stand above it, with and without the last slash."""
    parts = url.split("/")
    heads = ["/".join(parts[:n]) for n in range(1, len(parts) + 1)]
    return frozenset(h for head in heads if head for h in (head, head + "/")) | {url}
