"""Keys, sessions, the first administrator, and waiting times for who guesses."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from suture.access import people
from suture.access.people import People, TooManyAttempts
from suture.clock import SetClock
from suture.errors import Conflict, Invalid, InvalidSyntax, Unauthenticated
from suture.store import audit
from suture.store.database import Database
from tests.stores import settings

PASSWORD = "correct horse battery"


class House:
    def __init__(self, folder: Path) -> None:
        self.clock = SetClock(datetime(2026, 11, 25, tzinfo=UTC))
        self.settings = settings(folder).with_values(login__second_factor="optional")
        self.database = Database.open(self.settings, self.clock)
        self.people = People(self.database, self.clock, self.settings)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path)
    yield made
    made.database.close()


def test_a_key_opens_and_only_its_hash_is_kept(house: House, tmp_path: Path) -> None:
    client, key = people.add_client(house.database, "lab", "system/Observation.rs", "", 0)
    caller = house.people.bearer(key)
    assert (caller.id, caller.name, caller.kind) == (f"client:{client.id}", "lab", "client")
    assert [str(s) for s in caller.scopes] == ["system/Observation.rs"]
    kept = house.database.read.all("SELECT * FROM client")
    assert key not in repr(kept)


@pytest.mark.parametrize("key", ["", "x", "sk_", "' OR 1=1 --", "\x00", "é" * 100])
def test_any_other_key_does_not(house: House, key: str) -> None:
    people.add_client(house.database, "lab", "system/*.rs", "", 0)
    with pytest.raises(Unauthenticated, match="this bearer key is not good"):
        house.people.bearer(key)


def test_a_revoked_key_stops_within_the_recheck_time(house: House) -> None:
    _, key = people.add_client(house.database, "lab", "system/*.rs", "", 0)
    house.people.bearer(key)
    people.revoke_client(house.database, "lab")
    house.clock.advance(house.settings["session.recheck"] + 0.1)
    with pytest.raises(Unauthenticated, match="this bearer key is not good"):
        house.people.bearer(key)
    assert house.settings["session.recheck"] <= 5


def test_an_expired_key_stops_at_once(house: House) -> None:
    expires = house.clock.micros() + 1_000_000
    _, key = people.add_client(house.database, "lab", "system/*.rs", "", expires)
    house.people.bearer(key)
    house.clock.advance(1)
    with pytest.raises(Unauthenticated, match="this bearer key is not good"):
        house.people.bearer(key)


def test_a_client_must_be_told_apart_and_be_good_for_something(house: House) -> None:
    people.add_client(house.database, "lab", "system/*.rs", "", 0)
    with pytest.raises(Conflict, match="an active client has this name"):
        people.add_client(house.database, "lab", "system/*.rs", "", 0)
    with pytest.raises(Invalid, match="a client without scopes can do nothing"):
        people.add_client(house.database, "b", " ", "", 0)
    with pytest.raises(Invalid, match="a patient/ scope needs a patient"):
        people.add_client(house.database, "b", "patient/*.rs", "", 0)
    with pytest.raises(InvalidSyntax, match="not a SMART scope"):
        people.add_client(house.database, "b", "everything", "", 0)
    with pytest.raises(Invalid, match="no active client of that name"):
        people.revoke_client(house.database, "b")


async def test_the_first_run_link_makes_one_administrator_once(house: House) -> None:
    link = house.people.first_run_link()
    second = house.people.first_run_link()
    assert link
    assert not house.people.link_works(link)
    assert house.people.link_works(second)
    with pytest.raises(Unauthenticated, match="this link was used or is too old"):
        await house.people.begin(link, "ada", "Ada", PASSWORD, "")
    with pytest.raises(Invalid, match="the password is too easy to guess"):
        await house.people.begin(second, "ada", "Ada", "short", "")
    session = await house.people.begin(second, "ada", "Ada", PASSWORD, "")
    caller = await house.people.session(session)
    assert (caller.name, caller.roles) == ("Ada", ("administrator",))
    assert house.people.first_run_link() == ""
    with pytest.raises(Unauthenticated, match="this link was used or is too old"):
        await house.people.begin(second, "eve", "Eve", PASSWORD, "")


async def test_the_first_run_link_ends_by_itself(house: House) -> None:
    link = house.people.first_run_link()
    house.clock.advance(house.settings["session.first_run_link"] + 1)
    assert not house.people.link_works(link)


async def test_a_session_ends_when_silent_when_old_and_when_signed_out(house: House) -> None:
    people.add_user(house.database, "ada", "Ada", PASSWORD, ["clinician"])
    idle, life = house.settings["session.idle"], house.settings["session.life"]
    silent = await house.people.sign_in("ada", PASSWORD, "")
    house.clock.advance(idle + 1)
    with pytest.raises(Unauthenticated, match="the session has ended"):
        await house.people.session(silent)
    busy = await house.people.sign_in("ada", PASSWORD, "")
    for _ in range(int(life / (idle * 0.9))):
        house.clock.advance(idle * 0.9)
        await house.people.session(busy)
    house.clock.advance(idle * 0.9)
    with pytest.raises(Unauthenticated, match="the session has ended"):
        await house.people.session(busy)
    out = await house.people.sign_in("ADA", PASSWORD, "")
    await house.people.sign_out(out)
    with pytest.raises(Unauthenticated, match="the session has ended"):
        await house.people.session(out)


async def test_a_new_password_ends_all_sessions(house: House) -> None:
    people.add_user(house.database, "ada", "Ada", PASSWORD, ["reader"])
    session = await house.people.sign_in("ada", PASSWORD, "")
    people.reset_password(house.database, "ada", "another long password")
    with pytest.raises(Unauthenticated, match="the session has ended"):
        await house.people.session(session)
    with pytest.raises(Unauthenticated, match="name or password is wrong"):
        await house.people.sign_in("ada", PASSWORD, "")
    await house.people.sign_in("ada", "another long password", "")


async def test_unknown_and_wrong_look_the_same(house: House) -> None:
    people.add_user(house.database, "ada", "Ada", PASSWORD, ["reader"])
    said = []
    for login in ("ada", "eve"):
        with pytest.raises(Unauthenticated) as caught:
            await house.people.sign_in(login, "wrong password", "")
        said.append(str(caught.value))
    assert said[0] == said[1]


async def wrong(house: House, login: str, address: str) -> str:
    try:
        await house.people.sign_in(login, "wrong password", address)
    except (Unauthenticated, TooManyAttempts) as error:
        return error.code
    return "signed in"


async def test_who_guesses_waits_and_a_good_login_lifts_it(house: House) -> None:
    people.add_user(house.database, "ada", "Ada", PASSWORD, ["reader"])
    said = [await wrong(house, "ada", "192.0.2.1") for _ in range(10)]
    free = house.settings["login.free_attempts"]
    assert said == ["unauthenticated"] * free + ["too-many-attempts"] * (10 - free)
    with pytest.raises(TooManyAttempts, match="too many wrong passwords"):
        await house.people.sign_in("ada", PASSWORD, "192.0.2.9")
    house.clock.advance(2)
    await house.people.sign_in("ada", PASSWORD, "192.0.2.1")


async def test_one_address_that_tries_many_names_waits_too(house: House) -> None:
    said = [await wrong(house, f"user{n}", "192.0.2.1") for n in range(24)]
    assert said[-1] == "too-many-attempts"
    assert await wrong(house, "user99", "192.0.2.2") == "unauthenticated"


async def test_sign_ins_are_in_the_trail(house: House) -> None:
    people.add_user(house.database, "ada", "Ada", PASSWORD, ["reader"])
    with pytest.raises(Unauthenticated):
        await house.people.sign_in("ada", "wrong password", "192.0.2.1")
    await house.people.sign_in("ada", PASSWORD, "192.0.2.1")
    rows = [e.row for e in audit.find(house.database.read, what="login")]
    assert [(r.outcome, r.address) for r in rows] == [(200, "192.0.2.1"), (401, "192.0.2.1")]
    assert PASSWORD not in repr(rows)


@pytest.mark.parametrize("password", ["", "short", "aaaaaaaaaaaaaaaa", "ada-the-admin"])
def test_easy_passwords_are_refused(house: House, password: str) -> None:
    with pytest.raises(Invalid, match="the password is too easy to guess"):
        people.add_user(house.database, "ada-the-admin", "", password, ["reader"])


def test_roles_and_logins_are_from_closed_sets(house: House) -> None:
    with pytest.raises(Invalid, match="no role named 'king'"):
        people.add_user(house.database, "ada", "", PASSWORD, ["king"])
    for login in ("", "a b", "<b>", "x" * 101, "-x"):
        with pytest.raises(Invalid, match="not a login name"):
            people.add_user(house.database, login, "", PASSWORD, ["reader"])
    with pytest.raises(Invalid, match="no such user"):
        people.reset_password(house.database, "nobody", PASSWORD)


async def test_guesses_sent_at_once_are_counted_one_by_one(house: House) -> None:
    people.add_user(house.database, "ada", "Ada", PASSWORD, ["reader"])
    said = await asyncio.gather(*(wrong(house, "ada", f"192.0.2.{n}") for n in range(12)))
    assert said.count("unauthenticated") == house.settings["login.free_attempts"]
    assert said.count("too-many-attempts") == 12 - house.settings["login.free_attempts"]
