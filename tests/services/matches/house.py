"""A house with Patients and its search for doubles, without a server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from suture.access.caller import Caller
from suture.access.policy import SYSTEM
from suture.access.roles import ROLES
from suture.access.smart import parse
from suture.app import App, open_rooms
from suture.clock import SYSTEM as CLOCK
from suture.clock import Clock
from suture.services.matches.watch import Watch
from suture.standards.fhir import json
from suture.store import audit, matches, resources
from suture.store.matches import Pair
from tests import stores

ANN: dict[str, Any] = {
    "resourceType": "Patient",
    "name": [{"family": "Quimbleton", "given": ["Annabella"]}],
    "birthDate": "1980-02-03",
    "gender": "female",
    "telecom": [{"system": "phone", "value": "312 555-0123"}],
    "address": [{"line": ["12 Oak Street"], "city": "Town", "postalCode": "12345"}],
}
BEA: dict[str, Any] = {
    "resourceType": "Patient",
    "name": [{"family": "Zed", "given": ["Bea"]}],
    "birthDate": "1951-11-21",
}
PERSONAL = ("Quimbleton", "Annabella", "1980-02-03", "555-0123", "Oak Street")


def registrar(scopes: str = ROLES["registrar"].scopes, **more: Any) -> Caller:
    return Caller("user:reg", "user", "Reg", parse(scopes), permissions=ROLES["registrar"].permissions, **more)


class House:
    """`watch` is called by hand."""

    def __init__(self, app: App) -> None:
        self.app = app
        self.chart = app.interactions.chart
        self.watch = Watch(self.chart)

    async def put(self, id: str, **more: Any) -> None:
        person = {name: value for name, value in {**ANN, "id": id, **more}.items() if value is not None}
        await self.app.interactions.update(SYSTEM, "Patient", id, person)

    async def look(self) -> None:
        while await self.watch.once():
            pass

    @property
    def pairs(self) -> list[Pair]:
        rows = self.app.database.read.all("SELECT n FROM match_pair ORDER BY n", ())
        return [pair for (n,) in rows if (pair := matches.get(self.app.database.read, n))]

    @property
    def states(self) -> dict[tuple[str, str], str]:
        return {self.ids(pair): pair.state for pair in self.pairs}

    def ids(self, pair: Pair) -> tuple[str, str]:
        one, other = (resources.read_rid(self.app.database.read, rid) for rid in (pair.low, pair.high))
        assert one is not None
        assert other is not None
        return one.id, other.id

    def patient(self, id: str) -> dict[str, Any]:
        row = resources.read(self.app.database.read, "Patient", id)
        assert row is not None
        found: dict[str, Any] = json.reread(row.body)
        return found

    def trail(self) -> list[audit.AuditRow]:
        return [entry.row for entry in reversed(audit.find(self.app.database.read, count=1000))]


@contextmanager
def house(folder: Path, clock: Clock = CLOCK, **values: Any) -> Iterator[House]:
    app = open_rooms(stores.settings(folder, **values), clock)
    try:
        yield House(app)
    finally:
        app.database.close()
