"""Second factors: who must have one, one use of each code, guessers wait, nobody passes by."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pyotp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from suture.access.people import People
from suture.access.refusals import TooManyAttempts
from suture.access.second_factor import Answer, new_code, reset, tidy, time_step
from suture.access.sessions import From, require_policy
from suture.errors import Conflict, Invalid, Unauthenticated, Unstartable
from suture.store import factors
from suture.store.database import Database
from tests.access.house import HERE, PASSWORD, House
from tests.stores import settings


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path)
    yield made
    made.database.close()


@pytest.mark.parametrize("role", ["administrator", "compliance", "infrastructure"])
async def test_who_may_change_privileges_gets_no_session_without_one(house: House, role: str) -> None:
    house.add("ada", [role])
    needed = await house.step("ada")
    assert needed.set_up
    assert (needed.status, needed.code) == (401, "second-factor-needed")
    for path in (
        house.people.session(needed.step),
        house.people.second.finish(needed.step, Answer("totp", "000000"), HERE),
    ):
        with pytest.raises(Unauthenticated):
            await path
    assert house.database.read.one("SELECT count(*) FROM session") == (0,)


async def test_others_need_none_until_they_set_one_up(house: House) -> None:
    user = house.add("rea", ["reader"])
    await house.people.session(await house.people.sign_in("rea", PASSWORD, ""))
    await house.app(user)
    assert not (await house.step("rea")).set_up


async def test_a_code_opens_a_session_that_is_strong_for_a_while(house: House) -> None:
    app, _ = await house.app(house.add("ada", ["administrator"]))
    session = await house.session("ada", app)
    caller = await house.people.session(session)
    assert round((house.clock.micros() - caller.strong) / 1e6) == 30
    house.clock.advance(600)
    fresh = await house.people.second.confirm(session, Answer("totp", house.code(app)), "")
    with pytest.raises(Unauthenticated, match="the session has ended"):
        await house.people.session(session)  # the old token opens nothing any more
    assert round(((await house.people.session(fresh)).strong - caller.strong) / 1e6) == 630
    assert [row.detail for row in house.trail("confirm")] == ["totp"]


async def test_a_code_is_taken_once_in_whichever_process(house: House) -> None:
    app, _ = await house.app(house.add("ada", ["administrator"]))
    steps = [(await house.step("ada")).step for _ in range(4)]
    other = Database.open(house.settings, house.clock)
    elsewhere = People(other, house.clock, house.settings)
    try:
        answer = Answer("totp", house.code(app))
        tries = [
            (house.people if n % 2 else elsewhere).second.finish(step, answer, HERE) for n, step in enumerate(steps)
        ]
        found = await asyncio.gather(*tries, return_exceptions=True)
    finally:
        other.close()
    assert sum(isinstance(one, str) for one in found) == 1
    assert {str(one)[:40] for one in found if not isinstance(one, str)} == {"this code is wrong or was used already. "}
    with pytest.raises(Unauthenticated, match="was used already"):  # an earlier one neither
        await house.people.second.finish((await house.step("ada")).step, Answer("totp", house.code(app, -1)), HERE)


async def test_a_step_opens_one_session_and_ends_by_itself(house: House) -> None:
    app, codes = await house.app(house.add("ada", ["administrator"]))
    needed = await house.step("ada")
    await house.people.second.finish(needed.step, Answer("totp", house.code(app)), HERE)
    with pytest.raises(Unauthenticated, match="this took too long"):
        await house.people.second.finish(needed.step, Answer("recovery", codes[0]), HERE)
    assert (
        factors.codes_left(house.database.read, house.people.sessions.step((await house.step("ada")).step).user.id)
        == 10
    )
    late = await house.step("ada")
    house.clock.advance(house.settings["login.step_life"] + 1)
    with pytest.raises(Unauthenticated, match="this took too long"):
        await house.people.second.finish(late.step, Answer("recovery", codes[0]), HERE)


async def test_recovery_codes_work_once_and_only_their_hashes_are_kept(house: House) -> None:
    user = house.add("ada", ["administrator"])
    _, codes = await house.app(user)
    assert len(set(codes)) == 10
    await house.people.second.finish(
        (await house.step("ada")).step, Answer("recovery", codes[3].upper().replace("-", " ")), HERE
    )
    with pytest.raises(Unauthenticated, match="recovery code is wrong or was used"):
        await house.people.second.finish((await house.step("ada")).step, Answer("recovery", codes[3]), HERE)
    kept = repr(house.database.read.all("SELECT * FROM recovery")) + repr(
        house.database.read.all("SELECT * FROM factor")
    )
    assert not any(code in kept or tidy(code) in kept for code in codes)
    assert house.people.second.codes_left(user.id) == 9
    fresh = await house.people.second.new_codes(user, "")
    assert not set(fresh) & set(codes)
    with pytest.raises(Unauthenticated):
        await house.people.second.finish((await house.step("ada")).step, Answer("recovery", codes[4]), HERE)


async def test_somebody_elses_code_opens_nothing(house: House) -> None:
    _, codes = await house.app(house.add("eve", ["administrator"]))
    app, _ = await house.app(house.add("ada", ["administrator"]))
    needed = await house.step("eve")
    for answer in (Answer("recovery", ""), Answer("totp", house.code(app)), Answer("passkey", "{}")):
        with pytest.raises(Unauthenticated):
            await house.people.second.finish(needed.step, answer, HERE)
    needed = await house.step("ada")
    with pytest.raises(Unauthenticated):
        await house.people.second.finish(needed.step, Answer("recovery", codes[0]), HERE)


async def test_who_guesses_codes_waits_and_signing_in_anew_does_not_help(house: House) -> None:
    app, _ = await house.app(house.add("ada", ["administrator"]))
    said = []
    for n in range(10):
        try:
            needed = await house.step("ada", f"192.0.2.{n}")
            await house.people.second.finish(needed.step, Answer("totp", f"{n:06}"), From(f"192.0.2.{n}"))
        except (Unauthenticated, TooManyAttempts) as error:
            said.append(error.code)
    free = house.settings["login.free_attempts"]
    assert said == ["unauthenticated"] * free + ["too-many-attempts"] * (10 - free)
    with pytest.raises(TooManyAttempts, match="too many wrong codes"):
        await house.people.second.finish((await house.step("ada")).step, Answer("totp", house.code(app)), HERE)
    assert {row.outcome for row in house.trail("second-factor")} == {401}


async def test_the_password_alone_adds_no_second_way_in(house: House) -> None:
    user = house.add("ada", ["administrator"])
    await house.app(user)
    offer = await house.people.second.offer(user)
    code = house.code(pyotp.TOTP(offer.secret))
    with pytest.raises(Conflict, match="set up already"):
        await house.people.second.add_app(user, offer.token, code, "", first=True)
    with pytest.raises(Invalid, match="not the code the app shows"):
        await house.people.second.add_app(user, offer.token, "12345", "", first=False)
    other = house.add("eve", ["administrator"])
    with pytest.raises(Unauthenticated, match="took too long"):
        await house.people.second.add_app(other, offer.token, code, "", first=True)
    assert await house.people.second.add_app(user, offer.token, code, "", first=False) == []
    assert len(house.people.second.of_user(user.id)) == 2


async def test_the_last_one_stays_with_who_must_have_one(house: House) -> None:
    ada, rea = house.add("ada", ["administrator"]), house.add("rea", ["reader"])
    for user in (ada, rea):
        await house.app(user)
    with pytest.raises(Conflict, match="you must keep one second factor"):
        await house.people.second.remove(ada, house.people.second.of_user(ada.id)[0].id, "")
    with pytest.raises(Conflict):  # not by naming another's
        await house.people.second.remove(ada, house.people.second.of_user(rea.id)[0].id, "")
    await house.people.second.remove(rea, house.people.second.of_user(rea.id)[0].id, "")
    assert house.people.second.of_user(rea.id) == []
    assert house.people.second.codes_left(rea.id) == 0


async def test_a_reset_ends_sessions_and_sets_up_anew(house: House) -> None:
    user = house.add("ada", ["administrator"])
    app, _ = await house.app(user)
    session = await house.session("ada", app)
    house.database.write_now(lambda tx: reset(tx, user, "system"))
    with pytest.raises(Unauthenticated):
        await house.people.session(session)
    assert (await house.step("ada")).set_up


async def test_a_session_from_before_the_rule_is_none_any_more(house: House, tmp_path: Path) -> None:
    house.add("rea", ["reader"])
    session = await house.people.sign_in("rea", PASSWORD, "")
    house.people.sessions._settings = house.settings.with_values(login__second_factor="reader")
    with pytest.raises(Unauthenticated, match="the session has ended"):
        await house.people.session(session)
    assert (await house.step("rea")).set_up


@pytest.mark.parametrize(
    ("rule", "open_to_others", "said"),
    [
        ("optional", True, "optional only on a machine that nobody else can reach"),
        ("", False, "not a rule"),
        ("nobody", False, "not a rule"),
        ("optional reader", False, "not a rule"),
    ],
)
def test_a_weak_rule_does_not_start(tmp_path: Path, rule: str, open_to_others: bool, said: str) -> None:
    with pytest.raises(Unstartable, match=said):
        require_policy(settings(tmp_path).with_values(login__second_factor=rule), open_to_others)


@pytest.mark.parametrize("rule", ["optional", "privileged", "everybody", "reader, clinician"])
def test_a_good_rule_starts(tmp_path: Path, rule: str) -> None:
    require_policy(settings(tmp_path).with_values(login__second_factor=rule), False)


SECRET = pyotp.random_base32()
NOW = 1_795_564_800_000_000


@given(st.text(max_size=20) | st.from_regex(r"\s*[0-9٠-٩]{5,8}\s*", fullmatch=True))
def test_no_text_is_taken_for_a_code(text: str) -> None:
    found = time_step(SECRET, text, NOW)
    good = {pyotp.TOTP(SECRET).at(NOW // 1_000_000 + 30 * n) for n in (-1, 0, 1)}
    assert bool(found) == ("".join(text.split()) in good)


def test_the_drift_is_one_step() -> None:
    app, now = pyotp.TOTP(SECRET), NOW // 1_000_000
    steps = [time_step(SECRET, app.at(now + 30 * n), NOW) for n in (-2, -1, 0, 1, 2)]
    assert [bool(step) for step in steps] == [False, True, True, True, False]


def test_a_recovery_code_has_80_bits() -> None:
    assert len({new_code() for _ in range(1000)}) == 1000
    assert {len(tidy(new_code())) for _ in range(100)} == {16}
