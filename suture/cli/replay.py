"""`suture replay`: what failed is walked again, one by one or all of a flow; a running server takes it up within a second."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from suture import settings as settings_of
from suture.cli import place
from suture.engine import project as project_of
from suture.engine import replay as engine_replay
from suture.engine.doors import Doors
from suture.engine.replay import Wish
from suture.engine.versions import Versions
from suture.errors import Invalid, NotFound
from suture.store import audit, messages, whose
from suture.store.connection import Tx
from suture.store.database import Database
from suture.store.queue import dead, deliveries, runs
from suture.store.queue.dead import DeadLetter
from suture.store.queue.runs import Run

app = place.single()


class Start(StrEnum):
    START = "start"
    FAILED = "failed"


class Which(StrEnum):
    SAME = "same"
    LATEST = "latest"


@app.command(epilog="Example: `suture replay 0193…` or `suture replay --all --flow lab-results`")
def replay(
    id: Annotated[str, typer.Argument(help="id of a dead letter, run, message or ambiguous delivery")] = "",
    start: Annotated[
        Start, typer.Option("--from", help="the failed step (finished effects are kept), or the start")
    ] = Start.FAILED,
    version: Annotated[Which, typer.Option(help="the flow as it was, or as it is in the project now")] = Which.LATEST,
    all: Annotated[bool, typer.Option("--all", help="every open dead letter of --flow, the oldest first")] = False,
    flow: Annotated[str, typer.Option(help="id of the flow, with --all")] = "",
    project: place.Project = Path(),
) -> None:
    """Walks again what failed."""
    if all != bool(flow) or all == bool(id):
        raise Invalid("say what to replay", mend="Write suture replay ID, or suture replay --all --flow FLOW.")
    found = project_of.read(project)
    found.raise_if_wrong()
    versions = Versions(found)
    wish = Wish(start is Start.START, version is Which.LATEST, place.who())
    with place.opened(project) as database:
        database.write_now(versions.keep)
        if all:
            letters = engine_replay.open_letters(database.read, flow)
            for one in letters:
                database.write_now(lambda tx, one=one: _letter(tx, one, versions, wish))  # type: ignore[misc]
            typer.echo(f"{len(letters)} dead letters of {flow} are replayed.")
            return
        port = int(settings_of.read(project)["mllp.port"])
        doors = Doors(versions, port)
        typer.echo(database.write_now(lambda tx: _one(tx, database, id, versions, doors, wish)))


def _letter(tx: Tx, letter: DeadLetter, versions: Versions, wish: Wish) -> Run:
    _noted(tx, "DeadLetter", letter.id, letter.mid)
    return engine_replay.letter(tx, letter, versions, wish)


def _noted(tx: Tx, type: str, id: str, mid: int) -> None:
    """The audit row, in the unit that replays."""
    patients = whose.of_message(tx, mid)
    audit.append(tx, audit.AuditRow(place.who(), "replay", type, id, detail="command line", patients=patients))


def _one(tx: Tx, database: Database, id: str, versions: Versions, doors: Doors, wish: Wish) -> str:
    letter = dead.get(tx, id)
    if letter is not None:
        return f"Replayed as run {_letter(tx, letter, versions, wish).id}."
    run = runs.by_id(tx, id)
    if run is not None:
        _noted(tx, "Run", id, run.mid)
        return f"Replayed as run {engine_replay.run(tx, run, versions, wish).id}."
    delivery = deliveries.by_id(tx, id)
    if delivery is not None:
        _noted(tx, "Delivery", id, delivery.mid)
        deliveries.send_again(tx, delivery.did)
        return f"Delivery {id} is sent again."
    return _message(tx, id, versions, doors, wish)


def _message(tx: Tx, id: str, versions: Versions, doors: Doors, wish: Wish) -> str:
    entry = messages.entry(tx, id)
    if entry is None:
        raise NotFound("nothing with this id can be replayed", where=id, mend="See: suture deadletters list")
    _noted(tx, "Message", id, entry.mid)
    last = {run.flow: run for run in reversed(runs.find(tx, mid=entry.mid))}
    if not last:
        made = engine_replay.message(tx, entry.mid, doors)
    else:
        made = [engine_replay.run(tx, run, versions, wish) for run in last.values()]
    return f"Replayed as run {', '.join(run.id for run in made)}."
