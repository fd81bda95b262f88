"""Whether a resource matches a search, judged by rules of our own: the product's own matcher is not asked.

https://hl7.org/fhir/R4/search.html
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

Resource = dict[str, Any]
Span = tuple[datetime, datetime]  # from … up to, the end left out
FIRST, LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
NAME = ("text", "family", "given", "prefix", "suffix")
ADDRESS = ("text", "line", "city", "district", "state", "postalCode", "country")
_STEPS = re.compile(r"\.(?![^(]*\))")
_WHERE = re.compile(r"where\(\s*url\s*=\s*'([^']+)'\s*\)")
_DATE = re.compile(r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d)(?:\.(\d+))?)?(Z|[+-]\d\d:\d\d)?)?)?)?")


# --- what an expression finds


def values(resource: Resource, expression: str) -> list[Any]:
    """What a search parameter's expression leads to, as far as US Core writes expressions."""
    return [found for branch in expression.split("|") for found in _branch(resource, branch.strip())]


def _branch(resource: Resource, branch: str) -> list[Any]:
    if branch.startswith("("):  # (Patient.deceased as dateTime)
        path, _, kind = branch.strip("()").partition(" as ")
        branch = f"{path}.as({kind})"
    at: list[Any] = [resource]
    steps = _STEPS.split(branch)[1:]
    for number, step in enumerate(steps):
        kind = steps[number + 1] if number + 1 < len(steps) else ""
        at = [one for value in at for one in _step(value, step, kind)]
    return at


def _step(value: Any, step: str, following: str) -> Iterator[Any]:
    if step.startswith("as("):
        yield value  # the step before took the kind into account
    elif step.startswith("where("):
        wanted = _WHERE.fullmatch(step)
        if wanted is None or value.get("url") == wanted[1]:
            yield value
    elif isinstance(value, dict):
        kind = following[3:-1] if following.startswith("as(") else ""
        for key, one in value.items():
            if key == step or _choice(key, step, kind):
                yield from one if isinstance(one, list) else [one]


def _choice(key: str, step: str, kind: str) -> bool:
    """effective -> effectiveDateTime; with a kind only that one."""
    rest = key.removeprefix(step)
    if rest == key or not rest[:1].isupper() or step not in CHOICES:
        return False
    return not kind or rest.lower() == kind.lower()


CHOICES = frozenset(["effective", "onset", "abatement", "deceased", "performed", "occurrence", "due", "value"])


# --- what matches what


def matches(kind: str, found: list[Any], asked: str) -> bool:
    """Whether any of the values matches any of what is asked, which commas separate."""
    return any(TESTS[kind](value, one) for value in found for one in asked.split(","))


def token(value: Any, asked: str) -> bool:
    system, bar, code = asked.rpartition("|")
    return any((not bar or place == system) and own.lower() == code.lower() for place, own in tokens(value))


def tokens(value: Any) -> list[tuple[str | None, str]]:
    """(system, code) of what a token parameter finds."""
    if not isinstance(value, dict):
        return [(None, str(value))]
    if "coding" in value or "text" in value:
        return [(one.get("system"), str(one.get("code", ""))) for one in value.get("coding", ())]
    return [(value.get("system"), str(value.get("code", value.get("value", ""))))]


def string(value: Any, asked: str) -> bool:
    return any(one.lower().startswith(asked.lower()) for one in strings(value))


def strings(value: Any) -> list[str]:
    """The texts of a name, an address or a plain string."""
    if isinstance(value, str):
        return [value]
    parts = [value.get(name) for name in dict.fromkeys(NAME + ADDRESS)]
    return [text for part in parts if part for text in ([part] if isinstance(part, str) else part)]


def reference(value: Any, asked: str) -> bool:
    own = value.get("reference", "") if isinstance(value, dict) else value.partition("|")[0]
    if asked.count("/") > 1:  # absolute: on this server, or the same address
        return bool(own == asked or asked.endswith("/fhir/" + own))
    return bool(own == asked or own.rpartition("/")[2] == asked)


def date(value: Any, asked: str) -> bool:
    prefix = asked[:2] if asked[:2].isalpha() else "eq"
    wanted = span(asked[2:] if asked[:2].isalpha() else asked)
    return PREFIXES[prefix](span(value), wanted)


def span(value: Any) -> Span:
    """From which moment up to which a date, an instant or a Period goes."""
    if isinstance(value, dict):
        start = span(value["start"])[0] if "start" in value else FIRST
        return start, span(value["end"])[1] if "end" in value else LAST
    found = _DATE.fullmatch(value)
    if found is None:
        raise ValueError(value)
    year, month, day, hour, minute, second, part, zone = found.groups()
    moment = datetime(int(year), int(month or 1), int(day or 1), int(hour or 0), int(minute or 0), int(second or 0))
    micros = int((part or "").ljust(6, "0")[:6])
    start = moment.replace(microsecond=micros, tzinfo=UTC) - _offset(zone)
    return start, start + _length(moment, found)


def _offset(zone: str | None) -> timedelta:
    if zone in (None, "Z"):
        return timedelta()
    away = timedelta(hours=int(zone[1:3]), minutes=int(zone[4:6]))
    return -away if zone[0] == "-" else away


def _length(moment: datetime, found: re.Match[str]) -> timedelta:
    _, month, day, hour, _, second, part, _ = found.groups()
    if not month:
        return timedelta(days=366 if monthrange(moment.year, 2)[1] == 29 else 365)
    if not day:
        return timedelta(days=monthrange(moment.year, moment.month)[1])
    if not hour:
        return timedelta(days=1)
    if not second:
        return timedelta(minutes=1)
    return timedelta(microseconds=10 ** max(0, 6 - len(part))) if part else timedelta(seconds=1)


PREFIXES: dict[str, Callable[[Span, Span], bool]] = {
    "eq": lambda own, asked: asked[0] <= own[0] and own[1] <= asked[1],
    "ne": lambda own, asked: not (asked[0] <= own[0] and own[1] <= asked[1]),
    "gt": lambda own, asked: own[1] > asked[1],
    "lt": lambda own, asked: own[0] < asked[0],
    "ge": lambda own, asked: own[1] > asked[1] or (asked[0] <= own[0] and own[1] <= asked[1]),
    "le": lambda own, asked: own[0] < asked[0] or (asked[0] <= own[0] and own[1] <= asked[1]),
    "sa": lambda own, asked: own[0] >= asked[1],
    "eb": lambda own, asked: own[1] <= asked[0],
}
TESTS: dict[str, Callable[[Any, str], bool]] = {"token": token, "string": string, "reference": reference, "date": date}
