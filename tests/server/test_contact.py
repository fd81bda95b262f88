"""`/.well-known/security.txt` says whom to tell, to anybody, and nothing when nobody was named."""

from __future__ import annotations

from pathlib import Path

import httpx

from tests.server.running import Running, serving


async def test_nobody_named_nobody_shown(server: Running) -> None:
    answer = await server.http.get("/.well-known/security.txt")
    assert answer.status_code == 404
    assert "security.contact" in answer.json()["mend"]


async def test_anybody_may_ask(tmp_path: Path) -> None:
    contacts = "mailto:it@example.org https://example.org/report"
    async with serving(tmp_path, security__contact=contacts) as running, httpx.AsyncClient() as stranger:
        answer = await stranger.get(f"{running.url}/.well-known/security.txt")
    lines = answer.text.splitlines()
    assert answer.headers["content-type"].startswith("text/plain")
    assert lines[:2] == ["Contact: mailto:it@example.org", "Contact: https://example.org/report"]
    assert lines[2].startswith("Expires: 20")
    assert lines[2].endswith("Z")
    assert lines[3] == f"Canonical: {running.url}/.well-known/security.txt"
