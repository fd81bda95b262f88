"""`suture deadletters`: what gave up or could not be read, why, and what can be done about it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from suture.cli import place
from suture.clock import instant
from suture.engine import redact, replay
from suture.errors import NotFound
from suture.message import DeliveryState
from suture.store import messages
from suture.store.queue import dead, deliveries
from suture.store.queue.dead import DeadLetter

app = place.group("Dead letters, and deliveries whose outcome is not known.")
COLUMNS = ("at", "id", "flow", "step", "code", "reason")


@app.command("list", epilog="Example: `suture deadletters list --flow lab-results`")
def list_letters(
    flow: Annotated[str, typer.Option(help="id of the flow")] = "",
    all: Annotated[bool, typer.Option("--all", help="those that were replayed or discarded, too")] = False,
    count: Annotated[int, typer.Option(help="most rows")] = 50,
    project: place.Project = Path(),
    as_json: place.AsJson = False,
) -> None:
    """Lists dead letters and ambiguous deliveries, the newest first."""
    with place.opened(project) as database:
        rows = [row(one) for one in dead.find(database.read, flow=flow, open=None if all else True, count=count)]
        lost = [] if flow else deliveries.find(database.read, state=DeliveryState.AMBIGUOUS, count=count)
        place.seen(database, "list", "DeadLetter", query=place.filters(flow=flow, all=all))
    rows += [
        {
            "at": instant(d.created),
            "id": d.id,
            "flow": "",
            "step": d.step,
            "code": "ambiguous",
            "reason": f"sent to {d.connection}; answer lost",
        }
        for d in lost
    ]
    place.show(rows, COLUMNS, as_json, "No dead letters.")


def row(one: DeadLetter) -> dict[str, Any]:
    return {
        "at": instant(one.at),
        "id": one.id,
        "flow": one.flow,
        "step": one.step,
        "code": one.code,
        "reason": one.reason,
        "open": one.open,
        "closed_by": one.closed_by,
    }


@app.command(epilog="Example: `suture deadletters show 0193… --reveal`")
def show(id: str, reveal: place.Reveal = False, project: place.Project = Path(), as_json: place.AsJson = False) -> None:
    """Shows one dead letter with its original; masked unless --reveal."""
    with place.opened(project) as database:
        one = dead.get(database.read, id)
        if one is None:
            place.seen(database, "read", "DeadLetter", id, found=False)
            raise NotFound(
                "no dead letter with this id", where=f"dead letter {id}", mend="See: suture deadletters list"
            )
        place.seen(database, "reveal" if reveal else "read", "DeadLetter", id, mid=one.mid)
        entry = messages.entry_of(database.read, one.mid)
        raw = messages.original(database.read, one.mid)
    shown = redact.plain if reveal else redact.original
    told = row(one) | {"message": entry.id if entry else "", "original": shown(raw, entry.kind if entry else "")}
    if as_json:
        typer.echo(orjson.dumps(told, option=orjson.OPT_INDENT_2))
        return
    for name, value in told.items():
        typer.echo(f"{name:<12}{value}" if name != "original" else f"\n{value}")


@app.command(epilog="Example: `suture deadletters discard 0193…`")
def discard(id: str, project: place.Project = Path()) -> None:
    """Closes a dead letter that needs no replay; it stays in the list of --all."""
    with place.opened(project) as database:
        database.write_now(lambda tx: dead.close(tx, id, place.who()))
    typer.echo(f"Dead letter {id} is closed.")


@app.command(epilog="Example: `suture deadletters arrived 0193…`")
def arrived(id: str, project: place.Project = Path()) -> None:
    """Says that an ambiguous delivery did arrive: its run goes on without sending again."""
    with place.opened(project) as database:
        one = deliveries.by_id(database.read, id)
        if one is None:
            raise NotFound("no delivery with this id", where=f"delivery {id}", mend="See: suture deadletters list")
        database.write_now(lambda tx: replay.arrived(tx, one))
    typer.echo(f"Delivery {id} is taken as delivered.")
