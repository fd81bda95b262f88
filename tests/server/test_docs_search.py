"""Every request of docs/search.md is made against a server, and finds what the page says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from suture.standards.fhir import json
from suture.store import fulltext, resources
from tests.server.running import Running, serving
from tests.store.search.people import WORLD

PAGE = Path(__file__).parents[2] / "docs" / "search.md"
FENCED = re.findall(r"^```http\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.S | re.M)
LINES = [re.split(r"\s{2,}", line.removeprefix("GET "), maxsplit=1) for text in FENCED for line in text.splitlines()]


def fill(server: Running) -> None:
    def load(tx: Any) -> None:
        for one in WORLD:
            resources.put(tx, one["resourceType"], one["id"], json.write(one))

    server.app.database.write_now(load)
    while server.app.database.write_now(fulltext.step):
        pass


async def test_every_request_finds_what_the_page_says(tmp_path: Path) -> None:
    async with serving(tmp_path, search__text="all") as server:
        fill(server)
        for path, expected in LINES:
            answer = await server.http.get(f"/fhir/{path}".replace("/?", "?"))
            assert answer.status_code == 200, (path, answer.text)
            found = [f"{e['resource']['resourceType']}/{e['resource']['id']}" for e in answer.json().get("entry", [])]
            assert sorted(found) == sorted(expected.split()), path
    assert len(LINES) > 25
