"""Bad input gets an OperationOutcome that names what is wrong; never a 500."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.server.people import observation, patient
from tests.server.running import FHIR, Running, outcome_of

DEEP = b'{"resourceType":"Patient","extension":' + b'[{"extension":' * 200 + b"[]" + b"}]" * 200 + b"}"


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        (b"", 400, "The document ends in the middle."),
        (b"[]", 400, "The document is not a JSON object."),
        (b"{", 400, "The document ends in the middle."),
        (b'{"resourceType":"Patient","a":NaN}', 400, "This is not JSON: invalid character."),
        (b'{"resourceType":"Patient","resourceType":"Patient"}', 400, "The key is there twice in one object."),
        (b'{"resourceType":"Patient","multipleBirthInteger":' + b"9" * 5000 + b"}", 400, None),
        (b'{"resourceType":"Patient","gender":"\\ud800"}', 400, None),
        ('{"resourceType":"Patient"}'.encode("utf-16"), 400, "The document is not plain UTF-8."),
        (b'{"resourceType":"Patient","gender":"\xff"}', 400, "The text is not UTF-8."),
        (b"[" * 100_000, 400, None),
        (DEEP, 400, None),
        (b'{"resourceType":"Observation"}', 400, "the body is no Patient"),
        (b'{"resourceType":["Patient"]}', 400, "the body is no Patient"),
        (b'{"resourceType":"Patient","gender":"unknowable"}', 422, None),
        (b'{"resourceType":"Patient","birthDate":"soon"}', 422, None),
        (b'{"resourceType":"Patient","unheard":1}', 422, None),
        (b'{"resourceType":"Patient","name":"Ann"}', 422, None),
        (b'{"resourceType":"Patient","meta":[]}', 422, None),
        (b'{"resourceType":"Patient","id":{"a":1}}', 422, None),
        (b'{"resourceType":"Patient","contact":[{"gender":"male"}]}', 422, None),
    ],
)
async def test_a_broken_body(server: Running, body: bytes, status: int, text: str | None) -> None:
    answer = await server.http.post("/fhir/Patient", content=body, headers={"Content-Type": FHIR})
    found = outcome_of(answer)
    assert found[0] == status
    if text is not None:
        assert found[2] == text


@pytest.mark.parametrize(
    ("method", "path", "status", "text"),
    [
        ("GET", "/fhir/Nothing/1", 404, "R4 has no such resource type"),
        ("GET", "/fhir/Nothing", 404, "R4 has no such resource type"),
        ("GET", "/fhir/HumanName", 404, "R4 has no such resource type"),
        ("GET", "/fhir/Patient/unknown", 404, "no such Patient"),
        ("GET", "/fhir/Patient/" + "x" * 65, 404, "no such Patient"),
        ("GET", "/fhir/Patient/a%2Fb", 404, "no such Patient"),
        ("GET", "/fhir/Patient/%00", 404, "no such Patient"),
        ("GET", "/fhir/Patient/'%20or%201=1", 404, "no such Patient"),
        ("GET", "/fhir/Patient/p1/_history/x", 404, "no such Patient"),
        ("GET", "/fhir/Patient/p1/_history/99999999999999999999", 404, "no such Patient"),
        ("GET", "/fhir/Patient/p1/$nothing-like-it", 404, "no such operation here"),
        ("GET", "/fhir/Patient?wrong=1", 400, "Patient has no such search parameter"),
        ("GET", "/fhir/Patient?birthdate=soon", 400, None),
        ("GET", "/fhir/Patient?_count=-1", 400, "not a whole number from 0"),
        ("GET", "/fhir/Patient?_sort=nothing", 400, "it can't be sorted by that"),
        ("GET", "/fhir/Patient?_include=Nope", 400, "not an include"),
        ("GET", "/fhir/Patient?_cursor=abc", 400, "not a cursor that was given to this caller here"),
        ("GET", "/fhir/Patient?_cursor=abc&name=x", 400, "a cursor stands alone"),
        ("GET", "/fhir/Patient?name=%ff", 400, "the parameters are not UTF-8"),
        ("GET", "/fhir/Patient?" + "a=1&" * 600, 400, "more than 500 parameters"),
        ("GET", "/fhir/Patient/_history?_cursor=abc", 400, "not a cursor that was given to this caller here"),
        ("DELETE", "/fhir/Patient?nothing=1", 400, "Patient has no such search parameter"),
        ("PATCH", "/fhir/Patient/p1", 415, None),
        ("POST", "/fhir/Patient/p1", 405, "POST is not offered here"),
        ("PUT", "/fhir", 405, "PUT is not offered here"),
        ("GET", "/fhir/Patient?_format=turtle", 406, "_format names a format that is not written here"),
    ],
)
async def test_a_request_that_cannot_be_met(
    server: Running, method: str, path: str, status: int, text: str | None
) -> None:
    await server.put(patient("p1"))
    found = outcome_of(await server.http.request(method, path))
    assert found[0] == status
    if text is not None:
        assert found[2] == text


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"resourceType": "Patient", "id": "other"}, "the body's id is not the id of the address"),
        ({"resourceType": "Patient"}, "the body's id is not the id of the address"),
        ({"resourceType": "Person", "id": "p1"}, "the body is no Patient"),
    ],
)
async def test_an_update_must_say_what_its_address_says(server: Running, body: dict[str, Any], text: str) -> None:
    assert outcome_of(await server.http.put("/fhir/Patient/p1", json=body)) == (400, "invalid", text)


async def test_an_id_that_r4_does_not_allow_is_not_given(server: Running) -> None:
    answer = await server.http.put("/fhir/Patient/a_b", json={"resourceType": "Patient", "id": "a_b"})
    assert outcome_of(answer) == (400, "invalid", "not an id")


async def test_content_types(server: Running) -> None:
    raw = b'{"resourceType":"Patient"}'
    for wrong in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        answer = await server.http.post("/fhir/Patient", content=raw, headers={"Content-Type": wrong})
        assert outcome_of(answer) == (415, "not-supported", "this content type is not read here")
    answer = await server.http.post("/fhir/Patient", content=raw)
    assert outcome_of(answer) == (415, "not-supported", "the body has no Content-Type")
    for good in ("application/json", "application/fhir+json; charset=utf-8", "APPLICATION/FHIR+JSON"):
        answer = await server.http.post("/fhir/Patient", content=raw, headers={"Content-Type": good})
        assert answer.status_code == 201
    form = await server.http.post("/fhir/Patient/_search", json={})
    assert outcome_of(form) == (415, "not-supported", "a search by POST is a form")


async def test_formats_that_are_asked_for(server: Running) -> None:
    await server.put(patient("p1"))
    for accept, kind in [
        ("*/*", FHIR),
        ("application/json", "application/json"),
        ("text/html,application/xhtml+xml,*/*;q=0.1", FHIR),
        ("application/fhir+json;fhirVersion=4.0", FHIR),
        ("application/json;q=0.5, application/fhir+xml;q=0.4", "application/json"),
        ("application/xml", "application/xml"),
    ]:
        answer = await server.http.get("/fhir/Patient/p1", headers={"Accept": accept})
        assert (answer.status_code, answer.headers["content-type"]) == (200, kind)
    for accept in ("image/png", "application/json;q=0", "application/pdf;q=0.9, text/csv"):
        answer = await server.http.get("/fhir/Patient/p1", headers={"Accept": accept})
        assert outcome_of(answer) == (406, "not-supported", "Accept names no format that is written here")
    shown = await server.http.get("/fhir/Patient/p1?_format=application/json", headers={"Accept": "image/png"})
    assert shown.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("headers", "text"),
    [
        ({}, "this needs a bearer key or a session"),
        ({"Authorization": "Bearer wrong"}, "this bearer key is not good"),
        ({"Authorization": "Bearer"}, "this bearer key is not good"),
        ({"Authorization": "Basic YTpi"}, "this kind of credential is not taken"),
        ({"Cookie": "suture_session=wrong"}, "the session has ended"),
    ],
)
async def test_nobody_comes_in_without_a_good_credential(server: Running, headers: dict[str, str], text: str) -> None:
    async with httpx.AsyncClient(base_url=server.url, headers=headers) as http:
        for path in ("/fhir/Patient/p1", "/fhir/Patient", "/fhir/_history", "/fhir/Patient/p1/_history", "/fhir"):
            answer = await http.get(path)
            assert outcome_of(answer) == (401, "login", text)
            shown = ', error="invalid_token"' if "key is not good" in text else ""
            assert answer.headers["www-authenticate"] == 'Bearer realm="suture"' + shown
        unread = await http.post("/fhir/Patient", content=b"{broken", headers={"Content-Type": "text/odd"})
        assert outcome_of(unread)[0] == 401


async def test_what_an_outcome_says_holds_no_value_of_the_body(server: Running) -> None:
    secret = "Zyxwvut"
    for body in (
        patient("p1", gender=secret),
        patient("p1", birthDate=secret),
        observation("o1", "p1", status=secret),
        {"resourceType": "Patient", "name": [{"family": {"x": secret}}]},
        {"resourceType": "Patient", secret: 1},
    ):
        answer = await server.http.post(f"/fhir/{body['resourceType']}", json=body)
        assert answer.status_code == 422
    assert secret not in server.log.getvalue()


async def test_a_lenient_search_says_what_it_left_out(server: Running) -> None:
    await server.put(patient("p1"))
    answer = await server.http.get("/fhir/Patient?shoe=9", headers={"Prefer": "handling=lenient"})
    bundle = answer.json()
    assert answer.status_code == 200
    assert [e["search"]["mode"] for e in bundle["entry"]] == ["match", "outcome"]
    assert bundle["entry"][1]["resource"]["issue"][0]["expression"] == ["shoe"]
    assert bundle["link"][0]["url"].endswith("/fhir/Patient")
