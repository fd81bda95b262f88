"""Every address of the table asks who is there, and for the permission it names: nobody, a program, each role (45 CFR 164.312(a)(1))."""

from __future__ import annotations

import re

import httpx
import pytest

from suture.access import people
from suture.access.roles import ROLES, STRONG
from suture.server.route import Route
from suture.server.routes import TABLE
from tests.server.running import Running

PASSWORD = "correct horse battery"
CLOSED = [route for route in TABLE if route.access != "anonymous"]
ASKING = [route for route in CLOSED if route.access != "caller"]


def path(route: Route) -> str:
    return re.sub(r"\{[\w.]+\}", "x", route.pattern)


def opens(route: Route, role: str) -> bool:
    return not ROLES[role].permissions.isdisjoint(route.access.split(" or "))


async def asked(http: httpx.AsyncClient, route: Route) -> int:
    return (await http.request(route.method, path(route), headers={"Sec-Fetch-Site": "same-origin"})).status_code


@pytest.mark.parametrize(
    "credential", [{}, {"Authorization": "Bearer x"}, {"Authorization": "Basic YTpi"}, {"Cookie": "suture_session=x"}]
)
async def test_nobody_gets_in_anywhere(server: Running, credential: dict[str, str]) -> None:
    async with httpx.AsyncClient(base_url=server.url, headers=credential) as http:
        found = {f"{route.method} {route.pattern}": await asked(http, route) for route in CLOSED}
    assert {name: status for name, status in found.items() if status != 401} == {}
    assert len(found) > 80


@pytest.mark.parametrize("role", ROLES)
async def test_a_role_opens_what_it_names_and_nothing_else(server: Running, role: str) -> None:
    people.add_user(server.app.database, "rea", "Rea", PASSWORD, [role])
    token = await server.app.people.sign_in("rea", PASSWORD, "")
    closed = [route for route in ASKING if not opens(route, role)]
    async with httpx.AsyncClient(base_url=server.url, cookies={"suture_session": token}) as http:
        found = {f"{route.method} {route.pattern}": await asked(http, route) for route in closed}
    assert {name: status for name, status in found.items() if status != 403} == {}


async def test_a_programs_key_opens_no_page_of_people(server: Running) -> None:
    found = {f"{route.method} {route.pattern}": await asked(server.http, route) for route in ASKING}
    assert {name: status for name, status in found.items() if status != 403} == {}


async def test_no_change_of_privileges_without_a_fresh_proof(server: Running) -> None:
    people.add_user(server.app.database, "ada", "Ada", PASSWORD, ["administrator"])
    token = await server.app.people.sign_in("ada", PASSWORD, "")
    server.app.database.write_now(
        lambda tx: tx.execute("UPDATE session SET attributes = json_set(attributes, '$.strong', 1)")
    )
    changing = [route for route in ASKING if route.method != "GET" and set(route.access.split(" or ")) & STRONG]
    async with httpx.AsyncClient(base_url=server.url, cookies={"suture_session": token}) as http:
        for route in changing:
            answer = await http.request(route.method, path(route), headers={"Sec-Fetch-Site": "same-origin"})
            assert (answer.status_code, answer.json()["error"]) == (403, "confirmation-needed"), route.pattern
    assert len(changing) > 20
