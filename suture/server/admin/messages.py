"""What came in: the list that renews itself, one message with its original, and why it may be seen unmasked."""

from __future__ import annotations

import hashlib
from typing import Any
from urllib.parse import urlencode

from suture.component import moment
from suture.engine import redact, replay
from suture.errors import Invalid, InvalidSearch, NotFound
from suture.message import MessageState
from suture.server.admin import asked, pages, rows
from suture.server.admin.asked import Asked
from suture.server.admin.rooms import engine
from suture.server.admin.shapes import Done, Figures, MessagePage, MessageView
from suture.server.route import Request, Response, Route
from suture.store import figures as store_figures
from suture.store import messages, whose
from suture.store.connection import Tx
from suture.store.messages import Entry
from suture.store.queue import dead

PAGE = 50
FILTERS = {
    "state": "received, filtered, unrouted, done, failed",
    "type": "such as ADT^A01 or Patient",
    "control_id": "MSH-10, or the sender's event id",
    "source": "such as mllp:2575 or hooks:intake",
    "since": "2h, 2026-11-25 or 2026-11-25T08:00 (UTC)",
    "until": "the same",
}
SEARCH = {**FILTERS, asked.PRIVATE: "an identifier the message names"}
CURSOR = {asked.CURSOR: "the cursor `older` of the page before; then no filter"}
REASON = {"reason": "why it must be seen; kept in the audit trail"}
_TARGET = "console/messages"


# --- views


def find(request: Request, wanted: Asked) -> MessagePage:
    """A page of messages, the newest first."""
    asked.require_may_name(request, wanted.pairs)
    read, now = request.site.database.read, request.site.clock.micros()
    found = messages.find(
        read, source=wanted["source"], control_id=wanted["control_id"], type=wanted["type"],
        patient=wanted[asked.PRIVATE], state=_state(wanted["state"]), since=moment(wanted["since"], now),
        until=moment(wanted["until"], now) or asked.FIRST, before=wanted.before, count=PAGE + 1,
    )  # fmt: skip
    shown = found[:PAGE]
    older = asked.sealed(request, _TARGET, wanted.pairs, shown[-1].mid) if len(found) > PAGE else ""
    return {"messages": [rows.message(read, one) for one in shown], "older": older}


def _state(text: str) -> MessageState | None:
    if text and text not in set(MessageState):
        raise InvalidSearch("no state of this name", where="state", mend=f"One of: {', '.join(MessageState)}.")
    return MessageState(text) if text else None


def figures(request: Request) -> Figures:
    """The last hour, and what is open now."""
    found = store_figures.now(request.site.database.read, request.site.clock.micros())._asdict()
    at_least = [name for name, value in found.items() if value >= store_figures.MOST]
    return {**found, "at_least": at_least}  # type: ignore[typeddict-item]


def entry(request: Request) -> Entry:
    """The message of the address; raises NotFound."""
    found = messages.entry(request.site.database.read, request.params["id"])
    if found is None:
        raise NotFound("no message with this id", where="messages", mend="It may be gone by retention.")
    return found


def view(request: Request, one: Entry, reveal: bool) -> MessageView:
    """One message; what it holds is masked unless it is revealed."""
    read, shown = request.site.database.read, redact.plain if reveal else redact.original
    try:
        original = shown(messages.original(read, one.mid), one.kind)
    except NotFound as gone:
        original = gone.text
    same = messages.find(read, control_id=one.control_id, source=one.source, count=20) if one.control_id else []
    return {
        "message": rows.message(read, one),
        "revealed": reveal,
        "patients": messages.patients_of(read, one.mid) if reveal else [],
        "original": original,
        "answer": shown(messages.answer(read, one.mid), one.kind),
        "same_control_id": [rows.message(read, other) for other in same if other.mid != one.mid],
        "letters": [rows.letter(read, one) for one in dead.of_message(read, one.mid)],
    }


# --- pages


async def live_page(request: Request) -> Response:
    """The list with its figures and filters; a mistake in a filter is told above the unfiltered list."""
    mistake = None
    try:
        wanted = asked.of_url(request, _TARGET, FILTERS)
        shown = _live(request, wanted)
    except Invalid as error:
        wanted, mistake = Asked(), error
        shown = _live(request, wanted)
    async with request.site.interactions.access(request.caller, "list", "Message", query=wanted.names):
        return pages.page(request, "live.html", mistake.status if mistake else 200, **shown, mistake=mistake)


async def live_part(request: Request) -> Response:
    """The part that renews itself; 304 while nothing changed, which shows nothing and leaves no audit row."""
    wanted = asked.of_url(request, _TARGET, FILTERS)
    part = pages.page(request, "live_part.html", **_live(request, wanted))
    tag = f'"{hashlib.sha256(part.body).hexdigest()[:24]}"'
    part.headers.append((b"etag", tag.encode()))
    if request.header(b"if-none-match") == tag:
        return Response(304, headers=part.headers)
    async with request.site.interactions.access(request.caller, "list", "Message", query=wanted.names):
        return part


def _live(request: Request, wanted: Asked) -> dict[str, Any]:
    page = find(request, wanted)
    return {
        "figures": figures(request),
        "wanted": wanted,
        "messages": page["messages"],
        "older": f"/?{asked.CURSOR}={page['older']}" if page["older"] else "",
        "live": f"/live?{request.query_string.decode('latin-1')}" if wanted.before == asked.FIRST else "",
        "states": list(MessageState),
    }


async def filter_page(request: Request) -> Response:
    """The filter form: goes on to an address that names no patient."""
    given = await asked.fields(request, SEARCH)
    pairs = asked.checked([pair for pair in given.items() if pair[1]], SEARCH)
    asked.require_may_name(request, pairs)
    if asked.PRIVATE in dict(pairs):
        return pages.see(f"/?{asked.CURSOR}={asked.sealed(request, _TARGET, pairs)}")
    return pages.see("/" + ("?" + urlencode(pairs) if pairs else ""))


async def message_page(request: Request) -> Response:
    """One message, masked."""
    async with request.site.interactions.access(request.caller, "read", "Message", request.params["id"]) as access:
        one = entry(request)
        access.concerns(whose.of_message(request.site.database.read, one.mid))
        return pages.page(request, "message.html", **view(request, one, False), mistake=None)


async def reveal_page(request: Request) -> Response:
    """One message, unmasked, for a reason; without one it stays masked."""
    try:
        return pages.page(request, "message.html", **await _revealed(request), mistake=None)
    except asked.NoReason as error:
        masked = view(request, entry(request), False)
        return pages.page(request, "message.html", error.status, **masked, mistake=error)


async def _revealed(request: Request) -> MessageView:
    async with request.site.interactions.access(request.caller, "reveal", "Message", request.params["id"]) as access:
        access.detail = asked.reason(await asked.fields(request, REASON))
        one = entry(request)
        access.concerns(whose.of_message(request.site.database.read, one.mid))
        return view(request, one, True)


async def route_page(request: Request) -> Response:
    """Routes a message that no flow claimed, now that one may."""
    await _routed(request)
    return pages.see(f"/messages/{request.params['id']}")


async def _routed(request: Request) -> Done:
    one = entry(request)
    doors = engine(request).accept.doors
    async with request.site.interactions.access(request.caller, "replay", "Message", one.id) as access:

        def unit(tx: Tx) -> str:
            made = replay.message(tx, one.mid, doors)
            access.append(tx)
            return made[0].id

        run = await request.site.database.write(unit)
    return {"said": "routed", "run": run, "count": 1, "left": 0}


# --- JSON


async def list_json(request: Request) -> Response:
    """Messages, the newest first."""
    wanted = asked.of_url(request, _TARGET, FILTERS)
    async with request.site.interactions.access(request.caller, "list", "Message", query=wanted.names):
        return pages.as_json(find(request, wanted))


async def search_json(request: Request) -> Response:
    """Messages by filters in the body; the only way to ask by patient."""
    given = await asked.fields(request, SEARCH)
    wanted = Asked(asked.checked([pair for pair in given.items() if pair[1]], SEARCH))
    async with request.site.interactions.access(request.caller, "list", "Message", query=wanted.names):
        return pages.as_json(find(request, wanted))


async def message_json(request: Request) -> Response:
    """One message, masked."""
    async with request.site.interactions.access(request.caller, "read", "Message", request.params["id"]) as access:
        one = entry(request)
        access.concerns(whose.of_message(request.site.database.read, one.mid))
        return pages.as_json(view(request, one, False))


async def reveal_json(request: Request) -> Response:
    """One message, unmasked, for a reason."""
    return pages.as_json(await _revealed(request))


async def route_json(request: Request) -> Response:
    """Routes a message that no flow claimed, now that one may."""
    return pages.as_json(await _routed(request))


async def figures_json(request: Request) -> Response:
    """The last hour, and what is open now; names nobody."""
    return pages.as_json(figures(request))


ROUTES = [
    Route("GET", "/", live_page, "console.see", query={**FILTERS, **CURSOR}),
    Route("POST", "/", filter_page, "console.see", fields=SEARCH),
    Route("GET", "/live", live_part, "console.see", query={**FILTERS, **CURSOR}, quiet=True),
    Route("GET", "/messages/{id}", message_page, "console.see"),
    Route("POST", "/messages/{id}/reveal", reveal_page, "phi.reveal", fields=REASON),
    Route("POST", "/messages/{id}/route", route_page, "messages.replay"),
    Route("GET", "/api/figures", figures_json, "console.see", answer=Figures),
    Route("GET", "/api/messages", list_json, "console.see", query={**FILTERS, **CURSOR}, answer=MessagePage),
    Route("POST", "/api/messages/_search", search_json, "console.see", fields=SEARCH, answer=MessagePage),
    Route("GET", "/api/messages/{id}", message_json, "console.see", answer=MessageView),
    Route("POST", "/api/messages/{id}/reveal", reveal_json, "phi.reveal", fields=REASON, answer=MessageView),
    Route("POST", "/api/messages/{id}/route", route_json, "messages.replay", answer=Done),
]
