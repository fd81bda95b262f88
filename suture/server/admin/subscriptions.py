"""Subscriptions as they stand: what each is about, where it goes, how far it came, what is wrong; taken up again or turned off.

Nothing of a patient stands here: of filters, criteria, headers and addresses only the type, and the machine or domain, is shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from suture.server.admin import asked, deeds, pages, rows
from suture.server.admin.asked import Asked
from suture.server.admin.messages import REASON
from suture.server.admin.shapes import SubscriptionPage, SubscriptionRow
from suture.server.route import Request, Response, Route
from suture.services.audit import words
from suture.services.subscriptions.switch import RESTART, TURN_OFF, switch
from suture.standards.fhir import json
from suture.standards.fhir.subscription import EMAIL, ERROR, OFF, TYPE, searched
from suture.standards.fhir.topics import Topic
from suture.store import sound, subscriptions
from suture.store.connection import Connection
from suture.store.subscriptions import LIVE, Subscription

PAGE = 50
SHOWS = {"live": LIVE, "error": (ERROR,), "all": (*LIVE, OFF)}
FILTERS = {"show": ", ".join(SHOWS)}
CURSOR = {asked.CURSOR: "the cursor `older` of the page before; then no filter"}
_TARGET = "console/subscriptions"
SAID = {RESTART: "Taken up again. What waits goes out once it is active.", TURN_OFF: "Turned off. Nothing is numbered or sent any more."}  # fmt: skip


def row(connection: Connection, topics: Mapping[str, Topic], kept: Subscription) -> SubscriptionRow:
    """One subscription; what it holds is read, but not told."""
    found = sound.read_rid(connection, kept.rid, set())
    said: dict[str, Any] = {} if found is None or found.deleted else json.reread(found.body)
    channel = said.get("channel", {})
    return {
        "id": kept.id,
        "about": _about(str(said.get("criteria", "")), topics),
        "owner": words.who(connection, kept.who),
        "channel": str(channel.get("type", "")),
        "place": _place(channel),
        "status": kept.status,
        "events": kept.events,
        "waiting": kept.events - kept.sent,
        "tries": kept.tries,
        "next": rows.when(kept.due) if kept.tries else "",
        "since": rows.when(kept.since),
        "last": rows.when(kept.beat),
        "error": kept.error,
    }


def _about(criteria: str, topics: Mapping[str, Topic]) -> str:
    if type := searched(criteria):
        return f"A search of {type}"
    return topics[criteria].title or criteria if criteria in topics else "A topic that is no longer there"


def _place(channel: Mapping[str, Any]) -> str:
    endpoint = str(channel.get("endpoint") or "")
    if channel.get("type") == EMAIL:
        return endpoint.rpartition("@")[2]
    return urlsplit(endpoint).hostname or ""


def find(request: Request, wanted: Asked) -> SubscriptionPage:
    """A page of subscriptions, the newest first."""
    read, topics = request.site.database.read, request.site.interactions.chart.topics
    show = asked.choice(dict(wanted.pairs), "show", tuple(SHOWS))
    found = subscriptions.find(read, SHOWS[show], wanted.before, PAGE + 1)
    older = asked.sealed(request, _TARGET, wanted.pairs, found[PAGE - 1].rid) if len(found) > PAGE else ""
    counts = subscriptions.counts(read)
    return {"subscriptions": [row(read, topics, one) for one in found[:PAGE]], "counts": counts, "older": older}


async def subscriptions_page(request: Request) -> Response:
    """The list; `said` names what a form before it came to."""
    wanted = asked.of_url(request, _TARGET, {**FILTERS, "said": ""})
    async with request.site.interactions.access(request.caller, "list", TYPE, query=wanted.names):
        page = find(request, wanted)
        older = f"/subscriptions?{asked.CURSOR}={page['older']}" if page["older"] else ""
        shown: dict[str, Any] = {**page, "older": older, "wanted": wanted, "said": SAID.get(wanted["said"], "")}
        return pages.page(request, "subscriptions.html", **shown)


async def list_json(request: Request) -> Response:
    """Subscriptions, the newest first: state, numbers, last error; nothing of a patient."""
    wanted = asked.of_url(request, _TARGET, FILTERS)
    async with request.site.interactions.access(request.caller, "list", TYPE, query=wanted.names):
        return pages.as_json(find(request, wanted))


async def restart(request: Request) -> SubscriptionRow:
    """Takes up a subscription that is in error or off: it begins with requested, and what waits goes out."""
    return await _switched(request, RESTART)


async def off(request: Request) -> SubscriptionRow:
    """Turns a subscription off: nothing is numbered or sent any more."""
    return await _switched(request, TURN_OFF)


async def _switched(request: Request, way: str) -> SubscriptionRow:
    why, chart = asked.reason(await asked.fields(request, REASON)), request.site.interactions.chart
    kept = await switch(chart, request.caller, request.params["id"], way, why)
    return row(request.site.database.read, chart.topics, kept)


_ACTS = "messages.replay"
ROUTES = [
    Route("GET", "/subscriptions", subscriptions_page, "console.see", query={**FILTERS, **CURSOR}),
    Route(
        "POST",
        "/subscriptions/{id}/restart",
        deeds.form(restart, f"/subscriptions?said={RESTART}"),
        _ACTS,
        fields=REASON,
    ),
    Route("POST", "/subscriptions/{id}/off", deeds.form(off, f"/subscriptions?said={TURN_OFF}"), _ACTS, fields=REASON),
    Route("GET", "/api/subscriptions", list_json, "console.see", query={**FILTERS, **CURSOR}, answer=SubscriptionPage),
    Route(
        "POST", "/api/subscriptions/{id}/restart", deeds.program(restart), _ACTS, fields=REASON, answer=SubscriptionRow
    ),
    Route("POST", "/api/subscriptions/{id}/off", deeds.program(off), _ACTS, fields=REASON, answer=SubscriptionRow),
]
