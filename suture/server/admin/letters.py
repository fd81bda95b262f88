"""Dead letters: what gave up and why; replayed one by one or all of a flow, or closed with a reason."""

from __future__ import annotations

from typing import Any

from suture.engine import replay
from suture.errors import Invalid, NotFound
from suture.server.admin import asked, pages, rows
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


async def _replayed(request: Request) -> Done:
    one, wish, versions = entry(request), await asked_wish(request), engine(request).versions
    async with request.site.interactions.access(request.caller, "replay", "DeadLetter", one.id) as access:

        def unit(tx: Tx) -> str:
            made = replay.letter(tx, one, versions, wish)
            access.append(tx)
            return made.id

        run = await request.site.database.write(unit)
    return {"said": "replayed", "run": run, "count": 1, "left": 0}


async def _all_replayed(request: Request) -> Done:
    """Every open dead letter of a flow, the oldest first; one that can't be replayed is left and counted."""
    wish, versions = await asked_wish(request, "flow"), engine(request).versions
    flow = (await asked.fields(request, (*REPLAY, "flow"))).get("flow", "")
    if not flow:
        raise Invalid("say of which flow", where="flow", mend="Choose a flow.")
    letters, done = replay.open_letters(request.site.database.read, flow), 0
    for at in range(0, len(letters), BATCH):
        batch = letters[at : at + BATCH]
        async with request.site.interactions.access(request.caller, "replay", "DeadLetter", query="flow") as access:
            access.detail = f"{flow}: {len(batch)} dead letters"

            def unit(tx: Tx, batch: list[DeadLetter] = list(batch)) -> int:  # noqa: B006
                replayed = replay.letters(tx, batch, versions, wish)
                access.append(tx)
                return replayed

            done += await request.site.database.write(unit)
    return {"said": "all", "run": "", "count": done, "left": len(letters) - done}


async def _discarded(request: Request) -> Done:
    one, why = entry(request), asked.reason(await asked.fields(request, REASON))
    async with request.site.interactions.access(request.caller, "discard", "DeadLetter", one.id) as access:
        access.detail = why

        def unit(tx: Tx) -> None:
            dead.close(tx, one.id, f"{request.caller.name}: {why}")
            access.append(tx)

        await request.site.database.write(unit)
    return {"said": "discarded", "run": "", "count": 1, "left": 0}


async def replay_page(request: Request) -> Response:
    """Walks what gave up again; the run that does is shown."""
    return pages.see(f"/runs/{(await _replayed(request))['run']}")


async def replay_all_page(request: Request) -> Response:
    """Walks all of a flow again."""
    await _all_replayed(request)
    return pages.see("/deadletters?said=all")


async def discard_page(request: Request) -> Response:
    """Closes one that needs no replay."""
    await _discarded(request)
    return pages.see("/deadletters?said=discarded")


async def replay_json(request: Request) -> Response:
    """Walks what gave up again."""
    return pages.as_json(await _replayed(request))


async def replay_all_json(request: Request) -> Response:
    """Walks all open dead letters of a flow again, the oldest first."""
    return pages.as_json(await _all_replayed(request))


async def discard_json(request: Request) -> Response:
    """Closes a dead letter that needs no replay."""
    return pages.as_json(await _discarded(request))


_ALL = {**REPLAY, "flow": "id of the flow"}
ROUTES = [
    Route("GET", "/deadletters", letters_page, "console.see", query={**FILTERS, **CURSOR}),
    Route("POST", "/deadletters/replay", replay_all_page, "messages.replay", fields=_ALL),
    Route("POST", "/deadletters/{id}/replay", replay_page, "messages.replay", fields=REPLAY),
    Route("POST", "/deadletters/{id}/discard", discard_page, "messages.replay", fields=REASON),
    Route("GET", "/api/deadletters", list_json, "console.see", query={**FILTERS, **CURSOR}, answer=LetterPage),
    Route("POST", "/api/deadletters/replay", replay_all_json, "messages.replay", fields=_ALL, answer=Done),
    Route("POST", "/api/deadletters/{id}/replay", replay_json, "messages.replay", fields=REPLAY, answer=Done),
    Route("POST", "/api/deadletters/{id}/discard", discard_json, "messages.replay", fields=REASON, answer=Done),
]
