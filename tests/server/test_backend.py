"""A program in its own name over HTTP: the public checks of SMART Backend Services, and a client library of others (fhirclient)."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from fhirclient.client import FHIRClient
from fhirclient.models.observation import Observation
from fhirclient.models.patient import Patient
from fhirclient.server import FHIRUnauthorizedException

from suture.access.oauth import registrar, registration
from suture.access.oauth.assertions import TYPE
from suture.clock import SYSTEM
from suture.store import apps, audit, grants
from suture.store.apps import APPROVED, ENDED, OAuthClient
from suture.store.connection import Tx
from tests.access.oauth.proofs import claims, ec, published, rsa, signed
from tests.server.people import observation, patient
from tests.server.running import Running

count = iter(range(10**9))


def program(server: Running, scope: str = "system/Patient.rs system/Observation.rs") -> OAuthClient:
    """Registered and approved, with both kinds of keys."""
    said = {
        "client_name": "Registry",
        "token_endpoint_auth_method": "private_key_jwt",
        "grant_types": ["client_credentials"],
        "scope": scope,
        "jwks": published(ec(), rsa()),
    }
    read = registration.read(said, origin="command")

    def unit(tx: Tx) -> OAuthClient:
        made = registrar.keep(tx, read, "system")
        return registrar.decide(tx, made.id, APPROVED, "system")

    return server.app.database.write_now(unit)


def assertion(url: str, client: OAuthClient, key: Any = None, **more: Any) -> str:
    said = {"iss": client.id, "sub": client.id, "aud": f"{url}/auth/token", "jti": f"b{next(count)}"}
    return signed(claims(SYSTEM, **{**said, **more}), key)


async def ask(server: Running, client: OAuthClient, key: Any = None, **more: str) -> httpx.Response:
    form = {
        "grant_type": "client_credentials",
        "scope": "system/*.rs",
        "client_assertion_type": TYPE,
        "client_assertion": assertion(server.url, client, key),
        **more,
    }
    async with httpx.AsyncClient(base_url=server.url) as http:
        return await http.post("/auth/token", data=form)


async def test_discovery_says_what_a_program_needs(server: Running) -> None:
    told = (await server.http.get("/fhir/.well-known/smart-configuration")).json()
    assert told["token_endpoint"] == f"{server.url}/auth/token"
    assert "private_key_jwt" in told["token_endpoint_auth_methods_supported"]
    assert {"RS384", "ES384"} <= set(told["token_endpoint_auth_signing_alg_values_supported"])
    assert "client_credentials" in told["grant_types_supported"]
    assert {"client-confidential-asymmetric", "permission-v1", "permission-v2"} <= set(told["capabilities"])
    assert {"system/*.rs"} <= set(told["scopes_supported"])


@pytest.mark.parametrize("key", [ec, rsa])
async def test_a_good_request(server: Running, key: Any) -> None:
    answer = await ask(server, program(server), key())
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("application/json")
    assert (answer.headers["cache-control"], answer.headers["pragma"]) == ("no-store", "no-cache")
    said = answer.json()
    assert set(said) == {"access_token", "token_type", "expires_in", "scope"}
    assert said["token_type"].lower() == "bearer"
    assert 0 < said["expires_in"] <= 300
    assert said["scope"] == "system/Patient.rs system/Observation.rs"


@pytest.mark.parametrize(
    ("more", "status", "error"),
    [
        ({"grant_type": "not_a_grant_type"}, {400}, {"unsupported_grant_type"}),
        ({"grant_type": ""}, {400}, {"invalid_request"}),
        ({"grant_type": "authorization_code", "code": "x"}, {400}, {"unauthorized_client", "invalid_grant"}),
        ({"grant_type": "refresh_token", "refresh_token": "x"}, {400}, {"unauthorized_client", "invalid_grant"}),
        ({"client_assertion_type": "not_an_assertion_type"}, {400, 401}, {"invalid_client"}),
        ({"client_assertion_type": ""}, {400, 401}, {"invalid_client"}),
        ({"client_assertion": ""}, {400, 401}, {"invalid_client"}),
        ({"client_assertion": "not.an.assertion"}, {400, 401}, {"invalid_client"}),
        ({"scope": "system/Encounter.rs"}, {400}, {"invalid_scope"}),
        ({"scope": ""}, {400}, {"invalid_scope"}),
        ({"client_secret": "x"}, {400}, {"invalid_request"}),
    ],
)
async def test_a_bad_request(server: Running, more: dict[str, str], status: set[int], error: set[str]) -> None:
    answer = await ask(server, program(server), **more)
    assert answer.status_code in status
    assert answer.json()["error"] in error
    assert "access_token" not in answer.json()
    assert answer.headers["cache-control"] == "no-store"


async def test_a_bad_proof_is_refused_and_audited(server: Running) -> None:
    client = program(server)
    answer = await ask(server, client, client_assertion=assertion(server.url, client, aud="https://other.example"))
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    assert "www-authenticate" in answer.headers
    assert audit.find(server.app.database.read)[0].row[:2] == ("anonymous", "denied")


async def test_the_token_opens_what_was_granted_and_nothing_else(server: Running) -> None:
    await server.put(patient("p1"))
    await server.put(observation("o1", "p1"))
    client = program(server, "system/Patient.r system/Observation.rs")
    token = (await ask(server, client)).json()["access_token"]
    server.http.headers["Authorization"] = f"Bearer {token}"
    assert (await server.http.get("/fhir/Patient/p1")).status_code == 200
    assert (await server.http.get("/fhir/Observation?patient=p1")).json()["entry"]
    assert (await server.http.get("/fhir/Patient")).status_code == 403
    assert (await server.http.get("/fhir/Encounter")).status_code == 403
    assert (await server.http.put("/fhir/Patient/p1", json=patient("p1", "Other"))).status_code == 403
    rows = [row for row in server.trail() if row.what == "read"]
    assert [(row.who, row.type, row.id) for row in rows] == [(f"client:{client.id}", "Patient", "p1")]


async def test_a_granular_scope_opens_what_it_says(server: Running) -> None:
    await server.put(patient("p1"))
    await server.put(observation("o1", "p1"))
    lab = observation("o2", "p1")
    lab["category"][0]["coding"][0]["code"] = "laboratory"
    await server.put(lab)
    vital = "system/Observation.rs?category=http://terminology.hl7.org/CodeSystem/observation-category|vital-signs"
    answer = (await ask(server, program(server, vital))).json()
    assert answer["scope"] == vital
    server.http.headers["Authorization"] = f"Bearer {answer['access_token']}"
    found = (await server.http.get("/fhir/Observation?patient=p1")).json()
    assert [entry["resource"]["id"] for entry in found["entry"]] == ["o1"]
    assert (await server.http.get("/fhir/Observation/o1")).status_code == 200
    assert (await server.http.get("/fhir/Observation/o2")).status_code != 200


async def test_the_end_of_a_program_is_the_end_of_its_tokens(server: Running) -> None:
    client = program(server)
    token = (await ask(server, client)).json()["access_token"]
    server.http.headers["Authorization"] = f"Bearer {token}"
    assert (await server.http.get("/fhir/Patient")).status_code == 200
    server.app.database.write_now(lambda tx: registrar.decide(tx, client.id, ENDED, "system"))
    assert (await server.http.get("/fhir/Patient")).status_code == 401
    assert (await ask(server, client)).json()["error"] == "invalid_client"
    assert grants.of_client(server.app.database.read, client.id, SYSTEM.micros()) == []
    assert apps.get(server.app.database.read, client.id) is not None


def walk(url: str, client: OAuthClient) -> tuple[list[str], list[str], bool]:
    """What fhirclient does with nothing but the base, a client id and a signed assertion."""
    asked = {"app_id": client.id, "api_base": f"{url}/fhir", "scope": "system/Patient.read system/Observation.read"}
    smart = FHIRClient({**asked, "jwt_token": assertion(url, client)})
    smart.wants_patient = False
    assert smart.server.capabilityStatement.fhirVersion == "4.0.1"
    smart.server.authorize()
    whole = [one.name[0].family for one in Patient.where({}).perform_resources_iter(smart.server)]
    seen = [one.id for one in Observation.where({"patient": "p1"}).perform_resources_iter(smart.server)]
    smart.server.auth.access_token = "another"
    try:
        Patient.read("p1", smart.server)
    except FHIRUnauthorizedException:
        return whole, seen, True
    return whole, seen, False


async def test_a_client_library_of_others_finds_its_way(server: Running) -> None:
    await server.put(patient("p1"))
    await server.put(observation("o1", "p1"))
    assert await asyncio.to_thread(walk, server.url, program(server)) == (["Example"], ["o1"], True)
