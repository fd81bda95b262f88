"""What a limit is: so many a second, minute, hour, day or month, a burst, and so many at once; and how it is written.

RateLimit fields: https://datatracker.ietf.org/doc/html/draft-ietf-httpapi-ratelimit-headers
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from typing import Any

from suture.errors import Invalid
from suture.store.gateway_budgets import Window

MOST = 10**12
# name -> kind of window, its seconds (0: calendar months)
UNITS = {
    "second": ("bucket", 1),
    "minute": ("sliding", 60),
    "hour": ("sliding", 3600),
    "day": ("calendar", 86400),
    "month": ("calendar", 0),
}
BURST, CONCURRENCY = "burst", "concurrency"
NAMES = (*UNITS, BURST, CONCURRENCY)


@dataclass(frozen=True, slots=True)
class Limit:
    """One number of a set of limits."""

    name: str  # second … month, concurrency
    window: Window | None  # None: at once

    @property
    def count(self) -> int:
        return self.window.limit if self.window else 0


@dataclass(frozen=True, slots=True)
class Bound:
    """A limit and whom it counts: all requests with the same `bucket` share it, in every process."""

    bucket: str
    name: str
    window: Window | None = None
    at_once: int = 0


@dataclass(frozen=True, slots=True)
class Limits:
    """A set of limits as it is written in a file, a setting or on the command line."""

    numbers: tuple[tuple[str, int], ...] = ()

    def bounds(self, whom: str) -> tuple[Bound, ...]:
        """What a request of `whom` must pass."""
        return _bounds(self.numbers, whom)

    def __str__(self) -> str:
        return " ".join(f"{name}={count}" for name, count in self.numbers)


@cache
def _windows(numbers: tuple[tuple[str, int], ...]) -> tuple[tuple[str, Window | None, int], ...]:
    given = dict(numbers)
    made: list[tuple[str, Window | None, int]] = []
    for name, (kind, seconds) in UNITS.items():
        if name in given:
            most = given.get(BURST, given[name]) if kind == "bucket" else 0
            made.append((name, Window(kind, given[name], seconds, most), 0))
    if CONCURRENCY in given:
        made.append((CONCURRENCY, None, given[CONCURRENCY]))
    return tuple(made)


def _bounds(numbers: tuple[tuple[str, int], ...], whom: str) -> tuple[Bound, ...]:
    return tuple(Bound(f"{whom}/{name}", name, window, most) for name, window, most in _windows(numbers))


def read(values: Mapping[str, Any], where: str = "limits") -> Limits:
    """The limits of a table or of words; raises Invalid naming the word."""
    numbers = []
    for name, value in values.items():
        if name not in NAMES:
            close = get_close_matches(str(name), NAMES, 1)
            mend = f"Did you mean '{close[0]}'?" if close else f"There are: {', '.join(NAMES)}."
            raise Invalid(f"no limit named '{str(name)[:30]}'", where=where, mend=mend)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= MOST:
            raise Invalid(f"'{name}' must be a whole number above 0", where=where, mend=f"Write {name}: 100")
        numbers.append((str(name), int(value)))
    given = dict(numbers)
    if BURST in given and given[BURST] < given.get("second", MOST + 1):
        raise Invalid("'burst' goes with 'second' and is not smaller", where=where, mend="Write second: 10, burst: 30")
    return Limits(tuple(sorted(numbers, key=lambda one: NAMES.index(one[0]))))


def words(text: str, where: str = "limits") -> Limits:
    """Limits as words: `second=10 burst=30 day=5000`."""
    values: dict[str, Any] = {}
    for word in text.replace(",", " ").split():
        name, _, number = word.partition("=")
        values[name] = int(number) if number.isascii() and number.isdigit() and len(number) < 14 else number
    return read(values, where)
