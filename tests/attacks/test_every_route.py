"""Seeded: every address of the table, as nobody, as a program and as an owner, with odd paths, queries and bodies: never a 5xx."""

from __future__ import annotations

import random
import re
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from suture.access.roles import INFRASTRUCTURE, ROLES
from suture.server.route import Route
from suture.server.routes import TABLE
from tests.attacks.test_every_parameter import ODD, SEED
from tests.server.admin.test_glass import signed_in
from tests.server.people import observation, patient
from tests.server.running import Running

ENDS = ("/sign-out", "/account/sessions/all")  # what would end the session that asks
BODIES = (b"", b"{", b"[]", b"null", b"a=b&a=c", b"\xff\xfe", b'{"a":' * 200, b"x" * 70_000, b"%zz=%", b"<a/>")
TYPES = ("application/json", "application/x-www-form-urlencoded", "application/fhir+json", "application/fhir+xml", "text/plain", "", "multipart/form-data")  # fmt: skip


def path_of(route: Route, chance: random.Random) -> str:
    def odd(_: re.Match[str]) -> str:
        return quote(chance.choice((*ODD[3:], "p1", "Patient", "1", "-1", "9" * 30)), safe="")[:300] or "x"

    return re.sub(r"\{[^}]+\}", odd, route.pattern)


def query_of(route: Route, chance: random.Random) -> str:
    names = [*route.query, *route.fields, "x", "_count", "cursor", "page", "from", "id"]
    return "&".join(f"{quote(chance.choice(names))}={quote(chance.choice(ODD), safe='')[:2000]}" for _ in range(2))


async def every(caller: httpx.AsyncClient, rounds: int, seed: int) -> tuple[int, int]:
    """How many requests were answered, and how many of them by 401."""
    chance, asked, unknown = random.Random(seed), 0, 0
    for route in TABLE:
        for _ in range(rounds):
            path = path_of(route, chance)
            if path.startswith(ENDS):
                continue
            sent: dict[str, Any] = {}
            if route.method in ("POST", "PUT", "PATCH"):
                fields = {name: chance.choice(ODD)[:2000] for name in route.fields}
                sent = chance.choice(
                    ({"data": fields}, {"json": fields}, {"content": chance.choice(BODIES), "headers": {"Content-Type": chance.choice(TYPES)}})
                )  # fmt: skip
            answer = await caller.request(route.method, f"{path}?{query_of(route, chance)}", **sent)
            # 502, 503 and 504 are honest where an upstream or a part of the house is not there
            assert answer.status_code < 500 or answer.status_code in (502, 503, 504), (route, path, sent, answer.text)
            asked += 1
            unknown += answer.status_code == 401
    return asked, unknown


STAFF = tuple(name for name, role in ROLES.items() if "own.use" not in role.permissions and name != INFRASTRUCTURE)
OWN = next(name for name, role in ROLES.items() if "own.use" in role.permissions)


@pytest.mark.parametrize("roles", [STAFF, (OWN,), (INFRASTRUCTURE,)], ids=["staff", "patient", "infrastructure"])
async def test_as_a_person(server: Running, roles: tuple[str, ...]) -> None:
    await server.put(patient("p1"))
    await server.put(observation("o1", "p1"))
    async with signed_in(server, "ada", *roles) as person:
        asked, unknown = await every(person, 2, SEED)
        assert (asked > 300, unknown < asked / 5) == (True, True), (asked, unknown)


async def test_as_a_program(server: Running) -> None:
    asked, unknown = await every(server.http, 3, SEED + 1)
    assert (asked > 500, unknown < asked / 5) == (True, True), (asked, unknown)


async def test_as_nobody(server: Running) -> None:
    async with httpx.AsyncClient(base_url=server.url, timeout=20) as nobody:
        asked, _ = await every(nobody, 2, SEED + 2)
        assert asked > 300
