"""`suture runs`: each message's way through a flow, with what waits, what failed and why."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from suture.cli import messages as messages_command
from suture.cli import place
from suture.clock import instant
from suture.engine import project as project_of
from suture.engine import replay
from suture.engine.versions import Versions
from suture.errors import NotFound
from suture.message import RunState
from suture.store.connection import Connection
from suture.store.queue import deliveries, runs
from suture.store.queue.deliveries import Delivery

app = place.group("Runs of flows.")
COLUMNS = ("started", "id", "flow", "state", "step", "error")


@app.command("list", epilog="Example: `suture runs list --flow lab-results --state failed`")
def list_runs(
    flow: Annotated[str, typer.Option(help="id of the flow")] = "",
    state: Annotated[RunState | None, typer.Option(help="running, waiting, done, failed, cancelled")] = None,
    count: Annotated[int, typer.Option(help="most rows")] = 50,
    project: place.Project = Path(),
    as_json: place.AsJson = False,
) -> None:
    """Lists runs, the newest first."""
    with place.opened(project) as database:
        found = runs.find(database.read, flow=flow, state=state, count=count)
        place.seen(database, "list", "Run", query=place.filters(flow=flow, state=state))
    place.show([messages_command.run_row(one) for one in found], COLUMNS, as_json, "No run fits.")


@app.command(epilog="Example: `suture runs show 0193…`")
def show(id: str, reveal: place.Reveal = False, project: place.Project = Path(), as_json: place.AsJson = False) -> None:
    """Shows one run: what each step made, and its deliveries with every attempt; masked unless --reveal."""
    with place.opened(project) as database:
        one = runs.by_id(database.read, id)
        if one is None:
            place.seen(database, "read", "Run", id, found=False)
            raise NotFound("no run with this id", where=f"run {id}", mend="See: suture runs list")
        versions = Versions(project_of.read(project))
        reveal = reveal or messages_command.shown_full(one.flow, versions)
        place.seen(database, "reveal" if reveal else "read", "Run", id, mid=one.mid)
        told = messages_command.run_row(one) | messages_command.steps(database, one, reveal, versions)
        told["deliveries"] = [delivery_row(database.read, d) for d in deliveries.of_run(database.read, one.run)]
    if as_json:
        typer.echo(orjson.dumps(told, option=orjson.OPT_INDENT_2, default=str))
        return
    messages_command.print_run(told)
    for delivery in told["deliveries"]:
        typer.echo(f"  delivery {delivery['id']}  to {delivery['connection']}  {delivery['state']}")
        for attempt in delivery["attempts"]:
            typer.echo(f"    {attempt['at']}  {attempt['outcome']}  {attempt['answer']}  {attempt['error']}")


def delivery_row(read: Connection, one: Delivery) -> dict[str, Any]:
    tries = deliveries.attempts(read, one.did)
    return {
        "id": one.id,
        "step": one.step,
        "connection": one.connection,
        "state": str(one.state),
        "next": instant(one.next_at) if one.next_at and one.next_at < 1 << 59 else "",
        "attempts": [
            {
                "at": instant(t.at),
                "outcome": str(t.outcome),
                "answer": t.answer[:40].decode("utf-8", "replace"),
                "error": t.error,
            }
            for t in tries
        ],
    }


@app.command(epilog="Example: `suture runs cancel 0193… --reason 'sent twice by the lab'`")
def cancel(
    id: str, reason: Annotated[str, typer.Option(help="why; kept with the run")], project: place.Project = Path()
) -> None:
    """Ends a run that waits; the next one of its lane goes on."""
    with place.opened(project) as database:
        one = runs.by_id(database.read, id)
        if one is None:
            raise NotFound("no run with this id", where=f"run {id}", mend="See: suture runs list")
        database.write_now(lambda tx: replay.cancel(tx, one, f"{reason} ({place.who()})"))
    typer.echo(f"Run {id} is cancelled.")
