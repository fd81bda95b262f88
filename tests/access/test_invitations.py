"""Invitations: links work once and end; patients show what the link does not say; proxies end when they end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from suture.access import staff
from suture.access.invitations import TRIES, Made, WrongProof, end_proxy
from suture.access.proxies import patients_of
from suture.errors import Conflict, Forbidden, Invalid, Unauthenticated
from suture.store import accounts, audit
from suture.store.connection import Tx
from tests.access.house import HERE, PASSWORD, House


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path, login__second_factor="optional")
    yield made
    made.database.close()


def make(house: House, invite: Callable[[Tx], Made]) -> Made:
    return house.database.write_now(invite)


def colleague(house: House, login: str = "ada", **more: Any) -> Made:
    return make(
        house, lambda tx: house.people.invitations.staff(tx, login, "Ada", more.get("roles", ["viewer"]), "user:1")
    )


def patient(house: House, birth_date: str = "1980-02-03", id: str = "p1") -> Made:
    return make(house, lambda tx: house.people.invitations.patient(tx, id, "Ann Example", birth_date, "user:1"))


def proxy(house: House, id: str = "p1", until: int = 0) -> Made:
    return make(house, lambda tx: house.people.invitations.proxy(tx, id, "Otto", "father", until, "user:1"))


async def test_a_colleague_comes_in_once_under_the_name_that_was_given(house: House) -> None:
    made = colleague(house)
    with pytest.raises(Invalid, match="too easy to guess"):
        await house.people.invitations.accept(made.token, "", "short", "", HERE)
    session = await house.people.invitations.accept(made.token, "eve", PASSWORD, "", HERE)
    caller = await house.people.session(session)
    assert (caller.name, caller.roles) == ("Ada", ("viewer",))
    assert accounts.user_by_login(house.database.read, "ada") is not None
    assert accounts.user_by_login(house.database.read, "eve") is None
    with pytest.raises(Unauthenticated, match="used or is too old"):
        await house.people.invitations.accept(made.token, "", PASSWORD, "", HERE)
    assert [row.detail for row in house.trail("invite")] == ["staff: viewer"]


async def test_an_invitation_ends_by_itself_and_can_be_taken_back(house: House) -> None:
    old, back = colleague(house), colleague(house, "bob")
    (first, second) = house.people.invitations.open()
    assert {first.login, second.login} == {"ada", "bob"}
    id = next(one.id for one in (first, second) if one.login == "bob")
    house.database.write_now(lambda tx: house.people.invitations.end(tx, id, "user:1"))
    with pytest.raises(Conflict, match="not open any more"):
        house.database.write_now(lambda tx: house.people.invitations.end(tx, id, "user:1"))
    house.clock.advance(house.settings["login.invitation_life"] + 1)
    for token in (old.token, back.token, "x"):
        with pytest.raises(Unauthenticated, match="used or is too old"):
            await house.people.invitations.accept(token, "", PASSWORD, "", HERE)
    assert house.people.invitations.open() == []


def test_nobody_is_invited_to_what_is_taken_or_is_not_for_staff(house: House) -> None:
    house.add("ada", ["reader"])
    for login, roles, said in (
        ("ada", ["viewer"], "login name is taken"),
        ("bob", ["king"], "no role named 'king'"),
        ("bob", [], "a person needs a role"),
        ("bob", ["patient"], "are invited for a record"),
        ("bob", ["infrastructure", "clinician"], "goes with no other role"),
        ("b b", ["viewer"], "not a login name"),
    ):
        with pytest.raises((Conflict, Invalid), match=said):
            colleague(house, login, roles=roles)


async def test_a_patient_comes_in_with_the_birth_date_and_sees_one_record(house: House) -> None:
    made = patient(house)
    assert made.code == ""
    with pytest.raises(WrongProof, match="does not go with the invitation"):
        await house.people.invitations.accept(made.token, "ann", PASSWORD, "1980-03-02", HERE)
    session = await house.people.invitations.accept(made.token, "ann@example.org", PASSWORD, "1980-02-03", HERE)
    caller = await house.people.session(session)
    assert (caller.patient, caller.fhir_user, caller.permissions) == ("p1", "Patient/p1", {"own.use"})
    assert [str(one) for one in caller.scopes] == ["patient/*.rs"]
    kept = repr(house.database.read.all("SELECT * FROM link"))
    assert "1980" not in kept
    assert made.token not in kept


async def test_who_has_the_link_only_has_few_tries(house: House) -> None:
    made = patient(house, birth_date="")
    assert len(made.code.replace(" ", "")) == 8
    for n in range(TRIES):
        with pytest.raises(WrongProof) as caught:
            await house.people.invitations.accept(made.token, "ann", PASSWORD, f"1234567{n}", HERE)
    assert "It has ended" in caught.value.mend
    with pytest.raises(Unauthenticated):
        await house.people.invitations.accept(made.token, "ann", PASSWORD, made.code, HERE)
    assert house.trail("accept-invitation")[0].patient == "Patient/p1"


async def test_a_proxy_stands_in_until_the_end_and_no_longer_than_allowed(house: House) -> None:
    until = house.clock.micros() + 86_400_000_000
    made = proxy(house, until=until)
    session = await house.people.invitations.accept(made.token, "otto", PASSWORD, made.code, HERE)
    caller = await house.people.session(session)
    assert (caller.patient, caller.fhir_user) == ("p1", "")
    house.clock.advance(86_401)
    session = await house.people.sign_in("otto", PASSWORD, "")
    caller = await house.people.session(session)
    assert caller.patient is None
    assert house.trail("grant-proxy")[0].patient == "Patient/p1"


async def test_one_person_stands_in_for_several_and_chooses(house: House) -> None:
    first, second = proxy(house), proxy(house, "p2")
    session = await house.people.invitations.accept(first.token, "otto", PASSWORD, first.code, HERE)
    otto = accounts.user_by_login(house.database.read, "otto")
    assert otto is not None
    with pytest.raises(WrongProof):
        await house.people.invitations.join(second.token, otto, first.code)
    await house.people.invitations.join(second.token, otto, second.code)
    stands = patients_of(house.database.read, otto, house.clock.micros())
    assert [(one.patient, one.relation) for one in stands] == [("p1", "father"), ("p2", "father")]
    assert (await house.people.session(session)).patient is None  # nobody chose yet
    await house.people.sessions.choose(session, "p2")
    assert (await house.people.session(session)).patient == "p2"
    grant = next(one.proxy for one in stands if one.patient == "p2")
    with pytest.raises(Conflict, match="nobody stands in like this"):
        house.database.write_now(lambda tx: end_proxy(tx, grant, "p1", "user:1"))
    house.database.write_now(lambda tx: end_proxy(tx, grant, "p2", "user:1"))
    assert (await house.people.session(session)).patient is None  # at once, in the session that is open
    await house.people.sessions.choose(session, "p9")
    assert (await house.people.session(session)).patient is None  # choosing opens nothing


async def test_staff_cannot_take_a_patients_invitation_on_their_own_name(house: House) -> None:
    made, ada = proxy(house), house.add("ada", ["clinician"])
    with pytest.raises(Forbidden, match="needs an account of its own"):
        await house.people.invitations.join(made.token, ada, made.code)


async def test_a_link_for_a_new_password_ends_sessions(house: House) -> None:
    user = house.add("ada", ["reader"])
    session = await house.people.sign_in("ada", PASSWORD, "")
    made = make(house, lambda tx: house.people.invitations.reset(tx, user, "user:1"))
    await house.people.session(session)
    await house.people.invitations.accept(made.token, "eve", "another long password", "", HERE)
    with pytest.raises(Unauthenticated):
        await house.people.session(session)
    with pytest.raises(Unauthenticated):
        await house.people.sign_in("ada", PASSWORD, "")


def test_somebody_always_manages_people(house: House) -> None:
    ada, bob = house.add("ada", ["administrator"]), house.add("bob", ["viewer"])
    for change in (
        lambda tx: staff.change_roles(tx, ada, ["viewer"]),
        lambda tx: staff.set_active(tx, ada, False),
    ):
        with pytest.raises(Conflict, match="this is the last administrator"):
            house.database.write_now(change)
    house.database.write_now(lambda tx: staff.change_roles(tx, bob, ["administrator"]))
    house.database.write_now(lambda tx: staff.set_active(tx, ada, False))
    assert [row.detail for row in house.trail("change-roles")] == ["viewer -> administrator"]
    bob = staff.by_login(house.database.read, "bob")
    with pytest.raises(Conflict):  # one who can't sign in does not count
        house.database.write_now(lambda tx: staff.change_roles(tx, bob, ["viewer"]))


async def test_other_roles_end_the_sessions_that_had_the_old_ones(house: House) -> None:
    user = house.add("ada", ["viewer"])
    session = await house.people.sign_in("ada", PASSWORD, "")
    house.database.write_now(lambda tx: staff.change_roles(tx, user, ["operator"]))
    with pytest.raises(Unauthenticated):
        await house.people.session(session)
    assert audit.verify(house.database.read) is None
