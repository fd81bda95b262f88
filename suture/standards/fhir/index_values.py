"""Values as they are compared: folded text, ranges of numbers and dates, local and foreign references. https://hl7.org/fhir/R4/search.html#ptypes"""

from __future__ import annotations

import string
import unicodedata
from collections.abc import Iterator
from typing import Any

from suture.standards.fhir.definitions import RESOURCE_TYPES
from suture.standards.fhir.index_time import EARLIEST, LATEST, moment_range

INFINITY = float("inf")
LONGEST_TEXT = 200  # characters of a folded text that are compared
SPECIAL_VALUES = "http://terminology.hl7.org/CodeSystem/special-values"
CURRENCIES = "urn:iso:std:iso:4217"

_PLAIN = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i", "ħ": "h"})


_JOINED = "'`.’‘ʼ´"  # O'Brien is Obrien, St. is St; other punctuation parts words
_SIGNS = str.maketrans({sign: None if sign in _JOINED else " " for sign in string.punctuation})


def fold(text: str) -> str:
    """Without case, accents, punctuation and repeated white space: how strings are compared."""
    if not text.isascii():
        apart = unicodedata.normalize("NFKD", text.casefold())
        kept = (_sign(c) for c in apart if not unicodedata.combining(c))
        text = "".join(kept).translate(_PLAIN)
    return " ".join(text.lower().translate(_SIGNS).split())


def _sign(c: str) -> str:
    if c.isascii() or unicodedata.category(c)[0] != "P":
        return "" if c in _JOINED else c
    return "" if c in _JOINED else " "


def cut(text: str) -> str:
    """Folded and no longer than what is kept."""
    return fold(text)[:LONGEST_TEXT]


# --- dates


def period_range(period: dict[str, Any]) -> tuple[int, int]:
    """[low, high) of a Period; a missing end is open."""
    start, end = period.get("start"), period.get("end")
    low = EARLIEST if start is None else moment_range(start)[0]
    return low, LATEST if end is None else max(moment_range(end)[1], low + 1)


def timing_ranges(timing: dict[str, Any]) -> Iterator[tuple[int, int]]:
    """The outer limits of a Timing: of its events, or of the bounds of its repetition."""
    events = [moment_range(e) for e in timing.get("event", ()) if e is not None]
    bounds = timing.get("repeat", {}).get("boundsPeriod")
    if events:
        yield min(low for low, _ in events), max(high for _, high in events)
    elif bounds is not None:
        yield period_range(bounds)


# --- quantities: (system, code, unit, low, high); low = high for a value without comparator


def quantity_row(quantity: dict[str, Any]) -> tuple[str, str, str, float, float] | None:
    """None when there is no value."""
    value = quantity.get("value")
    if value is None:
        return None
    low = high = float(value)
    comparator = quantity.get("comparator")
    if comparator is not None:
        low, high = (-INFINITY, high) if comparator[0] == "<" else (low, INFINITY)
    return quantity.get("system", ""), quantity.get("code", ""), quantity.get("unit", ""), low, high


def money_row(money: dict[str, Any]) -> tuple[str, str, str, float, float] | None:
    value = money.get("value")
    if value is None:
        return None
    currency = money.get("currency", "")
    return CURRENCIES, currency, currency, float(value), float(value)


def range_row(span: dict[str, Any]) -> tuple[str, str, str, float, float] | None:
    """A Range with the unit of its low (or only) end; a missing end is open."""
    low, high = span.get("low", {}), span.get("high", {})
    ends = low if low.get("value") is not None else high
    if ends.get("value") is None:
        return None
    bottom = float(low["value"]) if low.get("value") is not None else -INFINITY
    top = float(high["value"]) if high.get("value") is not None else INFINITY
    return ends.get("system", ""), ends.get("code", ""), ends.get("unit", ""), bottom, top


def number_range_row(span: dict[str, Any]) -> tuple[str, str, str, float, float] | None:
    """A Range for a number parameter: without unit, per cent as a fraction."""
    row = range_row(span)
    if row is None:
        return None
    scale = 100 if "%" in row[1:3] else 1
    return "", "", "", row[3] / scale, row[4] / scale


def sampled_row(sampled: dict[str, Any]) -> tuple[str, str, str, float, float] | None:
    """The span of a SampledData's readings, in the unit of its origin."""
    origin = sampled.get("origin", {})
    zero, factor = float(origin.get("value", 0)), float(sampled.get("factor", 1))
    readings = [zero + factor * float(d) for d in sampled.get("data", "").split() if d not in ("E", "U", "L")]
    if not readings:
        return None
    return origin.get("system", ""), origin.get("code", ""), origin.get("unit", ""), min(readings), max(readings)


def place_row(position: dict[str, Any]) -> tuple[str, str, str, float, float]:
    """A place on the earth: latitude and longitude where others have their low and high end."""
    return "", "", "", float(position.get("latitude", 0)), float(position.get("longitude", 0))


# --- references: (type, id, '') here, (type or '', '', url) elsewhere; an empty url says that there is something


def elsewhere(reference: dict[str, Any], base: str) -> Iterator[tuple[str, str, str]]:
    """A Reference that is not simply `Type/id`: absolute, versioned, contained, or without any reference."""
    text = reference.get("reference", "")
    local = local_parts(text, base)
    if local is not None:
        yield (*local, "")
    elif not text or text.startswith("#"):
        yield reference.get("type", ""), "", ""
    else:
        yield reference.get("type") or foreign_type(text), "", text


ANY_VERSION = "|"  # behind a canonical that names none, so that chains can tell


def elsewhere_canonical(url: str, base: str) -> Iterator[tuple[str, str, str]]:
    """A canonical, found by its URL with and without version; a relative one is a resource here."""
    local = local_parts(url, "")
    if local is not None:
        yield (*local, "")
        return
    kind = foreign_type(url.partition("|")[0])
    for text in canonical_urls(url):
        yield kind, "", text
    if "|" not in url:
        yield kind, "", url + ANY_VERSION


def local_parts(reference: str, base: str) -> tuple[str, str] | None:
    """(type, id) when the reference is to a resource of this server, whatever the version; None otherwise."""
    if base and reference.startswith(base):
        reference = reference[len(base) :]
    parts = reference.split("/")
    if len(parts) not in (2, 4) or parts[0] not in RESOURCE_TYPES or not parts[1]:
        return None
    if len(parts) == 4 and parts[2] != "_history":
        return None
    return parts[0], parts[1]


def foreign_type(reference: str) -> str:
    """The resource type that a URL elsewhere names, or ''."""
    parts = reference.partition("/_history/")[0].rsplit("/", 2)
    return parts[1] if len(parts) == 3 and parts[1] in RESOURCE_TYPES else ""


def canonical_urls(url: str) -> tuple[str, ...]:
    """A canonical is found by its URL alone and by `url|version`."""
    bare, bar, _ = url.partition("|")
    return (bare, url) if bar else (url,)
