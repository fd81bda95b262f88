"""Breaking the glass: refused without reason or permission, open for one patient and a while, marked, reviewed by another."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from suture import settings as settings_of
from suture.access import glass, people
from suture.access.caller import Caller
from suture.access.roles import permissions
from suture.clock import SetClock
from suture.errors import Forbidden, Invalid, NotFound
from suture.store.database import Database
from tests.attacks.world import LABEL, consent, put
from tests.server.people import observation, patient
from tests.server.running import Running

SAME = {"Sec-Fetch-Site": "same-origin"}
PASSWORD = "correct horse battery"
WHY = "unconscious in the emergency room"


@asynccontextmanager
async def signed_in(server: Running, login: str, *roles: str) -> AsyncIterator[httpx.AsyncClient]:
    people.add_user(server.app.database, login, login, PASSWORD, roles)
    async with httpx.AsyncClient(base_url=server.url, headers=SAME) as browser:
        answer = await browser.post("/sign-in", data={"login": login, "password": PASSWORD})
        assert answer.status_code == 303
        yield browser


async def fill(server: Running) -> None:
    await put(
        server,
        [
            patient("bsecret"),
            patient("other") | {"meta": {"security": [LABEL]}},
            observation("o1", "bsecret"),
            observation("o2", "bsecret") | {"meta": {"security": [LABEL]}},
            consent(),
        ],
    )


async def test_it_opens_one_record_marks_it_and_ends(server: Running) -> None:
    await fill(server)
    async with signed_in(server, "ada", "clinician") as ada, signed_in(server, "cleo", "compliance") as cleo:
        places = [
            f"/fhir/{place}" for place in ("Patient/bsecret", "Observation/o1", "Observation/o2", "Patient/other")
        ]
        assert [(await ada.get(p)).status_code for p in places] == [404] * 4
        made = await ada.post("/api/break-glass", json={"patient": "bsecret", "reason": WHY})
        assert (made.status_code, made.json()["open"]) == (201, True)
        assert [(await ada.get(p)).status_code for p in places] == [200, 200, 200, 404]
        assert [(r.what, r.purpose, r.patient) for r in server.trail()[-4:]] == [
            *[("read", "BTG", "Patient/bsecret")] * 3, ("read", "BTG", "")
        ]  # fmt: skip
        found = (await ada.get("/fhir/Observation?patient=bsecret&_total=accurate")).json()
        assert found["total"] == 2
        opened = [r for r in server.trail() if r.what == "break-glass"]
        assert [(r.id, r.patient, r.outcome, r.purpose) for r in opened] == [("bsecret", "Patient/bsecret", 201, "BTG")]
        assert WHY not in str(opened)
        # the alert stays until another person has looked at it
        waiting = (await cleo.get("/api/break-glass")).json()["waiting"]
        assert [(w["name"], w["patient"], w["reason"], w["open"]) for w in waiting] == [("ada", "bsecret", WHY, True)]
        assert "suture_glass_unreviewed 1" in (await server.http.get("/metrics")).text
        page = await cleo.get("/break-glass", headers={"Accept": "text/html"})
        assert "1 emergency waits for a review" in page.text
        assert (await cleo.post(f"/break-glass/{waiting[0]['id']}/reviewed")).status_code == 303
        assert (await cleo.get("/api/break-glass")).json()["waiting"] == []
        ended = await ada.post(f"/api/break-glass/{waiting[0]['id']}/end")
        assert ended.json()["open"] is False
        assert [(await ada.get(p)).status_code for p in places] == [404] * 4


@pytest.mark.parametrize(
    ("patient_", "reason", "status", "text"),
    [
        ("bsecret", "", 400, "a reason of 10 to 500 characters is needed"),
        ("bsecret", "   x        y  ", 400, "a reason of 10 to 500 characters is needed"),
        ("bsecret", "x" * 501, 400, "a reason of 10 to 500 characters is needed"),
        ("", WHY, 404, "no patient with this id or identifier"),
        ("100234", WHY, 404, "no patient with this id or identifier"),
    ],
)
async def test_without_a_reason_it_stays_whole(
    server: Running, patient_: str, reason: str, status: int, text: str
) -> None:
    async with signed_in(server, "ada", "clinician") as ada:
        refused = await ada.post("/api/break-glass", json={"patient": patient_, "reason": reason})
        assert (refused.status_code, refused.json()["text"]) == (status, text)
        page = await ada.post("/break-glass", data={"patient": patient_, "reason": reason})
        assert (page.status_code, text in page.text) == (status, True)
        assert (await ada.get("/api/break-glass")).json()["own"] == []


async def test_a_record_number_opens_the_record_it_belongs_to(server: Running) -> None:
    await fill(server)
    async with signed_in(server, "ada", "clinician") as ada, signed_in(server, "cleo", "compliance") as cleo:
        made = await ada.post("/api/break-glass", json={"patient": "mrn-bsecret", "reason": WHY})
        assert (made.status_code, made.json()["patient"]) == (201, "bsecret")
        assert (await ada.get("/fhir/Patient/bsecret")).status_code == 200
        assert "mrn-bsecret" not in str(server.trail())
        review = await cleo.get("/break-glass", headers={"Accept": "text/html"})
        assert '<input type="hidden" name="patient" value="bsecret">' in review.text


@pytest.mark.parametrize("role", ["viewer", "operator", "compliance", "reader", "infrastructure", "patient"])
async def test_who_lacks_the_permission_breaks_nothing(server: Running, role: str) -> None:
    async with signed_in(server, "eve", role) as eve:
        refused = await eve.post("/api/break-glass", json={"patient": "bsecret", "reason": WHY})
        assert (refused.status_code, "glass.break" in refused.json()["text"]) == (403, True)
        assert (await eve.post("/break-glass", data={"patient": "bsecret", "reason": WHY})).status_code == 403


async def test_a_purpose_of_use_is_kept_and_an_emergency_is_not_claimed(server: Running) -> None:
    await fill(server)
    for purpose, status in (("TREAT", 404), ("HPAYMT", 404), ("BTG", 400), ("ETREAT", 400), ("x", 400), ("READ", 400)):
        answer = await server.http.get("/fhir/Patient/bsecret", headers={"X-Purpose-Of-Use": purpose})
        assert answer.status_code == status, purpose
    assert [row.purpose for row in server.trail() if row.what == "read"] == ["TREAT", "HPAYMT"]


def caller(name: str, *roles: str) -> Caller:
    return Caller(f"user:{name}", "user", name, roles=roles, permissions=permissions(roles))


def test_it_ends_by_itself_and_is_nobody_elses(tmp_path: Path) -> None:
    clock = SetClock(datetime(2026, 1, 1, tzinfo=UTC))
    settings = settings_of.read(tmp_path, {}).with_values(key_file=str(tmp_path / "k" / "key"))
    database, ada, bob = Database.open(settings, clock), caller("ada", "clinician"), caller("bob", "administrator")
    made = database.write_now(lambda tx: glass.break_(tx, ada, "Patient/p1", WHY, settings))
    assert glass.active(database.read, ada.id, clock.micros()) == {"p1"}
    assert glass.active(database.read, bob.id, clock.micros()) == frozenset()
    with pytest.raises(NotFound, match="nothing of that id"):
        database.write_now(lambda tx: glass.end(tx, bob, made.id))
    with pytest.raises(Forbidden, match=r"audit\.read"):
        database.write_now(lambda tx: glass.review(tx, ada, made.id))
    own = database.write_now(lambda tx: glass.break_(tx, bob, "p1", WHY, settings))
    with pytest.raises(Invalid, match="who broke it does not review it"):
        database.write_now(lambda tx: glass.review(tx, bob, own.id))
    clock.advance(settings["glass.life"] + 1)
    assert glass.active(database.read, ada.id, clock.micros()) == frozenset()
    database.close()
