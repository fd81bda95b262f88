"""The page Partners and its API: agreements open connections, overrides are audited, papers come back as they were."""

from __future__ import annotations

from pathlib import Path

import msgspec

from suture.server.admin.partners import PartnersView
from tests.server.admin.console import console


async def test_partners_agreements_and_overrides(tmp_path: Path) -> None:
    async with console(tmp_path) as here:
        await here.post("/partners", id="lakeside", name="Lakeside <b>Hospital</b>", contact="it@lakeside.example")
        assert "Lakeside &lt;b&gt;Hospital&lt;/b&gt;" in await here.page("/partners")
        made = await here.post(
            "/api/agreements", 200, **{"partner": "lakeside", "from": "2020-01-01", "until": "", "note": "safe"}
        )
        id = made.json()["id"]
        kept = await here.http.put(f"/api/agreements/{id}/document?name=baa.pdf", content=b"%PDF <script>")
        assert kept.status_code == 200
        paper = await here.http.get(f"/partners/agreements/{id}/document")
        assert (paper.content, paper.headers["content-type"]) == (b"%PDF <script>", "application/octet-stream")
        assert paper.headers["content-disposition"].startswith("attachment")
        view = (await here.http.get("/api/partners")).json()
        assert msgspec.convert(view, PartnersView) == view
        assert [a["state"] for a in view["partners"][0]["agreements"]] == ["in force"]
        await here.post("/partners/overrides/registry", reason="paper is signed", days="3")
        view = (await here.http.get("/api/partners")).json()
        assert [(o["connection"], o["reason"]) for o in view["overrides"]] == [("registry", "paper is signed")]
        await here.post("/partners/overrides/registry/end")
        await here.post(f"/partners/agreements/{id}/end")
        view = (await here.http.get("/api/partners")).json()
        assert view["overrides"] == []
        assert [a["state"] for a in view["partners"][0]["agreements"]] == ["ended"]
        said = [
            row.what for row in here.trail("create-partner", "create-agreement", "override-agreement", "end-override")
        ]
        assert said == ["create-partner", "create-agreement", "override-agreement", "end-override"]


async def test_what_can_not_be_is_refused(tmp_path: Path) -> None:
    async with console(tmp_path) as here:
        assert "no such connection" in (await here.post("/partners/overrides/nosuch", 404, reason="why not")).text
        assert "1 to 90 days" in (await here.post("/partners/overrides/registry", 400, reason="why", days="400")).text
        assert "a reason is needed" in (await here.post("/partners/overrides/registry", 400, reason="")).text
        assert (
            "no such partner"
            in (await here.post("/api/agreements", 404, **{"partner": "nobody", "from": "2020-01-01"})).text
        )
