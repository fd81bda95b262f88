"""Who invites a patient names the record by number or id, as far as this person may see it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from suture.access import people
from suture.errors import Invalid, NotFound
from suture.services import patients
from tests.server.people import SYSTEM, patient
from tests.server.running import Running

PASSWORD = "correct horse battery"


@asynccontextmanager
async def administrator(server: Running) -> AsyncIterator[httpx.AsyncClient]:
    people.add_user(server.app.database, "ada", "Ada", PASSWORD, ["administrator"])
    token = await server.app.people.sign_in("ada", PASSWORD, "192.0.2.5")
    headers = {"Sec-Fetch-Site": "same-origin"}
    async with httpx.AsyncClient(base_url=server.url, headers=headers, cookies={"suture_session": token}) as http:
        yield http


async def fill(server: Running) -> None:
    label = {"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "V"}
    await server.put(patient("p1"))
    await server.put({**patient("hidden"), "meta": {"security": [label]}})
    for id in ("t1", "t2"):
        await server.put({**patient(id), "identifier": [{"system": f"{SYSTEM}/{id}", "value": "twin"}]})


@pytest.mark.parametrize("what", ["patient", "proxy"])
@pytest.mark.parametrize(
    ("given", "status"),
    [
        ("mrn-p1", 200), (f"{SYSTEM}|mrn-p1", 200), (" p1 ", 200), ("Patient/p1", 200), ("mrn-none", 404), ("", 404),
        ("mrn-hidden", 404), ("hidden", 404), ("twin", 400), (f"{SYSTEM}/t1|twin", 200),
    ],
)  # fmt: skip
async def test_a_patient_is_invited_by_number(server: Running, what: str, given: str, status: int) -> None:
    await fill(server)
    asked = {"patient": given, "name": "Mia", "relation": "mother"}
    async with administrator(server) as http:
        answer = await http.post(f"/api/people/invite-{what}", json=asked if what == "proxy" else {"patient": given})
    assert answer.status_code == status, answer.text
    assert ("/invitation/" in answer.text) is (status == 200)
    if status == 404 and given:  # a record that is kept back looks like none
        assert answer.json()["text"] == "no such Patient"


async def test_a_number_names_one_patient_or_none(server: Running) -> None:
    await fill(server)
    read = server.app.database.read
    assert [patients.find(read, text) for text in ("mrn-p1", "p1", "mrn-hidden", "mrn-none", "")] == [
        "p1", "p1", "hidden", "", ""
    ]  # fmt: skip
    with pytest.raises(Invalid, match="several patients have this identifier"):
        patients.named(read, "twin")
    with pytest.raises(NotFound, match="no patient with this id or identifier"):
        patients.named(read, "mrn-none")
