"""`suture partner`: to whom records go, and the agreements (BAA) that allow it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from suture.access import agreements
from suture.cli import place
from suture.clock import SYSTEM, instant
from suture.errors import Invalid
from suture.store import partners
from suture.store.connection import Connection
from suture.store.database import Database

app = place.group("Trading partners and the agreements with them. A connection names its partner under `partner:`.")
COLUMNS = ("id", "name", "agreement", "until", "document", "contact")
OF_ONE = ("id", "kind", "from", "until", "state", "document", "sha256", "note")


@app.command(epilog="Example: `suture partner add lakeside --name 'Lakeside Hospital' --contact it@lakeside.example`")
def add(
    id: Annotated[str, typer.Argument(help="as connection files name it: small letters, digits and '-'")],
    name: Annotated[str, typer.Option(help="the name of the organisation")] = "",
    contact: Annotated[str, typer.Option(help="whom to ask")] = "",
    project: place.Project = Path(),
) -> None:
    """Adds a partner; nothing is sent to it before an agreement is recorded."""
    with place.opened(project) as database:
        database.write_now(agreements.add_partner(id, name, contact, place.who()))
    typer.echo(f"Partner '{id}' is there. Next: suture partner agreement {id} --from {_today()}")


@app.command(
    epilog="Example: `suture partner agreement lakeside --from 2026-01-01 --until 2028-12-31 --document baa.pdf`"
)
def agreement(
    id: Annotated[str, typer.Argument(help="the partner")],
    first: Annotated[str, typer.Option("--from", help="first day (UTC), such as 2026-01-01")],
    last: Annotated[str, typer.Option("--until", help="last day; default: until notice")] = "",
    kind: Annotated[str, typer.Option(help=", ".join(agreements.KINDS))] = agreements.KINDS[0],
    document: Annotated[Path | None, typer.Option(help="the signed paper", exists=True, dir_okay=False)] = None,
    note: Annotated[str, typer.Option(help="where the paper is kept, what it leaves out")] = "",
    project: place.Project = Path(),
) -> None:
    """Records an agreement; connections of this partner may send from its first day on."""
    unit = agreements.add_agreement(id, kind, first, last, note, place.who())
    with place.opened(project) as database:
        made = database.write_now(unit)
        if document is not None:
            database.write_now(agreements.keep_document(made, document.name, document.read_bytes(), place.who()))
    typer.echo(f"{kind} with '{id}' from {first} until {last or 'notice'}: {made}")


@app.command("list", epilog="Example: `suture partner list`")
def list_partners(project: place.Project = Path(), as_json: place.AsJson = False) -> None:
    """Lists partners with the agreement that is in force."""
    with place.opened(project) as database:
        rows = [_row(database.read, one) for one in partners.partners(database.read)]
    place.show(rows, COLUMNS, as_json, "No partners.")


@app.command(epilog="Example: `suture partner show lakeside`")
def show(id: str, project: place.Project = Path(), as_json: place.AsJson = False) -> None:
    """Lists all agreements with a partner, the newest first."""
    with place.opened(project) as database:
        rows = [_agreement(one) for one in _written(database, id)]
    place.show(rows, OF_ONE, as_json, "No agreements.")


@app.command(epilog="Example: `suture partner document 0190… > baa.pdf`")
def document(
    agreement: Annotated[str, typer.Argument(help="the agreement's id, from suture partner show")],
    project: place.Project = Path(),
) -> None:
    """Writes the signed paper to standard output."""
    with place.opened(project) as database:
        place.seen(database, "read", "Agreement", agreement)
        typer.echo(partners.document(database.read, agreement)[1], nl=False)


@app.command(
    epilog="Example: `suture partner end lakeside`, or of one agreement: `suture partner end lakeside --agreement 0190…`"
)
def end(
    id: str,
    agreement: Annotated[str, typer.Option(help="only this agreement")] = "",
    project: place.Project = Path(),
) -> None:
    """Ends a partner with all its agreements, or one agreement; what waits for it is held from now on."""
    with place.opened(project) as database:
        if agreement:
            if agreement not in {one.id for one in _written(database, id)}:
                raise Invalid("not an agreement with this partner", where="agreement", mend=f"suture partner show {id}")
            database.write_now(agreements.end_agreement(agreement, place.who()))
        else:
            database.write_now(agreements.end_partner(id, place.who()))
    typer.echo(f"Ended: {'agreement ' + agreement if agreement else 'partner ' + id}.")


def _written(database: Database, id: str) -> list[partners.Agreement]:
    found = partners.agreements(database.read, id)
    if not found:
        partners.require_partner(database.read, id)
    return found


def _row(read: Connection, one: partners.Partner) -> dict[str, str]:
    found = partners.in_force(read, one.id, _today())
    return {
        "id": one.id,
        "name": one.name,
        "agreement": "ended" if one.ended else found.kind if found else "none",
        "until": (found.last or "notice") if found else "",
        "document": found.document_name if found else "",
        "contact": one.contact,
    }


def _agreement(one: partners.Agreement) -> dict[str, str]:
    state = "in force" if one.holds(_today()) else f"ended {instant(one.ended)[:10]}" if one.ended else "not in force"
    return {
        "id": one.id, "kind": one.kind, "from": one.first, "until": one.last or "notice", "state": state,
        "document": one.document_name, "sha256": one.document_hash, "note": one.note,
    }  # fmt: skip


def _today() -> str:
    return SYSTEM.now().date().isoformat()
