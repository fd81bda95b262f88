"""Signing in with a second factor over HTTP: steps, set-up, confirmation, cookies."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pyotp
import pytest
import pytest_asyncio

from suture.access import people
from suture.server.web import Web
from tests.server.running import Running, serving

PASSWORD = "correct horse battery"
PAGE = {"Sec-Fetch-Site": "same-origin", "Accept": "text/html"}


@pytest_asyncio.fixture
async def strict(tmp_path: Path) -> AsyncIterator[Running]:
    async with serving(tmp_path, login__second_factor="privileged") as running:
        yield running


def browser(server: Running) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=server.url, headers=PAGE)


async def set_up(http: httpx.AsyncClient, login: str = "ada") -> tuple[pyotp.TOTP, list[str], httpx.Response]:
    """Signs in with the password and sets up an app; its secret, the recovery codes, the last answer."""
    answer = await http.post("/sign-in", data={"login": login, "password": PASSWORD})
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in/set-up")
    page = (await http.get("/sign-in/set-up")).text
    secret = re.search(r'class="key">([A-Z2-7 ]+)<', page)
    offer = re.search(r'name="offer" value="([^"]+)"', page)
    assert secret
    assert offer
    app = pyotp.TOTP(secret[1].replace(" ", ""))
    wrong = await http.post("/sign-in/set-up/app", data={"offer": offer[1], "code": "000000"})
    assert wrong.status_code == 400
    assert secret[1] in wrong.text
    done = await http.post("/sign-in/set-up/app", data={"offer": offer[1], "code": app.now()})
    assert done.status_code == 200, done.text
    return app, re.findall(r"<li>([a-z0-9-]{19})</li>", done.text), done


async def test_the_first_administrator_is_led_to_a_second_factor(strict: Running) -> None:
    link = strict.app.people.first_run_link()
    async with browser(strict) as http:
        made = await http.post(f"/first-run/{link}", data={"login": "ada", "password": PASSWORD})
        assert (made.status_code, made.headers["location"]) == (303, "/sign-in/set-up")
        assert "suture_session" not in str(made.headers)
        for path in ("/", "/api/messages", "/fhir/Patient", "/people", "/account"):
            assert (await http.get(path)).status_code in (303, 401), path
        page = await http.get("/sign-in/set-up")
        assert "<svg" in page.text
        assert " style=" not in page.text
        _, codes, done = await set_up(http)
        assert len(codes) == 10
        assert "suture_session" in done.headers["set-cookie"]
        assert (await http.get("/people")).status_code == 200
        assert (await http.get("/sign-in/set-up")).status_code == 303


async def test_the_second_proof_is_asked_and_not_taken_twice(strict: Running) -> None:
    people.add_user(strict.app.database, "ada", "", PASSWORD, ["administrator"])
    async with browser(strict) as http:
        app, codes, _ = await set_up(http)
    async with browser(strict) as http:
        asked = await http.post("/sign-in", data={"login": "ada", "password": PASSWORD, "to": "/losses?x=1"})
        assert asked.headers["location"] == "/sign-in/second"
        used = await http.post("/sign-in/second", data={"kind": "totp", "code": app.now()})
        assert used.status_code == 401
        assert "was used already" in used.text
        assert "suture_session" not in http.cookies
        odd = await http.post("/sign-in/second", data={"kind": "password", "code": PASSWORD})
        assert odd.status_code == 400
        good = await http.post("/sign-in/second", data={"kind": "recovery", "code": codes[0]})
        assert (good.status_code, good.headers["location"]) == (303, "/losses?x=1")
        assert (await http.get("/")).status_code == 200


@pytest.mark.parametrize(
    "path", ["/sign-in/second", "/sign-in/set-up", "/sign-in/set-up/app", "/sign-in/set-up/passkey"]
)
async def test_without_the_first_proof_there_is_no_second(strict: Running, path: str) -> None:
    async with browser(strict) as http:
        for sent in ({}, {"Cookie": "suture_step=x"}):
            answer = await http.request("GET" if path.count("/") == 2 else "POST", path, headers=sent)
            assert answer.status_code == 303
            assert answer.headers["location"].startswith("/sign-in")


async def test_a_change_of_privileges_asks_again_after_a_while(tmp_path: Path) -> None:
    async with (
        serving(tmp_path, login__second_factor="privileged", session__strong=0.0) as server,
        browser(server) as http,
    ):
        people.add_user(server.app.database, "ada", "", PASSWORD, ["administrator"])
        other = people.add_user(server.app.database, "bob", "", PASSWORD, ["viewer"])
        _, codes, _ = await set_up(http)
        before = http.cookies["suture_session"]
        assert "confirm that it is you" in (await http.get(f"/people/{other.id}")).text
        assert "Change the roles" not in (await http.get(f"/people/{other.id}")).text
        asked = await http.post(f"/people/{other.id}/roles", data={"role": "operator"})
        assert (asked.status_code, asked.headers["location"]) == (303, f"/confirm?to=%2Fpeople%2F{other.id}")
        plain = await http.post(f"/api/people/{other.id}/roles", json={"roles": "operator"}, headers={"Accept": "*/*"})
        assert (plain.status_code, plain.json()["error"]) == (403, "confirmation-needed")
        assert (await http.post("/confirm", data={"kind": "password", "code": PASSWORD})).status_code == 400
        web = next(part for part in server.app.parts if isinstance(part, Web))
        web._site.settings = server.app.settings.with_values(session__strong=600.0)
        good = await http.post("/confirm", data={"kind": "recovery", "code": codes[1], "to": f"/people/{other.id}"})
        assert (good.status_code, good.headers["location"]) == (303, f"/people/{other.id}")
        assert http.cookies["suture_session"] != before
        changed = await http.post(f"/people/{other.id}/roles", data={"role": ["operator", "builder"]})
        assert changed.status_code == 303
        told = (await http.get(f"/api/people/{other.id}")).json()
        assert told["person"]["roles"] == ["operator", "builder"]


async def test_behind_tls_the_cookies_are_the_hosts_own(strict: Running) -> None:
    people.add_user(strict.app.database, "rea", "", PASSWORD, ["reader"])
    web = next(part for part in strict.app.parts if isinstance(part, Web))
    web._site.settings = strict.app.settings.with_values(http__base_url="https://ehr.example")
    async with browser(strict) as http:
        answer = await http.post("/sign-in", data={"login": "rea", "password": PASSWORD})
        kept = [value for name, value in answer.headers.multi_items() if name == "set-cookie"]
        assert kept[0].startswith("__Host-suture_session=")
        assert "; Path=/; " in kept[0]
        assert "Domain" not in kept[0]
        token = kept[0].partition("=")[2].partition(";")[0]
        for name, status in (("suture_session", 401), ("__Host-suture_session", 200)):
            found = await http.get("/fhir/Patient", headers={"Cookie": f"{name}={token}", "Accept": "*/*"})
            assert found.status_code == status


async def test_a_session_that_was_there_before_signing_in_is_not_taken_over(server: Running) -> None:
    people.add_user(server.app.database, "rea", "", PASSWORD, ["reader"])
    async with browser(server) as http:
        http.cookies.set("suture_session", "chosen-by-somebody-else")
        await http.post("/sign-in", data={"login": "rea", "password": PASSWORD})
        token = http.cookies.get("suture_session", domain="127.0.0.1") or ""
        assert token != "chosen-by-somebody-else"
        fixed = await http.get(
            "/fhir/Patient", headers={"Cookie": "suture_session=chosen-by-somebody-else", "Accept": "*/*"}
        )
        assert fixed.status_code == 401


@pytest.mark.parametrize(
    "to",
    [
        "//evil.example",
        "https://evil.example",
        "/\\evil.example",
        "\\/evil.example",
        "javascript:1",
        "/x\r\nSet-Cookie: a=b",
        "/\x00",
        "x",
    ],
)
async def test_signing_in_leads_to_no_other_site(server: Running, to: str) -> None:
    people.add_user(server.app.database, "rea", "", PASSWORD, ["reader"])
    async with browser(server) as http:
        answer = await http.post("/sign-in", data={"login": "rea", "password": PASSWORD, "to": to})
        assert answer.headers["location"] == "/launch"
        assert 'name="to"' not in (await http.get("/sign-in", params={"to": to})).text


@pytest.mark.parametrize(
    ("role", "home"),
    [("clinician", "/launch"), ("viewer", "/"), ("infrastructure", "/routes")],
)
async def test_signing_in_leads_to_a_page_that_fits(server: Running, role: str, home: str) -> None:
    people.add_user(server.app.database, "rea", "", PASSWORD, [role])
    async with browser(server) as http:
        answer = await http.post("/sign-in", data={"login": "rea", "password": PASSWORD})
        assert answer.headers["location"] == home
        assert (await http.get(home)).status_code == 200
        if home != "/":
            assert (await http.get("/")).headers["location"] == home


async def test_unknown_wrong_and_switched_off_are_answered_alike(server: Running) -> None:
    people.add_user(server.app.database, "ada", "", PASSWORD, ["reader"])
    off = people.add_user(server.app.database, "off", "", PASSWORD, ["reader"])
    server.app.database.write_now(lambda tx: people.staff.set_active(tx, off, False))
    async with browser(server) as http:
        found = [
            await http.post("/sign-in", data={"login": login, "password": password})
            for login, password in (("ada", "wrong wrong"), ("nobody", "wrong wrong"), ("off", PASSWORD))
        ]
    typed = [re.findall(r'name="login"[^>]* value="(\w*)"', one.text) for one in found]
    assert typed == [["ada"], ["nobody"], ["off"]]  # what was typed stands there again, and is all that differs
    assert {one.status_code for one in found} == {401}
    assert len({re.sub(r'value="(ada|nobody|off)"', "", one.text) for one in found}) == 1
    assert len({tuple(sorted(name for name, _ in one.headers.items())) for one in found}) == 1


async def test_sign_out_everywhere(server: Running) -> None:
    people.add_user(server.app.database, "rea", "", PASSWORD, ["reader"])
    tokens = [await server.app.people.sign_in("rea", PASSWORD, "192.0.2.7") for _ in range(3)]
    async with browser(server) as http:
        http.cookies.set("suture_session", tokens[0])
        page = (await http.get("/account")).text
        assert page.count("192.0.2.7") == 3
        await http.post("/account/sessions/others")
        alive = [
            await http.get("/fhir/Patient", headers={"Cookie": f"suture_session={t}", "Accept": "*/*"}) for t in tokens
        ]
        assert [one.status_code for one in alive] == [200, 401, 401]
        await http.post("/account/sessions/all")
        assert (
            await http.get("/fhir/Patient", headers={"Cookie": f"suture_session={tokens[0]}", "Accept": "*/*"})
        ).status_code == 401
