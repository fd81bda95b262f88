"""The history of a resource, a type, or everything (https://hl7.org/fhir/R4/http.html#history)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from urllib.parse import urlencode

import suture.services.interactions.bundle as bundle
import suture.services.interactions.guard as guard
from suture.access import policy
from suture.access.caller import Caller
from suture.access.policy import Reach
from suture.errors import InvalidSearch, TooCostly
from suture.services.interactions.answer import Answer
from suture.services.interactions.chart import Chart
from suture.services.interactions.cursor import PARAMETER, Place
from suture.services.interactions.incoming import require_type
from suture.store import resources, sound, whose
from suture.store.connection import Connection
from suture.store.resources import NEWEST, Row

Pairs = Sequence[tuple[str, str]]
LOOK = 200  # versions looked at in one go, at least
QUICK, LONG = 1_000, 100_000  # versions looked through for one full page: on the loop, in a thread
PART = Reach.PART
_KNOWN = ("_count", "_since", PARAMETER)


@dataclass(frozen=True, slots=True)
class Asked:
    """One page of a history."""

    type: str
    id: str
    count: int
    since: int = 0
    after: resources.Place = NEWEST

    @property
    def path(self) -> str:
        return "/".join(part for part in (self.type, self.id, "_history") if part)

    @property
    def interaction(self) -> str:
        return f"history-{'instance' if self.id else 'type' if self.type else 'system'}"


async def history(chart: Chart, caller: Caller, type: str, id: str, pairs: Pairs) -> Answer:
    """One page, newest first; every version is judged by itself."""
    if type:
        require_type(type)
    async with chart.access(caller, _asked(chart, type, id).interaction, type, id) as access:
        try:
            answer = page(chart, chart.database.read, caller, type, id, pairs)
        except TooCostly:
            answer = await chart.slowly(lambda connection: page(chart, connection, caller, type, id, pairs, LONG))
        access.concerns(answer.patients)
        return answer


def page(
    chart: Chart, connection: Connection, caller: Caller, type: str, id: str, pairs: Pairs, most: int = QUICK
) -> Answer:
    """The part of a history below its audit frame; raises TooCostly past `most` versions."""
    pairs, asked = _read(chart, caller, _asked(chart, type, id), pairs)
    if id:
        guard.visible(connection, caller, asked.interaction, type, id)
    else:
        policy.require(caller, asked.interaction, type or "*")
    rows, more = _rows(connection, caller, asked, most)
    links = [("self", f"{chart.fhir_url}/{asked.path}" + ("?" + urlencode(pairs) if pairs else ""))]
    if more:
        sealed = chart.cursors.seal(caller, asked.path, Place(list(pairs), list(more)), chart.clock.micros())
        links.append(("next", f"{chart.fhir_url}/{asked.path}?{PARAMETER}={sealed}"))
    return Answer(bundle.history(chart.fhir_url, rows, links, None), 200, whose.of_versions(connection, rows))


def _asked(chart: Chart, type: str, id: str) -> Asked:
    return Asked(type, id, chart.settings["fhir.page_size"])


def _rows(connection: Connection, caller: Caller, asked: Asked, most: int) -> tuple[list[Row], resources.Place | None]:
    """A full page of rows the caller may see, and where the next one goes on.

    Hidden rows are passed over: neither the size of a page nor whether it has a next one tells anything of them.
    """
    allowed = guard.judge_versions(connection, caller, asked.interaction)
    seen: list[Row] = []
    count = max(asked.count + 1, LOOK if policy.reach(caller, asked.interaction, asked.type or "*") is PART else 0)
    for _ in range(0, most, count):
        found = sound.history(connection, asked.type, asked.id, since=asked.since, after=asked.after, count=count)
        for row in filter(allowed, found):
            if len(seen) == asked.count:
                return seen, _place(seen[-1])
            seen.append(row)
        if len(found) < count:
            return seen, None
        asked = replace(asked, after=_place(found[-1]))
    raise TooCostly(
        "this history is too long to be looked through",
        where=asked.type or "_history",
        mend="Name a type or a resource, or use _since.",
    )


def _place(row: Row) -> resources.Place:
    return resources.Place(row.updated, row.rid, row.version)


def _read(chart: Chart, caller: Caller, asked: Asked, pairs: Pairs) -> tuple[Pairs, Asked]:
    """What is asked for: the parameters as they are, or as a cursor keeps them."""
    given = dict(pairs)
    if PARAMETER in given:
        if len(pairs) > 1:
            raise InvalidSearch("a cursor stands alone", where=PARAMETER, mend="Follow the link as it was given.")
        place = chart.cursors.open(caller, asked.path, given[PARAMETER], chart.clock.micros())
        return place.pairs, replace(_plain(chart, asked, place.pairs), after=resources.Place(*place.position))
    return pairs, _plain(chart, asked, pairs)


def _plain(chart: Chart, asked: Asked, pairs: Pairs) -> Asked:
    for name, value in pairs:
        if name not in _KNOWN:
            raise InvalidSearch(
                "a history has no such parameter", where=name[:100], mend="It knows _count, _since and _format."
            )
        if name == "_count":
            asked = replace(asked, count=_count(value, chart.settings["fhir.max_page_size"]))
        elif name == "_since":
            asked = replace(asked, since=_instant(value))
    return asked


def _count(text: str, limit: int) -> int:
    if not (text.isascii() and text.isdigit() and 0 < len(text) < 10) or int(text) == 0:
        raise InvalidSearch("not a whole number from 1", where="_count")
    return min(int(text), limit)


def _instant(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text.replace(" ", "+"))
        if moment.tzinfo is None:
            raise ValueError
        return int(moment.timestamp() * 1_000_000)
    except (ValueError, OverflowError):
        raise InvalidSearch("not an instant", where="_since", mend="Write 2026-11-25T08:00:00Z.") from None
