"""Whether a connection may send: by its agreement, an override, its environment, or not at all."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from pathlib import Path

import pytest

from suture.access import agreements
from suture.access.agreements import Agreements, NoAgreement, Peer
from suture.clock import SetClock
from suture.errors import Conflict, Invalid, NotFound
from suture.store import audit, partners
from suture.store.database import Database
from tests.stores import database, settings

DAY = 86_400
LAB = Peer("lab", "lakeside", "production", False)
START = datetime(2026, 6, 1, 12, tzinfo=UTC)


@pytest.fixture
def clock() -> SetClock:
    return SetClock(START)


@pytest.fixture
def store(tmp_path: Path, clock: SetClock):
    opened = database(tmp_path, clock)
    opened.write_now(agreements.add_partner("lakeside", "Lakeside", "", "user:1"))
    yield opened
    opened.close()


def asked(store: Database, clock: SetClock, tmp_path: Path, **values: object) -> Agreements:
    return Agreements(store, clock, settings(tmp_path, session__recheck=0.0, **values))


def agree(store: Database, first: str, last: str = "", partner: str = "lakeside") -> str:
    return store.write_now(agreements.add_agreement(partner, "BAA", first, last, "", "user:1"))


def test_without_one_nothing_is_sent(store: Database, clock: SetClock, tmp_path: Path) -> None:
    with pytest.raises(NoAgreement, match="no agreement in force with 'lakeside'") as caught:
        asked(store, clock, tmp_path).require(LAB)
    assert caught.value.where == "connection lab"
    assert "suture partner agreement lakeside" in caught.value.mend
    with pytest.raises(NoAgreement, match="names no partner"):
        asked(store, clock, tmp_path).require(dataclasses.replace(LAB, partner=""))


@pytest.mark.parametrize(
    ("first", "last", "live"),
    [
        ("2026-06-01", "", True),
        ("2026-06-01", "2026-06-01", True),
        ("2026-06-02", "", False),
        ("2025-01-01", "2026-05-31", False),
        ("2025-01-01", "2026-06-01", True),
    ],
)
def test_its_days_count(store: Database, clock: SetClock, tmp_path: Path, first: str, last: str, live: bool) -> None:
    agree(store, first, last)
    assert asked(store, clock, tmp_path).standing(LAB).live is live


def test_the_day_after_the_last_it_is_over(store: Database, clock: SetClock, tmp_path: Path) -> None:
    agree(store, "2026-01-01", "2026-06-02")
    found = asked(store, clock, tmp_path)
    found.require(LAB)
    clock.advance(2 * DAY)
    with pytest.raises(NoAgreement):
        found.require(LAB)


def test_an_end_takes_hold_at_once(store: Database, clock: SetClock, tmp_path: Path) -> None:
    made = agree(store, "2026-01-01")
    store.write_now(agreements.end_agreement(made, "user:1"))
    assert not asked(store, clock, tmp_path).standing(LAB).live
    agree(store, "2026-01-01")
    store.write_now(agreements.end_partner("lakeside", "user:1"))
    assert not asked(store, clock, tmp_path).standing(LAB).live
    with pytest.raises(NotFound, match="no such partner"):
        agree(store, "2026-01-01")


@pytest.mark.parametrize(
    "changed", [{"here": True, "partner": ""}, {"environment": "sandbox"}, {"environment": "test"}]
)
def test_what_holds_no_patient_or_stays_here_is_free(
    store: Database, clock: SetClock, tmp_path: Path, changed: dict[str, object]
) -> None:
    assert asked(store, clock, tmp_path).standing(dataclasses.replace(LAB, **changed)).live  # type: ignore[arg-type]


def test_an_override_opens_for_a_while_and_is_audited(store: Database, clock: SetClock, tmp_path: Path) -> None:
    until = clock.micros() + 7 * DAY * 1_000_000
    store.write_now(agreements.override("lab", "paper  is signed", until, "user:7"))
    found = asked(store, clock, tmp_path)
    assert found.standing(LAB).why == "opened by user:7 without an agreement: paper is signed"
    assert not found.standing(dataclasses.replace(LAB, connection="other")).live
    row = audit.find(store.read, what="override-agreement")[0].row
    assert (row.who, row.id, row.detail) == ("user:7", "lab", "paper is signed")
    clock.advance(8 * DAY)
    assert not found.standing(LAB).live


def test_an_override_can_be_closed_and_needs_a_reason(store: Database, clock: SetClock, tmp_path: Path) -> None:
    store.write_now(agreements.override("lab", "paper is signed", clock.micros() + DAY * 1_000_000, "user:7"))
    assert store.write_now(agreements.end_overrides("lab", "user:8")) == 1
    clock.advance(1)
    assert not asked(store, clock, tmp_path).standing(LAB).live
    with pytest.raises(Invalid, match="a reason is needed"):
        agreements.override("lab", "  a ", 1, "user:7")


def test_an_installation_may_do_without(store: Database, clock: SetClock, tmp_path: Path) -> None:
    found = asked(store, clock, tmp_path, agreements__required=False).standing(LAB)
    assert (found.live, found.why) == (True, "agreements are not required here (agreements.required)")


def test_what_ends_is_foreseen(store: Database, clock: SetClock) -> None:
    for partner, last in (("near", "2026-06-11"), ("far", "2027-06-11"), ("open", ""), ("gone", "2026-05-01")):
        store.write_now(agreements.add_partner(partner, "", "", "user:1"))
        agree(store, "2026-01-01", last, partner)
    assert agreements.ending(store.read, "2026-06-01", 30) == [("gone", -1), ("near", 10)]


@pytest.mark.parametrize(
    ("values", "text"),
    [
        (("lakeside", "NDA", "2026-01-01", ""), "no such kind"),
        (("lakeside", "BAA", "1 January", ""), "not a day"),
        (("lakeside", "BAA", "2026-02-01", "2026-01-31"), "ends before it begins"),
    ],
)
def test_what_is_no_agreement_is_refused(values: tuple[str, str, str, str], text: str) -> None:
    with pytest.raises(Invalid, match=text):
        agreements.add_agreement(*values, "", "user:1")


def test_partners_have_one_name(store: Database) -> None:
    with pytest.raises(Conflict, match="a partner of this id"):
        store.write_now(agreements.add_partner("lakeside", "", "", "user:1"))
    with pytest.raises(Invalid, match="small letters"):
        agreements.add_partner("Lake Side", "", "", "user:1")


def test_the_paper_is_kept_as_it_was(store: Database) -> None:
    made = agree(store, "2026-01-01")
    store.write_now(agreements.keep_document(made, "baa.pdf", b"%PDF signed", "user:1"))
    assert partners.document(store.read, made) == ("baa.pdf", b"%PDF signed")
    assert len(partners.agreements(store.read)[0].document_hash) == 64
    with pytest.raises(Invalid, match="1 to 20 MiB"):
        agreements.keep_document(made, "x", b"", "user:1")
