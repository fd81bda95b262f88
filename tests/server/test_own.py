"""A patient's own pages: own data only, in plain words; who saw it; what was allowed can be taken back."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from suture.access import passwords, people, staff
from suture.server.own.words import KINDS, day
from suture.store import accounts, apps, audit, grants
from tests.server.people import encounter, observation, patient
from tests.server.running import Running

PASSWORD = "correct horse battery"
PAGE = {"Sec-Fetch-Site": "same-origin", "Accept": "text/html"}
OWN = ("/own", "/own/seen", "/own/apps", "/own/proxies", "/own/choose", *(f"/own/record/{kind}" for kind in KINDS))


def add(server: Running, login: str, id: str, *roles: str) -> accounts.User:
    hashed = passwords.hashed(PASSWORD)
    return server.app.database.write_now(
        lambda tx: staff.create(tx, login, login.title(), hashed, roles or ["patient"], patient=id)
    )


@asynccontextmanager
async def signed_in(server: Running, login: str) -> AsyncIterator[httpx.AsyncClient]:
    token = await server.app.people.sign_in(login, PASSWORD, "192.0.2.5")
    async with httpx.AsyncClient(base_url=server.url, headers=PAGE, cookies={"suture_session": token}) as http:
        yield http


def code(text: str) -> dict[str, Any]:
    return {"text": text}


async def charts(server: Running) -> None:
    """Two patients; everything of the second carries the word Secretive."""
    for id, family in (("p1", "Openly"), ("p2", "Secretive")):
        whose = {"reference": f"Patient/{id}"}
        await server.put(patient(id, family))
        await server.put({**observation(f"o-{id}", id, value=f"{family} 72")})
        await server.put(encounter(f"e-{id}", id, type=[code(f"Visit of {family}")]))
        await server.put(
            {"resourceType": "Condition", "id": f"c-{id}", "subject": whose, "code": code(f"{family} cough")}
        )
        await server.put(
            {
                "resourceType": "Coverage",
                "id": f"i-{id}",
                "status": "active",
                "beneficiary": whose,
                "payor": [{"display": f"{family} Plan"}],
            }
        )


async def test_a_patient_sees_the_own_record_in_plain_words_and_no_others(server: Running) -> None:
    await charts(server)
    add(server, "ann", "p1")
    async with signed_in(server, "ann") as http:
        page = (await http.get("/own")).text
        for text in (
            "Ann Openly",
            "Openly cough",
            "Visit of Openly",
            "Openly Plan",
            "3 February 1980",
            "Nothing is recorded under:",
        ):
            assert text in page
        whole = await http.post("/own/record.zip")
        assert (whole.status_code, whole.content[:2], b"Secretive" in whole.content) == (200, b"PK", False)
        for path in OWN:
            answer = await http.get(path)
            assert answer.status_code == 200, path
            assert "Secretive" not in answer.text, path
        for path in ("/people", "/", "/fhir/Patient/p2", "/fhir/Observation?patient=p2", "/api/messages"):
            answer = await http.get(path, headers={"Accept": "*/*"})
            assert "Secretive" not in answer.text
            assert answer.status_code in (200, 403, 404), path
        assert (await http.get("/own/record/secrets")).status_code == 404
    rows = [
        one.row
        for one in audit.find(
            server.app.database.read, who=f"user:{staff.by_login(server.app.database.read, 'ann').id}", count=200
        )
    ]
    assert {row.patient for row in rows if row.type == "Observation"} == {"Patient/p1"}


@pytest.mark.parametrize("role", ["viewer", "clinician", "administrator", "infrastructure"])
async def test_own_pages_are_for_patients(server: Running, role: str) -> None:
    people.add_user(server.app.database, "sam", "", PASSWORD, [role])
    async with signed_in(server, "sam") as http:
        assert {(await http.get(path)).status_code for path in OWN} == {403}


async def test_who_saw_it_names_people_and_programs(server: Running) -> None:
    await charts(server)
    add(server, "ann", "p1")
    people.add_user(server.app.database, "dora", "Dora <b>Doctor</b>", PASSWORD, ["clinician"])
    async with signed_in(server, "dora") as http:
        await http.get("/fhir/Patient/p1", headers={"Accept": "*/*"})
        await http.get("/fhir/Condition/c-p1", headers={"Accept": "*/*"})
    async with signed_in(server, "ann") as http:
        page = (await http.get("/own/seen")).text
    assert "Dora &lt;b&gt;Doctor&lt;/b&gt;</b> looked at health problems, name and address" in page
    assert "wrote" in page
    assert "p2" not in page


async def test_an_emergency_and_its_review_are_told_in_plain_words(server: Running) -> None:
    await charts(server)
    add(server, "ann", "p1")
    people.add_user(server.app.database, "dora", "Dora", PASSWORD, ["clinician"])
    people.add_user(server.app.database, "cleo", "Cleo", PASSWORD, ["compliance"])
    async with signed_in(server, "dora") as http:
        asked = {"patient": "p1", "reason": "unconscious in the emergency room"}
        opened = (await http.post("/api/break-glass", json=asked)).json()
    async with signed_in(server, "cleo") as http:
        await http.post(f"/break-glass/{opened['id']}/reviewed")
        await http.post("/api/audit/patient", json={"patient": "p1"})
    async with signed_in(server, "ann") as http:
        page = (await http.get("/own/seen")).text
    assert "Dora</b> opened this record in an emergency" in page
    assert "Cleo</b> looked into the emergency" in page
    assert "Cleo</b> looked up who saw this record and what left" in page


async def test_an_app_is_taken_back(server: Running) -> None:
    await charts(server)
    user, eve = add(server, "ann", "p1"), add(server, "eve", "p2")

    def unit(tx: Any) -> list[str]:
        apps.add(tx, apps.OAuthClient("app1", "Heart & Co", "public", status="approved", scopes=("patient/*.rs",)))
        made = []
        for one, id in ((user, "p1"), (eve, "p2")):
            wanted = grants.Wanted(
                "app1",
                ("patient/Observation.rs", "offline_access"),
                f"{server.url}/fhir",
                one.id,
                id,
                refresh="offline",
            )
            grant = grants.create(tx, wanted, 3600)
            grants.issue(tx, grant.id, grants.ACCESS, f"token-{id}", 3600, wanted.scopes)
            made.append(grant.id)
        return made

    mine, other = server.app.database.write_now(unit)
    async with signed_in(server, "ann") as http:
        page = (await http.get("/own/apps")).text
        assert "Heart &amp; Co" in page
        assert "May see: results and measurements." in page
        assert other not in page
        assert (await http.post("/own/apps/revoke", data={"grant": other})).status_code == 409
        assert (await http.post("/own/apps/revoke", data={"grant": mine})).status_code == 303
        assert "No app may see anything" in (await http.get("/own/apps")).text
    ended = [grants.get(server.app.database.read, id) for id in (mine, other)]
    assert [bool(one and one.ended) for one in ended] == [True, False]


async def test_a_patient_lets_somebody_stand_in_and_ends_it(server: Running) -> None:
    await charts(server)
    ann = add(server, "ann", "p1")
    async with signed_in(server, "ann") as http:
        made = (
            await http.post("/own/proxies/invite", data={"name": "Otto", "relation": "my son", "until": "2999-01-01"})
        ).text
        token = re.search(r"/invitation/([\w-]+)<", made)
        code = re.search(r'class="key big">([\d ]+)<', made)
        assert token
        assert code
        bad = await http.post("/own/proxies/invite", data={"name": "Otto", "relation": "my son", "until": "2001-01-01"})
        assert "lies in the past" in bad.text
        async with httpx.AsyncClient(base_url=server.url, headers=PAGE) as otto:
            form = {"login": "otto", "password": PASSWORD, "proof": code[1]}
            page = await otto.get(f"/invitation/{token[1]}")
            assert "The code you were given" in page.text
            assert "p1" not in page.text
            wrong = await otto.post(f"/invitation/{token[1]}", data={**form, "proof": "0000 0000"})
            assert (wrong.status_code, "4 more tries" in wrong.text) == (403, True)
            assert (await otto.post(f"/invitation/{token[1]}", data=form)).headers["location"] == "/own"
            seen = (await otto.get("/own")).text
            assert "Ann Openly" in seen
            assert "as my son" in seen
            assert (await otto.get("/own/proxies")).status_code == 403
            assert (
                await otto.post("/own/proxies/invite", data={"name": "Eve", "relation": "friend"})
            ).status_code == 403
            assert (await otto.post("/own/choose", data={"patient": "p2"})).status_code == 403
            (proxy,) = re.findall(r'name="proxy" value="([^"]+)"', (await http.get("/own/proxies")).text)
            assert (await http.post("/own/proxies/end", data={"proxy": proxy})).status_code == 303
            assert "No record is open to you" in (await otto.get("/own")).text
            assert (await otto.get("/own/record/visits")).status_code == 403
            assert (await otto.get("/fhir/Patient/p1", headers={"Accept": "*/*"})).status_code in (403, 404)
    assert ann.patient == "p1"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("2026-03-05", "5 March 2026"),
        ("2026-03", "March 2026"),
        ("2026", "2026"),
        ("2024-05-06T07:08:09Z", "6 May 2024"),
        ("", ""),
        (None, ""),
        ("soon", ""),
        ("2026-13-40", "2026"),
    ],
)
def test_dates_in_words(text: Any, words: str) -> None:
    assert day(text) == words


@pytest.mark.parametrize("kind", KINDS.values(), ids=list(KINDS))
def test_an_empty_resource_is_told_without_a_guess(kind: Any) -> None:
    assert kind.line({"resourceType": kind.type}) == {"what": kind.line({})["what"], "when": "", "more": ""}
