"""The whole application without a socket, filled with a few resources of every type, so that thousands of requests are quick."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx

from suture.access import people
from suture.app import App, open_rooms
from suture.server.http import Shell
from suture.server.routes import TABLE
from tests import stores
from tests.attacks.made import made, types
from tests.server.people import observation, patient
from tests.stores import settings as project_settings

T = TypeVar("T")
PART = 15


class Fuzzed:
    """Requests as a program that may do everything; an answer of 500 and above fails the test that asked, and so does a
    refusal that names no place."""

    def __init__(self, app: App, key: str) -> None:
        self.app = app
        self.runner = asyncio.Runner()
        transport = httpx.ASGITransport(Shell(app.site, TABLE, app.log), raise_app_exceptions=True)  # type: ignore[arg-type]
        self.http = httpx.AsyncClient(
            transport=transport, base_url="http://suture", headers={"Authorization": f"Bearer {key}"}
        )

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        answer = self.runner.run(self.http.request(method, path, **more))
        assert answer.status_code < 500, (method, path, more, answer.text)
        if answer.status_code >= 400 and method != "HEAD":
            assert placed(answer), (method, path, more, answer.text)
        return answer


def some(items: Sequence[T], chance: random.Random) -> Sequence[T]:
    """All of them on SQLite; a few on PostgreSQL, where the same is asked over the wire."""
    return items if stores.backend == stores.SQLITE else chance.sample(items, few(len(items)))


def few(count: int) -> int:
    """How many of so many requests are sent to this kind of database."""
    return count if stores.backend == stores.SQLITE else -(-count // PART)


@contextmanager
def opened(folder: Path, kinds: Sequence[str] = types(), **values: Any) -> Iterator[Fuzzed]:
    """One application with a resource of these types, all of one patient."""
    given = {"gateway__fhir_limits": "", "access__even": 0.0, **values}
    app = open_rooms(project_settings(folder, http__base_url="http://suture", **given))
    _, key = people.add_client(app.database, "fuzz", "system/*.cruds", "", 0)
    found = Fuzzed(app, key)
    for kind in kinds:
        chart = made(kind, "a" if kind == "Patient" else f"a-{kind}", "a", "Mark")
        found.ask("PUT", f"/fhir/{kind}/{chart['id']}", json=chart)
    found.ask("PUT", "/fhir/Patient/p1", json=patient("p1"))
    found.ask("PUT", "/fhir/Observation/o1", json=observation("o1", "p1"))
    try:
        yield found
    finally:
        found.runner.close()
        app.database.close()


def placed(answer: httpx.Response) -> bool:
    """Does every issue name a parameter, a header, a path or a line?"""
    issues = answer.json()["issue"]
    return all(any(place.strip() for place in (*i.get("expression", ()), *i.get("location", ()))) for i in issues)


def issue_of(answer: httpx.Response) -> dict[str, Any]:
    """The first issue of an OperationOutcome."""
    body = answer.json()
    assert body["resourceType"] == "OperationOutcome", body
    found: dict[str, Any] = body["issue"][0]
    return found


def told(answer: httpx.Response) -> str:
    """All that the first issue says: its text, its mend and the place it names."""
    issue = issue_of(answer)
    return " ".join([issue["details"]["text"], issue.get("diagnostics", ""), *issue.get("expression", [])])
