"""Signing in with a browser: cookies, forged requests, the first start."""

from __future__ import annotations

import httpx
import pytest

from suture.access import people
from suture.server.web import Web
from tests.server.people import patient
from tests.server.running import Running

PASSWORD = "correct horse battery"


def browser(server: Running) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=server.url, headers={"Sec-Fetch-Site": "same-origin"})


async def test_the_first_start_creates_the_administrator(server: Running) -> None:
    link = server.app.people.first_run_link()
    async with browser(server) as http:
        page = await http.get(f"/first-run/{link}")
        assert page.status_code == 200
        assert "<form" in page.text
        weak = await http.post(f"/first-run/{link}", data={"login": "ada", "password": "x"})
        assert weak.status_code == 400
        assert "too easy to guess" in weak.text
        made = await http.post(f"/first-run/{link}", data={"login": "ada", "password": PASSWORD})
        assert (made.status_code, made.headers["location"]) == (303, "/")
        cookie = made.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=Lax" in cookie
        assert "Secure" not in cookie
        assert (await http.get("/fhir/Patient")).status_code == 200
        assert (await http.get(f"/first-run/{link}")).status_code == 401
        assert (await http.post(f"/first-run/{link}", data={"login": "eve", "password": PASSWORD})).status_code == 401


async def test_a_cookie_is_secure_behind_tls(server: Running) -> None:
    people.add_user(server.app.database, "ada", "", PASSWORD, ["reader"])
    web = next(part for part in server.app.parts if isinstance(part, Web))
    web._site.settings = server.app.settings.with_values(http__base_url="https://ehr.example")
    async with browser(server) as http:
        answer = await http.post("/sign-in", data={"login": "ada", "password": PASSWORD})
    assert answer.headers["set-cookie"].endswith("; Secure")


async def test_a_link_that_ended_says_so(server: Running) -> None:
    async with browser(server) as http:
        page = await http.get("/invitation/used", headers={"Accept": "text/html"})
        assert (page.status_code, "this link was used or is too old" in page.text) == (401, True)
        assert "ask for a new link where you got this one" in page.text
        plain = await http.get("/invitation/used", headers={"Accept": "application/json"})
        assert (plain.status_code, plain.json()["text"]) == (401, "this link was used or is too old")
        assert "Start suture again" in (await http.get("/first-run/used")).text
        people.add_user(server.app.database, "ada", "", PASSWORD, ["administrator"])
        assert "There is an administrator: sign in." in (await http.get("/first-run/used")).text


async def test_sign_in_and_out(server: Running) -> None:
    people.add_user(server.app.database, "ada", "", PASSWORD, ["reader"])
    async with browser(server) as http:
        wrong = await http.post("/sign-in", data={"login": "<script>", "password": "x"})
        assert wrong.status_code == 401
        assert "<script>" not in wrong.text
        assert (await http.post("/sign-in", data={"login": "ada", "password": PASSWORD})).status_code == 303
        assert (await http.get("/fhir/Patient")).status_code == 200
        assert (await http.put("/fhir/Patient/p1", json=patient("p1"))).status_code == 403
        out = await http.post("/sign-out")
        assert (out.status_code, out.headers["location"]) == (303, "/sign-in")
        assert (await http.get("/fhir/Patient")).status_code == 401


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "same-origin"}, 201),
        ({"Origin": "OWN"}, 201),
        ({}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "OWN"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
    ],
)
async def test_another_site_cannot_write_with_the_browsers_cookie(
    server: Running, headers: dict[str, str], status: int
) -> None:
    people.add_user(server.app.database, "ada", "", PASSWORD, ["clinician"])
    token = await server.app.people.sign_in("ada", PASSWORD, "")
    sent = {name: server.url if value == "OWN" else value for name, value in headers.items()}
    async with httpx.AsyncClient(base_url=server.url, cookies={"suture_session": token}) as http:
        answer = await http.put("/fhir/Patient/p1", json=patient("p1"), headers=sent)
        assert answer.status_code == status
        assert (await http.get("/fhir/Patient", headers=sent)).status_code == 200


async def test_guessing_over_http_is_slowed_down(server: Running) -> None:
    people.add_user(server.app.database, "ada", "", PASSWORD, ["reader"])
    async with browser(server) as http:
        found = [
            (await http.post("/sign-in", data={"login": "ada", "password": "wrong wrong"})).status_code
            for _ in range(10)
        ]
    assert found.count(429) >= 4
    assert found[:5] == [401] * 5
