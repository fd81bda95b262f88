"""One run: its timeline with what every step read and made, lineage and loss of its maps, deliveries with every attempt."""

from __future__ import annotations

from typing import Any

import suture.engine.replay as replaying
from suture.engine import redact, story
from suture.engine.replay import Wish
from suture.engine.story import Story
from suture.engine.walk import Trace
from suture.errors import Conflict, NotFound
from suture.message import DeliveryState
from suture.server.admin import asked, deeds, pages, rows
from suture.server.admin.messages import REASON
from suture.server.admin.rooms import engine
from suture.server.admin.shapes import AttemptView, DeliveryView, Done, RunView, StepView
from suture.server.route import Request, Response, Route
from suture.services.interactions.chart import Access
from suture.store import messages, whose
from suture.store.connection import Connection, Tx
from suture.store.queue import dead, deliveries, runs
from suture.store.queue.deliveries import Attempt, Delivery
from suture.store.queue.runs import Run

MOST_SHOWN = 256 * 1024  # characters of one content on a page
MOST_LINEAGE = 2000
KINDS = {"mllp.send": "hl7v2"}
REPLAY = {"from": "failed (finished effects are kept) or start", "version": "latest or same"}


# --- views


def entry(request: Request) -> Run:
    """The run of the address; raises NotFound."""
    found = runs.by_id(request.site.database.read, request.params["id"])
    if found is None:
        raise NotFound("no run with this id", where="runs", mend="It may be gone by retention.")
    return found


def view(request: Request, run: Run, reveal: bool, access: Access) -> RunView:
    """The whole run; contents are masked unless revealed, or unless its flow says `show: full` and the person may reveal."""
    read, message = request.site.database.read, messages.entry_of(request.site.database.read, run.mid)
    if message is None:
        raise NotFound("the message of this run is no longer kept", where="messages")
    told = story.tell(read, run, engine(request).versions)
    full = told.flow is not None and told.flow.show == "full" and "phi.reveal" in request.caller.permissions
    reveal = reveal or full
    access.concerns((*filter(None, [_patient(told)]), *whose.of_message(read, run.mid)))
    kept = {step.step: step.started for step in runs.steps(read, run.run, outputs=False)}
    again, before = runs.get(read, run.replayed_by), runs.get(read, run.replay_of)
    return {
        "run": rows.run(run),
        "title": told.flow.title if told.flow else run.flow,
        "message": rows.message(read, message),
        "revealed": reveal,
        "lane": run.lane if reveal else redact.text(run.lane),
        "took_ms": (run.ended - run.started) / 1000 if run.ended else 0.0,
        "original": _original(read, run, message.kind, reveal),
        "unreadable": told.unreadable,
        "steps": [_step(told, at, reveal, kept) for at in range(len(told.trace))],
        "deliveries": [delivery(read, one, reveal) for one in deliveries.of_run(read, run.run)],
        "letters": [rows.letter(read, one) for one in dead.of_run(read, run.run)],
        "replay_of": before.id if before else "",
        "replayed_by": again.id if again else "",
    }


def _original(read: Connection, run: Run, kind: str, reveal: bool) -> str:
    try:
        return cut((redact.plain if reveal else redact.original)(messages.original(read, run.mid), kind))
    except NotFound as gone:
        return gone.text


def _step(told: Story, at: int, reveal: bool, kept: dict[str, int]) -> StepView:
    trace = told.trace[at]
    mapped, said = trace.mapped, told.step(trace.step)
    named = (said.with_.get("map") or said.with_.get("connection") or said.with_.get("when") or "") if said else ""
    return {
        "step": trace.step,
        "uses": trace.uses,
        "names": str(named),
        "state": trace.state,
        "error": trace.error,
        "at": rows.when(kept.get(trace.step, 0)),
        "input_of": _giver(told.trace, at),
        "input": shown(trace.input, reveal),
        "output": shown(trace.output, reveal),
        "lineage": [
            {"target": one.target, "source": one.source, "row": one.row}
            for one in (mapped.lineage[:MOST_LINEAGE] if mapped else ())
        ],
        "loss": list(mapped.loss) if mapped else [],
        "warnings": trace.warnings,
    }


def _giver(trace: list[Trace], at: int) -> str:
    """Which step made what this one read."""
    given = trace[at].input
    return next((one.step for one in reversed(trace[:at]) if one.output is given), "original")


def shown(value: Any, reveal: bool) -> str:
    """A content as text for a screen."""
    return cut(redact.indented(redact.content(value, reveal)))


def cut(text: str) -> str:
    """Not more than a page can bear, and it says so."""
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}\n… {len(text) - MOST_SHOWN} more characters"


def _patient(told: Story) -> str:
    """Whose chart the run wrote into, for the audit trail, as Patient/ID."""
    for trace in told.trace:
        entries = trace.output.get("entry") if trace.uses == "fhir.write" and isinstance(trace.output, dict) else None
        for entry in entries if isinstance(entries, list) else ():
            resource = entry.get("resource") or {}
            if resource.get("resourceType") == "Patient" and resource.get("id"):
                return f"Patient/{resource['id']}"
    return ""


def delivery(read: Connection, one: Delivery, reveal: bool) -> DeliveryView:
    """One send with the exact bytes; masked unless revealed."""
    content, kind = deliveries.content(read, one.did), KINDS.get(one.content_type, "json")
    bytes_shown = redact.plain if reveal else redact.original
    return {
        "id": one.id,
        "step": one.step,
        "connection": one.connection,
        "kind": one.content_type,
        "state": str(one.state),
        "created": rows.when(one.created),
        "next": rows.when(one.next_at),
        "ended": rows.when(one.ended),
        "head": shown(one.attributes, reveal),
        "content": cut(bytes_shown(content, kind)),
        "size": len(content),
        "attempts": [_attempt(found, kind, reveal) for found in deliveries.attempts(read, one.did)],
    }


def _attempt(one: Attempt, kind: str, reveal: bool) -> AttemptView:
    return {
        "at": rows.when(one.at),
        "took_ms": one.took / 1000,
        "outcome": str(one.outcome),
        "answer": cut((redact.plain if reveal else redact.original)(one.answer, kind)),
        "error": one.error,
    }


# --- pages and JSON


async def run_page(request: Request) -> Response:
    """One run, masked."""
    return pages.page(request, "run.html", **await _masked(request), mistake=None)


async def _masked(request: Request) -> RunView:
    async with request.site.interactions.access(request.caller, "read", "Run", request.params["id"]) as access:
        return view(request, entry(request), False, access)


async def reveal_page(request: Request) -> Response:
    """One run, unmasked, for a reason; without one it stays masked."""
    try:
        return pages.page(request, "run.html", **await _revealed(request), mistake=None)
    except asked.NoReason as error:
        return pages.page(request, "run.html", error.status, **await _masked(request), mistake=error)


async def _revealed(request: Request) -> RunView:
    async with request.site.interactions.access(request.caller, "reveal", "Run", request.params["id"]) as access:
        access.detail = asked.reason(await asked.fields(request, REASON))
        return view(request, entry(request), True, access)


async def replay(request: Request) -> Done:
    """Walks a failed or cancelled run again."""
    one, wish, versions = entry(request), await asked_wish(request), engine(request).versions
    async with request.site.interactions.access(request.caller, "replay", "Run", one.id) as access:

        def unit(tx: Tx) -> Run:
            made = replaying.run(tx, one, versions, wish)
            access.append(tx)
            return made

        made = await request.site.database.write(unit)
    return {"said": "replayed", "run": made.id, "count": 1, "left": 0}


async def asked_wish(request: Request, *more: str) -> Wish:
    """How to replay, as the form or body says."""
    given = await asked.fields(request, (*REPLAY, *more))
    start = asked.choice(given, "from", ("failed", "start")) == "start"
    return Wish(start, asked.choice(given, "version", ("latest", "same")) == "latest", request.caller.id)


async def cancel(request: Request) -> Done:
    """Ends a run that waits; the next one of its lane goes on."""
    one, why = entry(request), asked.reason(await asked.fields(request, REASON))
    async with request.site.interactions.access(request.caller, "cancel", "Run", one.id) as access:
        access.detail = why

        def unit(tx: Tx) -> None:
            replaying.cancel(tx, one, f"{why} ({request.caller.name})")
            access.append(tx)

        await request.site.database.write(unit)
    return {"said": "cancelled", "run": one.id, "count": 1, "left": 0}


async def arrived(request: Request) -> Done:
    """Somebody has looked: an ambiguous delivery did arrive; its run goes on."""
    return await _decided(request, did_arrive=True)


async def again(request: Request) -> Done:
    """An ambiguous or retrying delivery is sent now."""
    return await _decided(request, did_arrive=False)


async def _decided(request: Request, *, did_arrive: bool) -> Done:
    read = request.site.database.read
    one = deliveries.by_id(read, request.params["id"])
    run = runs.get(read, one.run) if one else None
    if one is None or run is None:
        raise NotFound("no delivery with this id", where="deliveries")
    if one.state not in (DeliveryState.AMBIGUOUS, DeliveryState.RETRYING):
        raise Conflict("this delivery waits for nobody", where="deliveries", mend="Look at its run again.")
    what = "arrived" if did_arrive else "send-again"
    async with request.site.interactions.access(request.caller, what, "Delivery", one.id) as access:

        def unit(tx: Tx) -> None:
            if did_arrive:
                replaying.arrived(tx, one)
            else:
                deliveries.send_again(tx, one.did)
            access.append(tx)

        await request.site.database.write(unit)
    return {"said": what, "run": run.id, "count": 1, "left": 0}


async def run_json(request: Request) -> Response:
    """One run, masked."""
    return pages.as_json(await _masked(request))


async def reveal_json(request: Request) -> Response:
    """One run, unmasked, for a reason."""
    return pages.as_json(await _revealed(request))


ROUTES = [
    Route("GET", "/runs/{id}", run_page, "console.see"),
    Route("POST", "/runs/{id}/reveal", reveal_page, "phi.reveal", fields=REASON),
    Route("POST", "/runs/{id}/replay", deeds.form(replay, "/runs/{run}"), "messages.replay", fields=REPLAY),
    Route("POST", "/runs/{id}/cancel", deeds.form(cancel, "/runs/{run}"), "messages.replay", fields=REASON),
    Route("POST", "/deliveries/{id}/arrived", deeds.form(arrived, "/runs/{run}"), "messages.replay"),
    Route("POST", "/deliveries/{id}/again", deeds.form(again, "/runs/{run}"), "messages.replay"),
    Route("GET", "/api/runs/{id}", run_json, "console.see", answer=RunView),
    Route("POST", "/api/runs/{id}/reveal", reveal_json, "phi.reveal", fields=REASON, answer=RunView),
    Route("POST", "/api/runs/{id}/replay", deeds.program(replay), "messages.replay", fields=REPLAY, answer=Done),
    Route("POST", "/api/runs/{id}/cancel", deeds.program(cancel), "messages.replay", fields=REASON, answer=Done),
    Route("POST", "/api/deliveries/{id}/arrived", deeds.program(arrived), "messages.replay", answer=Done),
    Route("POST", "/api/deliveries/{id}/again", deeds.program(again), "messages.replay", answer=Done),
]
