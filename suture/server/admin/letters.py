"""Dead letters: what gave up and why; replayed one by one or all of a flow, or closed with a reason."""

from __future__ import annotations

from typing import Any

import suture.engine.replay as replaying
from suture.errors import Invalid, NotFound
from suture.server.admin import asked, deeds, pages, rows
from suture.server.admin.asked import Asked
from suture.server.admin.messages import REASON
from suture.server.admin.rooms import engine
from suture.server.admin.runs import REPLAY, asked_wish
from suture.server.admin.shapes import Done, LetterPage
from suture.server.route import Request, Response, Route
from suture.store.connection import Tx
from suture.store.queue import dead
from suture.store.queue.dead import DeadLetter

PAGE = 50
BATCH = 50  # dead letters replayed in one commit
FILTERS = {"flow": "id of a flow", "show": "open or all"}
CURSOR = {asked.CURSOR: "the cursor `older` of the page before; then no filter"}
_TARGET = "console/deadletters"
SAID = {
    "replayed": "Replayed. The new run is on its way.",
    "discarded": "Closed. It stays in the list of all.",
    "all": "All that could be replayed are on their way. What is still listed here can't be.",
}


def find(request: Request, wanted: Asked) -> LetterPage:
    """A page of dead letters, the newest first."""
    read = request.site.database.read
    every = asked.choice(dict(wanted.pairs), "show", ("open", "all")) == "all"
    found = dead.find(read, flow=wanted["flow"], open=None if every else True, before=wanted.before, count=PAGE + 1)
    older = asked.sealed(request, _TARGET, wanted.pairs, found[PAGE - 1].dlid) if len(found) > PAGE else ""
    return {"letters": [rows.letter(read, one) for one in found[:PAGE]], "open": dead.count(read), "older": older}


def entry(request: Request) -> DeadLetter:
    """The dead letter of the address; raises NotFound."""
    found = dead.get(request.site.database.read, request.params["id"])
    if found is None:
        raise NotFound("no dead letter with this id", where="dead letters")
    return found


async def letters_page(request: Request) -> Response:
    """The list; `said` names what a form before it came to."""
    wanted = asked.of_url(request, _TARGET, {**FILTERS, "said": ""})
    async with request.site.interactions.access(request.caller, "list", "DeadLetter", query=wanted.names):
        page = find(request, wanted)
        older = f"/deadletters?{asked.CURSOR}={page['older']}" if page["older"] else ""
        shown: dict[str, Any] = {**page, "older": older, "wanted": wanted, "said": SAID.get(wanted["said"], "")}
        return pages.page(request, "deadletters.html", **shown)


async def list_json(request: Request) -> Response:
    """Dead letters, the newest first."""
    wanted = asked.of_url(request, _TARGET, FILTERS)
    async with request.site.interactions.access(request.caller, "list", "DeadLetter", query=wanted.names):
        return pages.as_json(find(request, wanted))


async def replay(request: Request) -> Done:
    """Walks what gave up again."""
    one, wish, versions = entry(request), await asked_wish(request), engine(request).versions
    async with request.site.interactions.access(request.caller, "replay", "DeadLetter", one.id) as access:

        def unit(tx: Tx) -> str:
            made = replaying.letter(tx, one, versions, wish)
            access.append(tx)
            return made.id

        run = await request.site.database.write(unit)
    return {"said": "replayed", "run": run, "count": 1, "left": 0}


async def replay_all(request: Request) -> Done:
    """Walks all open dead letters of a flow again, the oldest first; what can't be replayed is left and counted."""
    wish, versions = await asked_wish(request, "flow"), engine(request).versions
    flow = (await asked.fields(request, (*REPLAY, "flow"))).get("flow", "")
    if not flow:
        raise Invalid("say of which flow", where="flow", mend="Choose a flow.")
    letters, done = replaying.open_letters(request.site.database.read, flow), 0
    for at in range(0, len(letters), BATCH):
        batch = letters[at : at + BATCH]
        async with request.site.interactions.access(request.caller, "replay", "DeadLetter", query="flow") as access:
            access.detail = f"{flow}: {len(batch)} dead letters"

            def unit(tx: Tx, batch: list[DeadLetter] = list(batch)) -> int:  # noqa: B006
                replayed = replaying.letters(tx, batch, versions, wish)
                access.append(tx)
                return replayed

            done += await request.site.database.write(unit)
    return {"said": "all", "run": "", "count": done, "left": len(letters) - done}


async def discard(request: Request) -> Done:
    """Closes a dead letter that needs no replay."""
    one, why = entry(request), asked.reason(await asked.fields(request, REASON))
    async with request.site.interactions.access(request.caller, "discard", "DeadLetter", one.id) as access:
        access.detail = why

        def unit(tx: Tx) -> None:
            dead.close(tx, one.id, f"{request.caller.name}: {why}")
            access.append(tx)

        await request.site.database.write(unit)
    return {"said": "discarded", "run": "", "count": 1, "left": 0}


_ACTS = "messages.replay"
_ALL = {**REPLAY, "flow": "id of the flow"}
ROUTES = [
    Route("GET", "/deadletters", letters_page, "console.see", query={**FILTERS, **CURSOR}),
    Route("POST", "/deadletters/replay", deeds.form(replay_all, "/deadletters?said=all"), _ACTS, fields=_ALL),
    Route("POST", "/deadletters/{id}/replay", deeds.form(replay, "/runs/{run}"), _ACTS, fields=REPLAY),
    Route(
        "POST", "/deadletters/{id}/discard", deeds.form(discard, "/deadletters?said=discarded"), _ACTS, fields=REASON
    ),
    Route("GET", "/api/deadletters", list_json, "console.see", query={**FILTERS, **CURSOR}, answer=LetterPage),
    Route("POST", "/api/deadletters/replay", deeds.program(replay_all), _ACTS, fields=_ALL, answer=Done),
    Route("POST", "/api/deadletters/{id}/replay", deeds.program(replay), _ACTS, fields=REPLAY, answer=Done),
    Route("POST", "/api/deadletters/{id}/discard", deeds.program(discard), _ACTS, fields=REASON, answer=Done),
]
