"""Breaking the glass: the form with its reason, what is open, and for who reads the trail what nobody has looked at yet."""

from __future__ import annotations

from suture.access import glass as rules
from suture.access.policy import require_permission
from suture.errors import Forbidden, SutureError
from suture.server.admin import asked, pages, rows
from suture.server.admin.shapes import GlassRow, GlassView
from suture.server.route import Request, Response, Route
from suture.services import patients
from suture.store import glass
from suture.store.connection import Tx
from suture.store.glass import Glass

FIELDS = {"patient": "id of the Patient, or an identifier", "reason": "what the emergency is, in 10 to 500 characters"}
PLACE = "/break-glass"
SAID = {
    "opened": "The record is open: look at it in your app, which you open anew.",
    "ended": "Ended.",
    "reviewed": "Noted that you looked at it.",
}


def view(request: Request) -> GlassView:
    """One's own, and for who may review them those that wait for it."""
    read, caller = request.site.database.read, request.caller
    reviews = rules.REVIEW in caller.permissions
    return {
        "own": [_row(one, request) for one in glass.of(read, caller.id)],
        "waiting": [_row(one, request) for one in glass.unreviewed(read)] if reviews else [],
    }


def _row(one: Glass, request: Request) -> GlassRow:
    open_ = not one.closed and one.expires > request.site.clock.micros()
    return {
        "id": one.id,
        "name": one.name,
        "patient": one.patient,
        "reason": one.reason,
        "opened": rows.when(one.opened),
        "expires": rows.when(one.expires),
        "open": open_,
        "own": one.who == request.caller.id,
        "reviewer": one.reviewer,
    }


def _require_either(request: Request) -> None:
    if rules.REVIEW not in request.caller.permissions:
        require_permission(request.caller, rules.BREAK)


async def glass_page(request: Request) -> Response:
    """The form and the lists."""
    async with request.site.interactions.access(request.caller, "list", "Glass"):
        _require_either(request)
        said = SAID.get(dict(request.pairs()).get("said", ""), "")
        return _page(request, said)


def _page(request: Request, said: str = "", error: SutureError | None = None) -> Response:
    breaks = rules.BREAK in request.caller.permissions
    life = request.site.settings["glass.life"]
    return pages.page(
        request, "glass.html", error.status if error else 200, **view(request), said=said, error=error, breaks=breaks,
        minutes=max(1, round(life / 60)), shortest=rules.SHORTEST_REASON, longest=rules.LONGEST_REASON,
    )  # fmt: skip


async def break_page(request: Request) -> Response:
    """The form was sent."""
    given = await asked.fields(request, FIELDS)
    try:
        await _break(request, given)
    except Forbidden:
        raise
    except SutureError as error:
        return _page(request, error=error)
    return pages.see(f"{PLACE}?said=opened")


async def _break(request: Request, given: dict[str, str]) -> Glass:
    site, caller = request.site, request.caller
    reason = given.get("reason", "")
    try:
        rules.require_reason(reason)
        patient = patients.named(site.database.read, given.get("patient", ""))
        return await site.database.write(lambda tx: rules.break_(tx, caller, patient, reason, site.settings))
    except SutureError as error:
        await site.denied(caller, request.remote, error.status)
        error.audited = True
        raise


async def end_page(request: Request) -> Response:
    """Ends one's own."""
    await _end(request)
    return pages.see(f"{PLACE}?said=ended")


async def _end(request: Request) -> Glass:
    return await request.site.database.write(lambda tx: rules.end(tx, request.caller, request.params["id"]))


async def review_page(request: Request) -> Response:
    """Notes that somebody has looked at it."""

    def unit(tx: Tx) -> Glass:
        return rules.review(tx, request.caller, request.params["id"])

    try:
        await request.site.database.write(unit)
    except Forbidden:
        raise
    except SutureError as error:
        return _page(request, error=error)
    return pages.see(f"{PLACE}?said=reviewed")


async def list_json(request: Request) -> Response:
    """One's own broken glass, and what waits for a review."""
    async with request.site.interactions.access(request.caller, "list", "Glass"):
        _require_either(request)
        return pages.as_json(view(request))


async def break_json(request: Request) -> Response:
    """Opens one patient's record in an emergency, for a while and with a reason."""
    made = await _break(request, await asked.fields(request, FIELDS))
    answer = pages.as_json(_row(made, request))
    answer.status = 201
    return answer


async def end_json(request: Request) -> Response:
    """Ends one's own before its time."""
    ended = await _end(request)
    found = glass.get(request.site.database.read, ended.id)
    return pages.as_json(_row(found or ended, request))


ROUTES = [
    Route("GET", PLACE, glass_page, "caller", scope="glass.break or audit.read"),
    Route("POST", PLACE, break_page, rules.BREAK),
    Route("POST", "/break-glass/{id}/end", end_page, rules.BREAK),
    Route("POST", "/break-glass/{id}/reviewed", review_page, rules.REVIEW),
    Route("GET", "/api/break-glass", list_json, "caller", scope="glass.break or audit.read", answer=GlassView),
    Route("POST", "/api/break-glass", break_json, rules.BREAK, fields=FIELDS, answer=GlassRow),
    Route("POST", "/api/break-glass/{id}/end", end_json, rules.BREAK, answer=GlassRow),
]
