"""Records that may be of one person: the queue, two of them side by side, and what a person decides about them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import suture.services.matches.decide as decide
import suture.standards.fhir.patient_links as linking
from suture.access.caller import Caller
from suture.clock import instant
from suture.server.admin import asked, deeds, pages
from suture.server.admin.asked import Asked
from suture.server.admin.shapes import MatchPage, MatchRow, MatchView
from suture.server.route import Request, Response, Route
from suture.services.audit import words
from suture.services.interactions.chart import Chart
from suture.services.matches import view
from suture.services.matches.view import Listed, Shown
from suture.store import whose
from suture.store.connection import Connection
from suture.store.matches import Pair

PAGE = 20
FILTERS = {"show": ", ".join(view.SHOWS)}
CURSOR = {asked.CURSOR: "the cursor `older` of the page before; then no filter"}
LINK = {
    "survivor": "id of the record that stands",
    "kind": f"{linking.REPLACES}: it stands for the other from now on; {linking.ALSO}: both stand",
}
_TARGET = "console/matches"
_LOWEST = 1 << 20  # added to scores, so that a place in the list is one number
PLACE = "/matches"
SHOWS = {"open": "Waiting", "later": "Put off", "linked": "Linked", "apart": "Two persons"}
NOTHING = {
    "open": "Nobody seems to be here twice.",
    "later": "Nothing was put off.",
    "linked": "No records are linked.",
    "apart": "Nobody said yet that a pair is two persons.",
}
SAID = {
    "link": "Linked. Both records are kept.",
    "unlink": "Taken apart. Both records are as they were.",
    "dismiss": "Noted: two persons. It is not asked again unless one of the records changes.",
    "later": "Put off.",
}


def row(connection: Connection, shown: Shown) -> MatchRow:
    """A pair as it is today."""
    pair, one, other = shown.pair, view.read(shown.one), view.read(shown.other)
    like = view.compared(one, other)
    agree, differ = view.reasons(like)
    return {
        "id": str(pair.n),
        "state": pair.state,
        "grade": pair.grade,
        "score": like.score,
        "found": instant(pair.found),
        "due": instant(pair.due),
        "decided": instant(pair.decided) if pair.decided else "",
        "decided_by": words.who(connection, pair.who) if pair.who else "",
        "agree": agree,
        "differ": differ,
        "records": [
            {
                "id": record.id,
                "name": view.headline(patient),
                "birth_date": str(patient.get("birthDate", "")),
                "gender": str(patient.get("gender", "")),
                "updated": instant(record.updated),
            }
            for record, patient in ((shown.one, one), (shown.other, other))
        ],
    }


async def find(request: Request, wanted: Asked) -> MatchPage:
    """A page of the queue; its audit row names everybody on it."""
    show = asked.choice(dict(wanted.pairs), "show", view.SHOWS)
    before = (wanted.before >> 32) - _LOWEST, wanted.before & 0xFFFFFFFF
    now = request.site.clock.micros()
    async with request.site.interactions.access(request.caller, "list", decide.KIND, query=wanted.names) as access:

        def work(connection: Connection) -> tuple[Listed, tuple[str, ...]]:
            found = view.listed(connection, request.caller, show, now, before, PAGE)
            return found, whose.of_rows(connection, [r for s in found.shown for r in (s.one, s.other)])

        found, patients = await request.site.interactions.slowly(work)
        access.concerns(patients)
    older = ""
    if found.after is not None:
        score, n = found.after
        older = asked.sealed(request, _TARGET, wanted.pairs, (score + _LOWEST) << 32 | n)
    return {"matches": [row(request.site.database.read, shown) for shown in found.shown], "older": older}


async def view_of(request: Request) -> MatchView:
    """Both records of the address."""
    n, read = number(request), request.site.database.read
    async with request.site.interactions.access(request.caller, "read", decide.KIND, str(n)) as access:
        shown = Shown(*decide.seen(read, request.caller, n))
        access.concerns(whose.of_rows(read, (shown.one, shown.other)))
    one, other = view.read(shown.one), view.read(shown.other)
    return {
        "match": row(read, shown),
        "linked": linking.linked(one, other, read.shared.base),
        "lines": [
            {"name": line.name, "one": line.one, "other": line.other, "how": line.how}
            for line in view.side_by_side(one, other)
        ],
    }


def number(request: Request) -> int:
    """The pair of the address; 0, which none has, for what is no number."""
    text = request.params["id"]
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else 0


async def link(request: Request) -> MatchRow:
    """Links both records: they are of one person."""
    given = await asked.fields(request, LINK)
    kind = given.get("kind") or linking.REPLACES
    pair = await decide.link(_chart(request), request.caller, number(request), given.get("survivor", ""), kind)
    return _decided(request, pair)


async def unlink(request: Request) -> MatchRow:
    """Takes a link back: they are of two persons."""
    return await _simply(request, decide.unlink)


async def dismiss(request: Request) -> MatchRow:
    """They are of two persons; not asked again unless one of the records changes."""
    return await _simply(request, decide.dismiss)


async def later(request: Request) -> MatchRow:
    """Puts the decision off."""
    return await _simply(request, decide.later)


async def _simply(request: Request, way: Callable[[Chart, Caller, int], Awaitable[Pair]]) -> MatchRow:
    await asked.fields(request, ())
    return _decided(request, await way(_chart(request), request.caller, number(request)))


def _decided(request: Request, pair: Pair) -> MatchRow:
    read = request.site.database.read
    return row(read, Shown(*decide.seen(read, request.caller, pair.n)))


def _chart(request: Request) -> Chart:
    return request.site.interactions.chart


async def list_json(request: Request) -> Response:
    """Pairs of records that may be of one person, the likeliest first."""
    return pages.as_json(await find(request, asked.of_url(request, _TARGET, FILTERS)))


async def pair_json(request: Request) -> Response:
    """Both records side by side."""
    return pages.as_json(await view_of(request))


async def matches_page(request: Request) -> Response:
    """The queue; `said` names what a form before it came to."""
    wanted = asked.of_url(request, _TARGET, {**FILTERS, "said": ""})
    found = await find(request, wanted)
    older = f"{PLACE}?{asked.CURSOR}={found['older']}" if found["older"] else ""
    show, said = wanted["show"] or view.SHOWS[0], SAID.get(wanted["said"], "")
    shown: dict[str, Any] = {
        "matches": found["matches"],
        "older": older,
        "show": show,
        "shows": SHOWS,
        "nothing": NOTHING[show],
    }
    return pages.page(request, "matches.html", **shown, said=said)


async def pair_page(request: Request) -> Response:
    """Two records side by side."""
    return pages.page(request, "match.html", **await view_of(request))


ROUTES = [
    Route("GET", PLACE, matches_page, decide.PERMISSION, "r of both Patients", query={**FILTERS, **CURSOR}),
    Route("GET", f"{PLACE}/{{id}}", pair_page, decide.PERMISSION, "r of both Patients"),
    Route("POST", f"{PLACE}/{{id}}/link", deeds.form(link, f"{PLACE}?said=link"), decide.PERMISSION, fields=LINK),
    Route("POST", f"{PLACE}/{{id}}/unlink", deeds.form(unlink, f"{PLACE}?said=unlink"), decide.PERMISSION),
    Route("POST", f"{PLACE}/{{id}}/dismiss", deeds.form(dismiss, f"{PLACE}?said=dismiss"), decide.PERMISSION),
    Route("POST", f"{PLACE}/{{id}}/later", deeds.form(later, f"{PLACE}?said=later"), decide.PERMISSION),
    Route(
        "GET", "/api/matches", list_json, decide.PERMISSION, "r of both Patients", query={**FILTERS, **CURSOR}, answer=MatchPage
    ),
    Route("GET", "/api/matches/{id}", pair_json, decide.PERMISSION, "r of both Patients", answer=MatchView),
    Route("POST", "/api/matches/{id}/link", deeds.program(link), decide.PERMISSION, "r and u of both Patients", fields=LINK, answer=MatchRow),
    Route("POST", "/api/matches/{id}/unlink", deeds.program(unlink), decide.PERMISSION, "r and u of both Patients", answer=MatchRow),
    Route("POST", "/api/matches/{id}/dismiss", deeds.program(dismiss), decide.PERMISSION, "r of both Patients", answer=MatchRow),
    Route("POST", "/api/matches/{id}/later", deeds.program(later), decide.PERMISSION, "r of both Patients", answer=MatchRow),
]  # fmt: skip
