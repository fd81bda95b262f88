"""The document of /api says what there is, and what there is fits its document."""

from __future__ import annotations

from pathlib import Path

import msgspec

from suture.server.admin import openapi, shapes
from suture.server.routes import TABLE
from suture.store.queue import runs
from tests import docs
from tests.connectors.site import Say
from tests.server.admin.console import adt, console


async def test_the_document_is_made_of_the_table(tmp_path: Path) -> None:
    async with console(tmp_path) as here:
        told = (await here.http.get("/api/openapi.json")).json()
    there = {(route.method.lower(), route.pattern) for route in TABLE if route.pattern.startswith("/api/")}
    assert {(method, path) for path, item in told["paths"].items() for method in item} == there
    operations = [one for item in told["paths"].values() for one in item.values()]
    assert len({one["operationId"] for one in operations}) == len(operations)
    assert all(one["summary"] for one in operations)
    refs = [text.partition('"')[0] for text in str(told).replace("'", '"').split("#/components/schemas/")[1:]]
    assert set(refs) <= set(told["components"]["schemas"])
    assert openapi.document(TABLE)["openapi"] == "3.1.0"


def test_the_docs_page_lists_what_there_is() -> None:
    paths = openapi.document(TABLE)["paths"]
    rows = [
        f"| `{method.upper()} {path}` | {one['summary']} |"
        for path, item in paths.items()
        for method, one in item.items()
    ]
    docs.check("console.md", "api", "\n".join(["| call | does |", "|---|---|", *rows]))


async def test_answers_fit_their_shapes(tmp_path: Path) -> None:
    async with console(tmp_path, lambda got: Say(400)) as here:
        (message,) = await here.send(adt())
        (run,) = runs.find(here.read)
        views = {
            "/api/figures": shapes.Figures,
            "/api/messages": shapes.MessagePage,
            f"/api/messages/{message.id}": shapes.MessageView,
            f"/api/runs/{run.id}": shapes.RunView,
            "/api/deadletters": shapes.LetterPage,
            "/api/waiting": shapes.WaitingView,
            "/api/losses": shapes.LossView,
        }
        for path, shape in views.items():
            answer = (await here.http.get(path)).json()
            assert msgspec.convert(answer, shape) == answer
            assert set(answer) == set(shape.__annotations__)


async def test_figures_count_the_last_hour(tmp_path: Path) -> None:
    async with console(tmp_path, lambda got: Say(400)) as here:
        await here.send(adt("A"), adt("B", mrn="2"), adt("C").replace(b"ADT^A01^ADT_A01", b"SIU^S12^SIU_S12"))
        found = (await here.http.get("/api/figures")).json()
        assert {name: found[name] for name in ("received", "done", "failed", "unrouted", "dead")} == {
            "received": 3, "done": 0, "failed": 2, "unrouted": 1, "dead": 2
        }  # fmt: skip
        assert found["at_least"] == []


async def test_what_the_api_refuses_it_explains(tmp_path: Path) -> None:
    async with console(tmp_path) as here:
        (message,) = await here.send(adt())
        refused = await here.http.post(f"/api/messages/{message.id}/reveal", json={"reason": 7})
        assert (refused.status_code, refused.json()["text"]) == (400, "no text field of this name")
        refused = await here.http.post(f"/api/messages/{message.id}/reveal", json={})
        assert (refused.status_code, refused.json()["error"]) == (400, "no-reason")
        refused = await here.http.get("/api/messages?patient=1")
        assert (refused.status_code, refused.json()["where"]) == (400, "patient")
        found = await here.http.post("/api/messages/_search", json={"patient": "88114477"})
        assert [one["control_id"] for one in found.json()["messages"]] == ["MSG1"]
        assert (await here.http.get("/api/nothing")).status_code == 404
