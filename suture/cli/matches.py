"""`suture matches`: records that may be of one person, and what is decided about them (docs/matching.md)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

import suture.services.matches.decide as decide
import suture.standards.fhir.patient_links as linking
from suture.access.caller import Caller
from suture.access.policy import SYSTEM
from suture.app import open_rooms
from suture.cli import place
from suture.clock import instant
from suture.errors import Invalid
from suture.services.interactions.chart import Chart
from suture.services.matches import view
from suture.services.matches.view import Shown
from suture.store import audit, whose
from suture.store.matches import Pair

app = place.group("Records that may be of one person.")
COLUMNS = ("id", "state", "grade", "score", "one", "other", "agree", "differ")
Id = Annotated[int, typer.Argument(help="number of the pair, from suture matches list")]
Decision = Callable[[Chart, Caller], Coroutine[Any, Any, Pair]]


@app.command("list", epilog="Example: `suture matches list --show linked`")
def list_matches(
    show: Annotated[str, typer.Option(help=", ".join(view.SHOWS))] = view.SHOWS[0],
    count: Annotated[int, typer.Option(help="most rows", min=1, max=view.MOST_LOOKED_AT)] = 50,
    project: place.Project = Path(),
    as_json: place.AsJson = False,
) -> None:
    """Lists pairs, the likeliest first; names nobody, only the records' ids and what agrees."""
    if show not in view.SHOWS:
        raise Invalid("not one of the choices", where="--show", mend=f"One of: {', '.join(view.SHOWS)}.")
    with place.opened(project) as database:
        now = database.write_now(lambda tx: tx.now)
        found = view.listed(database.read, SYSTEM, show, now, view.FIRST, count).shown
        patients = whose.of_rows(database.read, [row for shown in found for row in (shown.one, shown.other)])
        seen = audit.AuditRow(place.who(), "list", decide.KIND, query="show", detail="command line", patients=patients)
        database.write_now(lambda tx: audit.append(tx, seen))
    place.show([_row(shown) for shown in found], COLUMNS, as_json, "No pairs.")


def _row(shown: Shown) -> dict[str, Any]:
    like = view.compared(view.read(shown.one), view.read(shown.other))
    agree, differ = view.reasons(like)
    return {
        "id": shown.pair.n,
        "state": shown.pair.state,
        "grade": shown.pair.grade,
        "score": like.score,
        "one": shown.one.id,
        "other": shown.other.id,
        "agree": "; ".join(agree),
        "differ": "; ".join(differ),
    }


@app.command(epilog="Example: `suture matches link 12 --survivor 0193…`, or when both stand: `… --kind seealso`")
def link(
    id: Id,
    survivor: Annotated[str, typer.Option(help="id of the Patient that stands")],
    kind: Annotated[str, typer.Option(help=", ".join(linking.KINDS))] = linking.REPLACES,
    project: place.Project = Path(),
    as_json: place.AsJson = False,
) -> None:
    """Says that both records are of one person; both are kept and linked."""
    _decided(project, as_json, lambda chart, caller: decide.link(chart, caller, id, survivor, kind))


@app.command(epilog="Example: `suture matches unlink 12`")
def unlink(id: Id, project: place.Project = Path(), as_json: place.AsJson = False) -> None:
    """Takes a link back."""
    _decided(project, as_json, lambda chart, caller: decide.unlink(chart, caller, id))


@app.command(epilog="Example: `suture matches dismiss 12`")
def dismiss(id: Id, project: place.Project = Path(), as_json: place.AsJson = False) -> None:
    """Says that they are two persons; not asked again unless one of the records changes."""
    _decided(project, as_json, lambda chart, caller: decide.dismiss(chart, caller, id))


@app.command(epilog="Example: `suture matches later 12`")
def later(id: Id, project: place.Project = Path(), as_json: place.AsJson = False) -> None:
    """Puts the decision off."""
    _decided(project, as_json, lambda chart, caller: decide.later(chart, caller, id))


def _decided(project: Path, as_json: bool, decision: Decision) -> None:
    rooms = open_rooms(place.kept(project))
    caller = Caller(place.who(), "system", "console", SYSTEM.scopes, permissions=frozenset({decide.PERMISSION}))
    try:
        pair = asyncio.run(decision(rooms.interactions.chart, caller))
    finally:
        rooms.database.close()
    if as_json:
        told = {"id": pair.n, "state": pair.state, "grade": pair.grade, "due": instant(pair.due)}
        typer.echo(orjson.dumps(told, option=orjson.OPT_INDENT_2))
    else:
        typer.echo(f"Pair {pair.n} is {pair.state}.")
