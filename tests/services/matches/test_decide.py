"""What a person decides: who may, what is written on both sides, what is remembered, and that every refusal says why."""

from __future__ import annotations

from pathlib import Path

import pytest

import suture.services.matches.decide as decide
from suture.access.policy import SYSTEM
from suture.clock import SYSTEM as CLOCK
from suture.clock import SetClock
from suture.errors import Conflict, Forbidden, Invalid, NotFound
from suture.services.audit import event, words
from suture.services.matches import view
from suture.store import matches, resources
from tests.services.matches.house import BEA, PERSONAL, House, registrar
from tests.services.matches.house import house as opened

WHOLE = "cruds"


async def two(house: House) -> int:
    await house.put("a")
    await house.put("b", active=True)
    await house.look()
    (pair,) = house.pairs
    return pair.n


async def test_linked_on_both_sides_with_versions_and_one_row_that_names_both(house: House) -> None:
    n = await two(house)
    before = len(house.trail())
    pair = await decide.link(house.chart, registrar(), n, "a")
    assert (pair.state, pair.who) == ("linked", "user:reg")
    assert house.patient("a")["link"] == [{"other": {"reference": "Patient/b"}, "type": "replaces"}]
    assert house.patient("b")["link"] == [{"other": {"reference": "Patient/a"}, "type": "replaced-by"}]
    assert (house.patient("a").get("active"), house.patient("b")["active"]) == (None, False)
    assert [len(resources.history(house.app.database.read, "Patient", id)) for id in ("a", "b")] == [2, 2]
    (row,) = house.trail()[before:]
    assert (row.what, row.type, row.id, row.who, row.outcome, row.detail) == (
        "link", "Patient", "a", "user:reg", 200, "replaces"
    )  # fmt: skip
    assert row.patients == ("Patient/a", "Patient/b")
    assert (event.action(row.what), words.done(row)) == ("U", "linked with another record the Patient")
    assert not [text for text in PERSONAL if text in str(row)]
    await house.look()
    assert house.states == {("a", "b"): "linked"}


async def test_the_younger_record_may_stand_and_both_may(house: House) -> None:
    n = await two(house)
    await decide.link(house.chart, registrar(), n, "b")
    assert [link["type"] for link in house.patient("a")["link"]] == ["replaced-by"]
    await house.put("c", **BEA)
    await house.put("d", **BEA)
    await house.look()
    pair = next(p for p in house.pairs if p.state == "open")
    await decide.link(house.chart, registrar(), pair.n, "c", "seealso")
    assert [house.patient(id)["link"][0]["type"] for id in ("c", "d")] == ["seealso", "seealso"]
    assert "active" not in house.patient("d")


async def test_a_link_is_taken_back_and_it_is_not_asked_again(house: House) -> None:
    n = await two(house)
    was = {id: house.patient(id) for id in ("a", "b")}
    await decide.link(house.chart, registrar(), n, "a")
    await decide.unlink(house.chart, registrar(), n)
    for id, before in was.items():
        assert {k: v for k, v in house.patient(id).items() if k != "meta"} == {
            k: v for k, v in before.items() if k != "meta"
        }
    assert [r.what for r in house.trail()][-2:] == ["link", "unlink"]
    await house.look()
    assert house.states == {("a", "b"): "apart"}
    with pytest.raises(Conflict, match="the records are not linked"):
        await decide.unlink(house.chart, registrar(), n)


async def test_two_persons_are_not_asked_about_again_unless_something_changes(house: House) -> None:
    n = await two(house)
    await decide.dismiss(house.chart, registrar(), n)
    await house.put("a", maritalStatus={"text": "married"})
    await house.look()
    assert house.states == {("a", "b"): "apart"}
    await house.put("a", telecom=[{"system": "email", "value": "ann@example.org"}])
    await house.look()
    assert house.states == {("a", "b"): "open"}


async def test_later_is_shown_again_after_a_while(tmp_path: Path) -> None:
    clock = SetClock(CLOCK.now())
    with opened(tmp_path, clock, matching__later=3600.0) as house:
        n = await two(house)
        await decide.later(house.chart, registrar(), n)

        def shown(show: str) -> list[int]:
            read = house.app.database.read
            return [s.pair.n for s in view.listed(read, SYSTEM, show, clock.micros(), view.FIRST, 10).shown]

        assert (shown("open"), shown("later")) == ([], [n])
        clock.advance(7200)
        assert (shown("open"), shown("later")) == ([n], [])


async def test_a_decided_pair_is_not_decided_twice(house: House) -> None:
    n = await two(house)
    await decide.dismiss(house.chart, registrar(), n)
    for decision in (decide.dismiss, decide.later):
        with pytest.raises(Conflict, match="the pair is apart already"):
            await decision(house.chart, registrar(), n)
    with pytest.raises(Conflict, match="the pair is apart already"):
        await decide.link(house.chart, registrar(), n, "a")
    assert house.trail()[-1].outcome == 409


async def test_what_can_not_be_linked_is_refused_and_nothing_is_written(house: House) -> None:
    n = await two(house)
    with pytest.raises(Invalid, match="not one of both records"):
        await decide.link(house.chart, registrar(), n, "c")
    with pytest.raises(Invalid, match="not a kind of link"):
        await decide.link(house.chart, registrar(), n, "a", "refer")
    await house.put("c", **BEA)
    await house.put("a", link=[{"other": {"reference": "Patient/c"}, "type": "replaced-by"}])
    with pytest.raises(Conflict, match="Patient/a was replaced already"):
        await decide.link(house.chart, registrar(), n, "b")
    assert "link" not in house.patient("b")
    assert matches.get(house.app.database.read, n).state == "open"  # type: ignore[union-attr]


async def test_who_may_not_decides_nothing_and_learns_nothing(house: House) -> None:
    n = await two(house)
    with pytest.raises(Forbidden):
        await decide.link(house.chart, SYSTEM, n, "a")
    assert house.trail()[-1].outcome == 403
    with pytest.raises(Forbidden):
        await decide.link(house.chart, registrar("user/Patient.rs"), n, "a")
    one = registrar(f"patient/*.{WHOLE}", patient="a")
    for decision in (decide.dismiss, decide.later, decide.unlink):
        with pytest.raises(NotFound, match="no such pair"):
            await decision(house.chart, one, n)
        with pytest.raises(NotFound, match="no such pair"):
            await decision(house.chart, registrar(), n + 99)
    assert house.states == {("a", "b"): "open"}
    assert view.listed(house.app.database.read, one, "open", 1 << 60, view.FIRST, 10).shown == []
    assert "link" not in house.patient("a") | house.patient("b")
