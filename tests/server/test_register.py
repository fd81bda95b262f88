"""Registration over HTTP, the pages on which somebody decides, and secrets that are told once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from suture.access import people
from suture.store import apps, audit
from tests import stores
from tests.server.admin.console import SAME, console
from tests.server.running import Running, serving

APP: dict[str, Any] = {
    "client_name": "Growth chart",
    "redirect_uris": ["https://app.example/back"],
    "token_endpoint_auth_method": "client_secret_basic",
    "scope": "openid launch/patient patient/Patient.rs patient/Observation.rs",
    "contacts": ["it@app.example"],
}


async def register(server: Running, said: Any = APP, **more: Any) -> httpx.Response:
    async with httpx.AsyncClient(base_url=server.url) as http:
        return await http.post("/auth/register", **(more or {"json": said}))


async def test_an_app_registers_and_waits(server: Running) -> None:
    answer = await register(server)
    assert answer.status_code == 201
    assert answer.headers["cache-control"] == "no-store"
    told = (await server.http.get("/fhir/.well-known/smart-configuration")).json()
    assert told["registration_endpoint"] == f"{server.url}/auth/register"
    said = answer.json()
    assert {name: said[name] for name in APP} == APP
    assert (said["status"], said["client_secret_expires_at"]) == ("pending", 0)
    assert len(said["client_secret"]) >= 43
    kept = apps.get(server.app.database.read, said["client_id"])
    assert kept is not None
    assert (kept.status, kept.origin) == ("pending", "register")


@pytest.mark.parametrize(
    ("more", "error"),
    [
        ({"content": b"{"}, "invalid_client_metadata"),
        ({"content": b"[]"}, "invalid_client_metadata"),
        ({"content": b'{"client_name": "a", "client_name": "b"}'}, "invalid_client_metadata"),
        ({"content": b'{"client_name": "\xff"}'}, "invalid_client_metadata"),
        ({"content": b"{" + b'"a":{' * 50 + b"}" * 51}, "invalid_client_metadata"),
        ({"content": b'{"x": "' + b"x" * 70_000 + b'"}'}, "invalid_client_metadata"),
        ({"json": {**APP, "redirect_uris": ["http://evil.example"]}}, "invalid_redirect_uri"),
        ({"json": {**APP, "scope": "admin"}}, "invalid_client_metadata"),
    ],
)
async def test_a_bad_registration_is_told_in_oauths_words(server: Running, more: dict[str, Any], error: str) -> None:
    headers = {"Content-Type": "application/json"} if "content" in more else {}
    answer = await register(server, **more, headers=headers)
    assert answer.status_code in (400, 413)
    assert set(answer.json()) == {"error", "error_description"}
    assert answer.json()["error"] == error
    assert apps.find(server.app.database.read) == []


async def test_a_form_is_no_registration(server: Running) -> None:
    answer = await register(server, data={"client_name": "x"})
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_client_metadata")


async def test_registration_can_be_closed(tmp_path: Path) -> None:
    async with serving(tmp_path, oauth__register=False) as server:
        assert (await register(server)).status_code == 404
        told = (await server.http.get("/fhir/.well-known/smart-configuration")).json()
        assert "registration_endpoint" not in told


async def test_too_many_are_told_to_wait(tmp_path: Path) -> None:
    async with serving(tmp_path, oauth__register_rate=2) as server:
        codes = [(await register(server)).status_code for _ in range(3)]
        assert codes == [201, 201, 429]
        assert (await register(server)).headers["retry-after"] == "3600"


async def test_somebody_decides_on_the_page(tmp_path: Path) -> None:
    async with console(tmp_path, flows={}) as c:
        made = (await register(c.server)).json()
        listed = await c.page("/clients")
        assert "Growth chart" in listed
        assert "0 of 5 working days" in listed
        assert "it@app.example" in listed
        place = f"/clients/{made['client_id']}"
        shown = await c.page(place)
        assert "https://app.example/back" in shown
        assert made["client_secret"] not in listed + shown
        await c.post(f"{place}/approve", 400, choice="scopes")
        await c.post(f"{place}/approve", 400, scope="patient/*.rs", choice="scopes")
        await c.post(f"{place}/approve", scope="patient/Patient.rs", choice="scopes")
        kept = apps.get(c.read, made["client_id"])
        assert kept is not None
        assert (kept.status, kept.scopes) == ("approved", ("patient/Patient.rs",))
        await c.post(f"{place}/refuse", 409, reason="too late")
        turned = await c.post(f"{place}/rotate-secret", 200, keep="24")
        fresh = turned.text.partition("shown only now:</b> <code>")[2].partition("<")[0]
        assert apps.has_secret(c.read, kept.id, fresh, c.server.app.clock.micros())
        assert apps.has_secret(c.read, kept.id, made["client_secret"], c.server.app.clock.micros())
        assert fresh not in await c.page(place)
        await c.post(f"{place}/end", 400, reason="")
        await c.post(f"{place}/end", reason="contract over")
        assert "contract over" in await c.page(place)
        assert not apps.has_secret(c.read, kept.id, fresh, c.server.app.clock.micros())
        told = c.trail("register-client", "approve-client", "rotate-secret", "end-client")
        assert [row.what for row in told] == ["register-client", "approve-client", "rotate-secret", "end-client"]


async def test_the_same_over_the_api(tmp_path: Path) -> None:
    async with console(tmp_path, flows={}) as c:
        said = {"client_name": "Desk", "scope": "patient/*.rs openid", "redirect_uris": "https://a.example/b https://a.example/c", "token_endpoint_auth_method": "none"}  # fmt: skip
        made = (await c.http.post("/api/clients", json=said)).json()
        assert (made["status"], made["secret"]) == ("pending", "")
        view = (await c.http.get(f"/api/clients/{made['id']}")).json()
        assert view["registration"]["redirect_uris"] == ["https://a.example/b", "https://a.example/c"]
        assert (await c.http.post(f"/api/clients/{made['id']}/approve", json={})).json()["status"] == "approved"
        listed = (await c.http.get("/api/clients")).json()
        assert [(one["name"], one["status"]) for one in listed["clients"]] == [("Desk", "approved")]
        assert listed["notice"] == 5
        assert [one["name"] for one in listed["keys"]] == ["c0"]
        wrong = await c.http.post("/api/clients", json={**said, "scope": "admin"})
        assert wrong.status_code == 400
        assert "not a scope that is known here: admin" in wrong.json()["text"]


async def test_only_who_manages_clients_sees_them(tmp_path: Path) -> None:
    async with console(tmp_path, flows={}) as c:
        made = (await register(c.server)).json()
        people.add_user(c.server.app.database, "vera", "", "correct horse battery", ["viewer", "compliance", "builder"])
        token = await c.server.app.people.sign_in("vera", "correct horse battery", "")
        cookies = {"suture_session": token}
        async with httpx.AsyncClient(base_url=c.server.url, headers=SAME, cookies=cookies) as other:
            place = f"/clients/{made['client_id']}"
            for path in ("/clients", place, "/api/clients", f"/api{place}"):
                assert (await other.get(path)).status_code == 403, path
            for act in ("approve", "refuse", "end", "rotate-secret"):
                assert (await other.post(f"{place}/{act}", data={"reason": "because"})).status_code == 403, act
                assert (await other.post(f"/api{place}/{act}", json={})).status_code == 403, act
            assert (await other.post("/clients", data={"client_name": "x"})).status_code == 403
            assert 'href="/clients"' not in (await other.get("/", headers={"Accept": "text/html"})).text
        found = apps.get(c.read, made["client_id"])
        assert found is not None
        assert found.status == "pending"


async def test_another_site_cannot_decide(tmp_path: Path) -> None:
    async with console(tmp_path, flows={}) as c:
        made = (await register(c.server)).json()
        answer = await c.http.post(f"/clients/{made['client_id']}/approve", headers={"Sec-Fetch-Site": "cross-site"})
        assert answer.status_code == 403


MARKUP = "<script>alert(1)</script>'\"><img src=x onerror=alert(1)>"


async def test_what_an_app_says_of_itself_is_text_on_the_page(tmp_path: Path) -> None:
    async with console(tmp_path, flows={}) as c:
        said = {**APP, "client_name": MARKUP, "contacts": [MARKUP], "software_id": MARKUP}
        made = (await register(c.server, said)).json()
        for path in ("/clients", f"/clients/{made['client_id']}"):
            page = await c.page(path)
            assert "<script>alert" not in page
            assert "<img src=x" not in page


def contents(folder: Path) -> list[bytes]:
    found = [file.read_bytes() for file in folder.rglob("*") if file.is_file()]
    assert found
    return found


async def test_no_secret_stands_anywhere_after_it_was_told(tmp_path: Path) -> None:
    async with console(tmp_path, flows={}) as c:
        secret = (await register(c.server)).json()["client_secret"]
        one = apps.find(c.read)[0]
        assert secret not in repr(one)
        assert secret not in c.server.log.getvalue()
        assert secret not in repr(audit.find(c.read, count=1000))
        for (table,) in stores.tables(c.read):
            assert secret not in repr(c.read.all(f"SELECT * FROM {table}")), table
        assert all(secret.encode() not in content for content in contents(tmp_path))
