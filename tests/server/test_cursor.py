"""Next links hold no value, belong to one caller and can't be altered."""

from __future__ import annotations

import random
from datetime import UTC, datetime

import pytest

from suture.access import smart
from suture.access.caller import Caller
from suture.clock import SetClock
from suture.errors import InvalidSearch
from suture.services.interactions.cursor import Cursors, Place
from tests.server.people import observation
from tests.server.running import Running, outcome_of

CALLER = Caller("client:1", "client", "one", smart.parse("user/*.rs"))
PLACE = Place([("name", "Zyxwvut")], [[1.5, "x", None], 7])


def cursors() -> Cursors:
    return Cursors(b"k" * 32, 60.0)


def test_what_is_sealed_is_opened_and_hides_what_it_says() -> None:
    sealed = cursors().seal(CALLER, "Patient", PLACE, 0)
    assert "Zyx" not in sealed
    assert cursors().open(CALLER, "Patient", sealed, 1) == PLACE


def test_every_mutation_is_refused() -> None:
    sealed, chance = cursors().seal(CALLER, "Patient", PLACE, 0), random.Random(1)
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    for _ in range(300):
        at = chance.randrange(len(sealed))
        changed = sealed[:at] + chance.choice(letters.replace(sealed[at], "")) + sealed[at + 1 :]
        with pytest.raises(InvalidSearch, match="not a cursor that was given to this caller here"):
            cursors().open(CALLER, "Patient", changed, 1)
    for other in ("", sealed[:-1], sealed + "A", sealed + "=", sealed * 2, "é", "A" * 9000):
        with pytest.raises(InvalidSearch, match="not a cursor"):
            cursors().open(CALLER, "Patient", other, 1)


@pytest.mark.parametrize(
    ("caller", "target"),
    [
        (Caller("client:2", "client", "one", CALLER.scopes), "Patient"),
        (Caller("client:1", "client", "one", smart.parse("user/Patient.rs")), "Patient"),
        (Caller("client:1", "client", "one", CALLER.scopes, "p1"), "Patient"),
        (CALLER, "Observation"),
        (CALLER, ""),
    ],
)
def test_a_cursor_is_bound_to_caller_scopes_patient_and_place(caller: Caller, target: str) -> None:
    sealed = cursors().seal(CALLER, "Patient", PLACE, 0)
    with pytest.raises(InvalidSearch, match="not a cursor that was given to this caller here"):
        cursors().open(caller, target, sealed, 1)
    with pytest.raises(InvalidSearch):
        Cursors(b"x" * 32, 60.0).open(CALLER, "Patient", sealed, 1)


def test_a_cursor_ends() -> None:
    clock = SetClock(datetime(2026, 1, 1, tzinfo=UTC))
    sealed = cursors().seal(CALLER, "Patient", PLACE, clock.micros())
    clock.advance(61)
    with pytest.raises(InvalidSearch, match="this cursor is too old"):
        cursors().open(CALLER, "Patient", sealed, clock.micros())


async def test_pages_over_http(server: Running) -> None:
    for n in range(7):
        await server.put(observation(f"o{n}", "p1"))
    url, seen = "/fhir/Observation?patient=p1&_count=3", []
    while url:
        bundle = (await server.http.get(url)).json()
        seen += [e["resource"]["id"] for e in bundle["entry"]]
        links = {link["relation"]: link["url"] for link in bundle["link"]}
        url = links.get("next", "")
        assert "patient" not in url
    assert sorted(seen) == [f"o{n}" for n in range(7)]


async def test_another_callers_link_is_refused(server: Running) -> None:
    for n in range(3):
        await server.put(observation(f"o{n}", "p1"))
    bundle = (await server.http.get("/fhir/Observation?_count=1")).json()
    following = next(link["url"] for link in bundle["link"] if link["relation"] == "next")
    assert (await server.http.get(following)).status_code == 200
    other = await server.http.get(following, headers=server.key("system/*.cruds"))
    assert outcome_of(other) == (400, "invalid", "not a cursor that was given to this caller here")
