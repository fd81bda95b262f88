"""The queue of pairs: who gets in, who stays out, what a change does; a crash loses and doubles nothing."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from suture.access.policy import SYSTEM
from suture.services.matches import view
from suture.services.matches.watch import Watch
from suture.store import health, matches, resources
from suture.store.bodies import Damaged
from tests.services.matches.house import BEA, PERSONAL, House, registrar
from tests.services.matches.house import house as opened


async def test_two_records_of_one_person_wait_for_somebody_and_others_do_not(house: House) -> None:
    await house.put("a")
    await house.put("b", telecom=None)
    await house.put("twin", name=[{"family": "Quimbleton", "given": ["Beatrix"]}])
    await house.put("other", **BEA, telecom=None, address=None, gender=None)
    await house.look()
    assert house.states == {("a", "b"): "open"}
    (pair,) = house.pairs
    assert (pair.grade, pair.levels["family"], pair.levels["birthDate"]) == ("certain", "exact", "exact")
    assert "phone" not in pair.levels
    assert pair.score > 1000
    assert house.trail()[-1].what == "update"  # nobody was shown anything
    assert await house.watch.once() == 0


async def test_nobody_is_linked_unless_the_settings_say_so(house: House) -> None:
    await house.put("a")
    await house.put("b")
    await house.look()
    assert "link" not in house.patient("a") | house.patient("b")


async def test_what_is_certain_is_linked_when_the_settings_say_so(tmp_path: Path) -> None:
    with opened(tmp_path, matching__link_certain=True) as house:
        await house.put("a")
        await house.put("b")
        await house.put("slip", name=[{"family": "Quimbelton", "given": ["Annabella"]}])
        await house.look()
        assert house.states == {("a", "b"): "open", ("a", "slip"): "open", ("b", "slip"): "open"}  # none stands alone
    with opened(tmp_path / "two", matching__link_certain=True) as house:
        await house.put("a")
        await house.put("b")
        await house.look()
        assert house.states == {("a", "b"): "linked"}
        assert house.patient("a")["link"] == [{"other": {"reference": "Patient/b"}, "type": "replaces"}]
        assert (house.patient("b")["link"][0]["type"], house.patient("b")["active"]) == ("replaced-by", False)
        last = house.trail()[-1]
        assert (last.what, last.who, last.patients) == ("link", "system", ("Patient/a", "Patient/b"))
        await house.look()
        assert house.states == {("a", "b"): "linked"}


async def test_a_change_takes_a_pair_out_of_the_queue_and_a_deletion_too(house: House) -> None:
    await house.put("a")
    await house.put("b")
    await house.put("c")
    await house.look()
    assert set(house.states.values()) == {"open"}
    assert len(house.states) == 3
    await house.put("b", name=[{"family": "Different", "given": ["Person"]}], birthDate="1931-07-09", telecom=None)
    await house.look()
    assert house.states == {("a", "b"): "gone", ("a", "c"): "open", ("b", "c"): "gone"}
    await house.app.interactions.delete(SYSTEM, "Patient", "c")
    await house.look()
    assert set(house.states.values()) == {"gone"}
    await house.put("b")
    await house.look()
    assert house.states[("a", "b")] == "open"
    assert len(house.pairs) == 3


async def test_a_link_that_was_made_elsewhere_is_known(house: House) -> None:
    """As the map of a merge (A40) writes it."""
    await house.put("a")
    await house.put("b")
    await house.look()
    await house.put("a", link=[{"other": {"reference": "Patient/b"}, "type": "replaces"}])
    await house.put("b", link=[{"other": {"reference": "Patient/a"}, "type": "replaced-by"}], active=False)
    await house.put("c", **BEA, link=[{"other": {"reference": "Patient/d"}, "type": "seealso"}])
    await house.put("d", **BEA)
    await house.look()
    assert house.states == {("a", "b"): "linked", ("c", "d"): "linked"}


async def test_a_crash_loses_and_doubles_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(tmp_path) as house:
        await house.put("a")
        await house.put("b")

        def full(*_: object) -> None:
            raise OSError("the disk is full")

        with monkeypatch.context() as patch:
            patch.setattr(matches, "looked", full)
            with pytest.raises(OSError, match="disk is full"):
                await house.watch.once()
        assert matches.place(house.app.database.read) == 0
    with opened(tmp_path) as house:  # as after a kill: only what is on disk is known
        await house.look()
        assert house.states == {("a", "b"): "open"}
        assert matches.place(house.app.database.read) > 0


async def test_one_that_can_not_be_compared_holds_up_nobody_else(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from suture.services.matches import watch

    await house.put("a")
    await house.put("b")
    real, first = watch.seek, []

    def broken(*given: object) -> object:
        if not first:
            first.append(1)
            raise ValueError("Quimbleton")
        return real(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(watch, "seek", broken)
    await house.look()
    assert house.states == {("a", "b"): "open"}
    assert [r.getMessage() for r in caplog.records] == ["a Patient could not be compared: ValueError"]


def damage(house: House, id: str) -> bytes:
    """Spoils a stored body; returns what it was."""
    row = resources.read(house.app.database.read, "Patient", id)
    assert row is not None
    (kept,) = house.app.database.read.all("SELECT body FROM res WHERE rid = ?", (row.rid,))
    mend(house, row.rid, b"\x00" * 80)
    return bytes(kept[0])


def mend(house: House, rid: int, body: bytes) -> None:
    house.app.database.write_now(lambda tx: tx.execute("UPDATE res SET body = ? WHERE rid = ?", (body, rid)))


async def test_a_damaged_body_is_left_out_told_of_and_tried_again(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    for id in ("a", "b", "spoiled", "c"):
        await house.put(id)
    whole = damage(house, "spoiled")
    await house.put("d")
    await house.look()
    assert set(house.states) == {("a", "b"), ("a", "c"), ("b", "c"), ("a", "d"), ("b", "d"), ("c", "d")}
    assert {pair.grade for pair in house.pairs} == {"probable"}  # with one left out nobody is certain
    read = house.app.database.read
    [rid] = matches.damaged(read)
    told = [r.getMessage() for r in caplog.records]
    assert told == ["left out of the search for doubles, for their bodies are damaged: 1 Patients"]
    assert not [text for text in PERSONAL if text in caplog.text]
    [finding] = health._left_out(house.app.database)
    assert (finding.level, finding.text[:27]) == ("bad", "1 Patients can't be read an")
    assert "suture verify" in finding.mend
    listed = view.listed(read, registrar(), "open", 1 << 62, (1 << 62, 1 << 62), 100)
    assert len(listed.shown) == 6
    mend(house, rid, whole)
    assert await house.watch.once() == 0  # until the next start
    house.watch = Watch(house.chart)
    await house.look()
    assert len(house.states) == 10
    assert matches.damaged(read) == frozenset()
    assert list(health._left_out(house.app.database)) == []


async def test_a_pair_whose_other_record_is_damaged_stays_as_it_is(house: House) -> None:
    await house.put("a")
    await house.put("b")
    await house.look()
    damage(house, "b")
    await house.put("a", address=None)
    await house.look()
    assert [pair.state for pair in house.pairs] == ["open"]
    assert len(matches.damaged(house.app.database.read)) == 1


async def test_when_very_many_are_damaged_the_search_waits(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matches, "MOST_DAMAGED", 0)
    await house.put("a")
    damage(house, "a")
    with pytest.raises(Damaged, match="very many stored Patients are damaged"):
        await house.look()
    assert matches.place(house.app.database.read) == 0


async def test_it_runs_by_itself_ends_and_says_nothing_personal(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from suture.services.matches import watch

    caplog.set_level(logging.DEBUG)
    monkeypatch.setattr(watch, "LOOK", 0.001)
    await house.put("a")
    await house.put("b")
    running = Watch(house.chart)
    await running.start()
    while not house.pairs:
        await watch.asyncio.sleep(0.005)
    await running.stop()
    assert not [text for text in PERSONAL if text in caplog.text]
    off = Watch(house.chart)
    off._chart.settings = house.chart.settings.with_values(matching__on=False)
    await off.start()
    assert off._task is None
