"""Tokens: refusals in RFC 6749's words, S256, refresh with rotation, introspection, revocation."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import httpx
import pytest

from suture.store import audit, grants
from suture.store.apps import ASYMMETRIC, SYMMETRIC
from tests.conformance.checks import check
from tests.conformance.smart import App, Kit, Proof

pytestmark = pytest.mark.asyncio(loop_scope="module")
SCOPE = "openid fhirUser launch/patient patient/*.rs offline_access"
SCOPES = ["openid", "fhirUser", "launch/patient", "patient/*.rs", "offline_access"]


async def code_of(smart: Kit, app: App, proof: Proof, scope: str = SCOPE) -> str:
    async with smart.browser("patty") as patty:
        return await app.allowed(patty, proof, scope)


async def tokens_of(smart: Kit, app: App, scope: str = SCOPE) -> dict[str, Any]:
    async with smart.browser("patty") as patty:
        return await app.whole(patty, scope)


def refused(answer: httpx.Response, error: str, status: int = 400) -> None:
    assert (answer.status_code, answer.json()["error"]) == (status, error), answer.text
    assert set(answer.json()) == {"error", "error_description"}
    assert (answer.headers["cache-control"], answer.headers["pragma"]) == ("no-store", "no-cache")


@check(
    "Token",
    "a wrong code is 400 invalid_grant",
    "a wrong client is 400 or 401",
    "a wrong redirect_uri and a missing one are refused",
    "an unknown and a missing grant_type are refused",
)
async def test_what_is_wrong_at_the_token_endpoint(smart: Kit) -> None:
    app, other, proof = smart.app(), smart.app(), Proof()
    code = await code_of(smart, app, proof)
    refused(await app.exchange("ac_wrong", proof), "invalid_grant")
    refused(await app.exchange(code, proof, redirect_uri="https://app.example/after/"), "invalid_grant")
    refused(await app.exchange(code, proof, redirect_uri=""), "invalid_request")
    refused(await other.exchange(code, proof), "invalid_grant")
    refused(await app.exchange(code, proof, client_id="nobody"), "invalid_client", 401)
    refused(await app.exchange(code, proof, grant_type="password"), "unsupported_grant_type")
    refused(await app.exchange(code, proof, grant_type=""), "invalid_request")
    twice = f"grant_type=authorization_code&code={code}&code={code}&redirect_uri={app.redirect}&code_verifier={proof.verifier}"
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    refused(await smart.http.post(smart.smart["token_endpoint"], content=twice, headers=headers), "invalid_request")
    refused(
        await smart.http.post(smart.smart["token_endpoint"], json=app.exchange_form(code, proof)), "invalid_request"
    )
    assert (await app.exchange(code, proof)).status_code == 200  # none of it used the code up


@check("Token", "a client that must prove itself and does not, or wrongly, is 401 with WWW-Authenticate")
async def test_confidential_clients_prove_themselves(smart: Kit) -> None:
    app, proof = smart.app(SYMMETRIC), Proof()
    code = await code_of(smart, app, proof)
    form, address = app.exchange_form(code, proof), smart.smart["token_endpoint"]
    wrong = "Basic " + base64.b64encode(f"{app.id}:wrong".encode()).decode()
    for data, headers in (
        ({**form, "client_id": app.id}, {}),
        ({**form, "client_id": app.id, "client_secret": "wrong"}, {}),
        (form, {"Authorization": wrong}),
        (form, {}),
    ):
        answer = await smart.http.post(address, data=data, headers=headers)
        refused(answer, "invalid_client", 401)
        assert answer.headers["www-authenticate"].startswith("Basic")
    done = await smart.http.post(address, data={**form, "client_id": app.id, "client_secret": app.secret})
    assert done.status_code == 200


DOWNGRADES: dict[str, dict[str, str | None]] = {
    "no challenge": {"code_challenge": None},
    "an empty challenge": {"code_challenge": ""},
    "method plain": {"code_challenge_method": "plain"},
    "no method, which means plain": {"code_challenge_method": None},
    "neither": {"code_challenge": None, "code_challenge_method": None},
    "a challenge that is no SHA-256": {"code_challenge": "x" * 42},
}


@check(
    "PKCE",
    "at authorize: missing, empty, plain, without a method, no hash: refused, no code",
    "for confidential apps, too",
)
@pytest.mark.parametrize("name", DOWNGRADES)
@pytest.mark.parametrize("kind", ["public", SYMMETRIC])
async def test_downgrades_at_authorize(smart: Kit, name: str, kind: str) -> None:
    app = smart.app(kind)
    async with smart.browser("patty") as patty:
        there = await app.ask(patty, Proof(), SCOPE, **DOWNGRADES[name])
    assert isinstance(there, str)
    assert "error=invalid_request" in there
    assert "code=" not in there


@check(
    "PKCE",
    "at the token endpoint: no verifier, a blank one, a wrong one, the challenge itself, too short, too long, other characters",
)
async def test_verifiers(smart: Kit) -> None:
    app, proof = smart.app(), Proof()
    code = await code_of(smart, app, proof)
    for verifier in (
        proof.challenge,
        "x" * 43,
        proof.verifier + "x",
        proof.verifier[:42],
        "x" * 129,
        proof.verifier[:-1] + "é",
    ):
        refused(await app.exchange(code, proof, code_verifier=verifier), "invalid_grant")
    refused(await app.exchange(code, proof, code_verifier=""), "invalid_request")
    form = {k: v for k, v in app.exchange_form(code, proof).items() if k != "code_verifier"}
    refused(await app.token(form), "invalid_request")
    assert (await app.exchange(code, proof)).status_code == 200


@check("Authorize", "an aud that is not this FHIR base gets no code", "with and without a slash behind it")
async def test_aud(smart: Kit) -> None:
    app = smart.app()
    async with smart.browser("patty") as patty:
        for aud in (
            "https://evil.example/fhir",
            smart.fhir + "x",
            smart.fhir.upper(),
            smart.url,
            smart.fhir + "/Patient",
            "",
            None,
        ):
            there = await app.ask(patty, Proof(), SCOPE, aud=aud)
            assert "error=invalid_request" in str(there), (aud, there)
            assert "code=" not in str(there)
        proof = Proof()
        assert (
            await app.exchange(await app.allowed(patty, proof, SCOPE, aud=smart.fhir + "/"), proof)
        ).status_code == 200


@check(
    "Refresh",
    "with and without scope: 200, access_token, token_type, expires_in, scope",
    "a narrower scope is given as asked; the next refresh has all again",
    "more than was granted is invalid_scope",
    "the launch context comes along",
)
@pytest.mark.parametrize("kind", ["public", SYMMETRIC, ASYMMETRIC])
async def test_refresh(smart: Kit, kind: str) -> None:
    app = smart.app(kind)
    first = await tokens_of(smart, app)
    again = (await app.refresh(first["refresh_token"])).json()
    assert (again["scope"], again["token_type"], again["patient"]) == (SCOPE, "Bearer", "p1")
    assert again["refresh_token"] != first["refresh_token"]
    less = (await app.refresh(again["refresh_token"], scope="patient/Observation.rs")).json()
    assert less["scope"] == "patient/Observation.rs"
    assert (await smart.read("Observation", less["access_token"])).status_code == 200
    assert (await smart.read("Condition", less["access_token"])).status_code == 403
    for more in ("patient/*.cruds", "user/*.rs", "patient/*.rs launch", "system/Patient.rs", "nonsense"):
        refused(await app.refresh(less["refresh_token"], scope=more), "invalid_scope")
    all_again = (await app.refresh(less["refresh_token"])).json()
    assert all_again["scope"] == SCOPE


@check(
    "Refresh", "an unknown one, an access token and another client's are refused", "an old one ends the whole family"
)
async def test_reuse_of_a_refresh_token(smart: Kit) -> None:
    app, other = smart.app(), smart.app()
    first = await tokens_of(smart, app)
    for text in ("rt_wrong", first["access_token"]):
        refused(await app.refresh(text), "invalid_grant")
    refused(await other.refresh(first["refresh_token"]), "invalid_grant")
    second = (await app.refresh(first["refresh_token"])).json()
    refused(await app.refresh(first["refresh_token"]), "invalid_grant")
    refused(await app.refresh(second["refresh_token"]), "invalid_grant")
    for told in (first, second):
        assert (await smart.read("Patient/p1", told["access_token"])).status_code == 401


@check("Refresh", "of many sent at once with one token, at most one is answered")
async def test_a_race_of_refreshes(smart: Kit) -> None:
    app = smart.app()
    first = await tokens_of(smart, app)
    answers = await asyncio.gather(*(app.refresh(first["refresh_token"]) for _ in range(20)))
    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 19


@check("Refresh", "a refresh token of offline_access lives at least three months, for public apps, too")
async def test_three_months(smart: Kit) -> None:
    told = await tokens_of(smart, smart.app())
    found = grants.token(smart.running.app.database.read, told["refresh_token"])
    assert found is not None
    assert found[1].expires - found[1].created >= 93 * 86_400 * 1_000_000


@check(
    "Refresh",
    "online_access lasts as long as the session: signed out, it is over",
    "without either scope there is none",
)
async def test_online_access(smart: Kit) -> None:
    app = smart.app()
    async with smart.browser("patty") as patty:
        told = await app.whole(patty, "online_access patient/*.rs")
        assert "refresh_token" not in await app.whole(patty, "patient/*.rs")
        offline = await app.whole(patty, "offline_access patient/*.rs")
        again = (await app.refresh(told["refresh_token"])).json()
        assert again["scope"] == "online_access patient/*.rs"
        await patty.http.post("/sign-out")
    refused(await app.refresh(again["refresh_token"]), "invalid_grant")
    assert (await app.refresh(offline["refresh_token"])).status_code == 200


async def introspected(smart: Kit, app: App, token: str) -> dict[str, Any]:
    answer = await app.token({"token": token}, "introspection_endpoint")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


@check(
    "Introspection",
    "a live token: active, client_id, scope, exp, patient, iss, sub as in the id_token, fhirUser",
    "what is unknown, over or revoked is {active: false} and nothing else",
    "an app asks about its own token with that token; a program with a system/ scope about any",
    "who proves nothing is 401",
)
async def test_introspection(smart: Kit) -> None:
    app, asker = smart.app(launch_url="https://app.example/launch"), smart.app(SYMMETRIC)
    async with smart.browser("doctor") as doctor:
        told = await app.opened(doctor, SCOPE.replace("launch/patient", "launch"), encounter="e1", intent="look")
    claims = await smart.claims(told["id_token"], app.id)
    found = await introspected(smart, asker, told["access_token"])
    assert (found["active"], found["client_id"], found["token_type"]) == (True, app.id, "Bearer")
    for name in ("scope", "patient", "encounter", "intent", "need_patient_banner", "smart_style_url"):
        assert found[name] == told[name]
    for name in ("iss", "sub", "fhirUser"):
        assert found[name] == claims[name]
    assert isinstance(found["exp"], int)
    for text in ("at_wrong", "", "sk_wrong", told["access_token"] + "x"):
        if text:
            assert await introspected(smart, asker, text) == {"active": False}
    address = smart.smart["introspection_endpoint"]
    for headers in ({}, {"Authorization": "Bearer at_wrong"}):
        assert (
            await smart.http.post(address, data={"token": told["access_token"]}, headers=headers)
        ).status_code == 401
    public = await smart.http.post(address, data={"token": told["access_token"], "client_id": app.id})
    assert public.status_code == 401
    own = {"Authorization": f"Bearer {told['access_token']}"}
    assert (await smart.http.post(address, data={"token": told["access_token"]}, headers=own)).json() == found
    others = await tokens_of(smart, smart.app())
    hidden = await smart.http.post(address, data={"token": others["access_token"]}, headers=own)
    assert hidden.json() == {"active": False}
    program = smart.app(
        ASYMMETRIC, ["system/*.rs"], grant_types=("client_credentials",), redirect_uris=("https://b.example",)
    )
    bearer = (await program.token({"grant_type": "client_credentials", "scope": "system/Patient.rs"})).json()[
        "access_token"
    ]
    seen = await smart.http.post(
        address, data={"token": told["access_token"]}, headers={"Authorization": f"Bearer {bearer}"}
    )
    assert seen.json() == found


@check(
    "Revocation",
    "a revoked refresh token ends the grant: reads are 401, refresh is 400, introspection says inactive",
    "a revoked access token ends alone",
    "an unknown token is fine, another client's is refused, a client without proof is 401",
)
async def test_revocation(smart: Kit) -> None:
    app, other, asker = smart.app(), smart.app(), smart.app(SYMMETRIC)
    told = await tokens_of(smart, app)
    assert (await app.token({"token": "at_unknown"}, "revocation_endpoint")).status_code == 200
    refused(await other.token({"token": told["access_token"]}, "revocation_endpoint"), "invalid_grant")
    refused(
        await app.token({"token": told["access_token"], "client_id": "nobody"}, "revocation_endpoint"),
        "invalid_client",
        401,
    )
    refused(await app.token({}, "revocation_endpoint"), "invalid_request")
    again = (await app.refresh(told["refresh_token"])).json()
    assert (await app.token({"token": told["access_token"]}, "revocation_endpoint")).status_code == 200
    assert (await smart.read("Patient/p1", told["access_token"])).status_code == 401
    assert (await smart.read("Patient/p1", again["access_token"])).status_code == 200
    done = await app.token({"token": again["refresh_token"], "token_type_hint": "access_token"}, "revocation_endpoint")
    assert (done.status_code, done.content) == (200, b"")
    assert (await smart.read("Patient/p1", again["access_token"])).status_code == 401
    refused(await app.refresh(again["refresh_token"]), "invalid_grant")
    for text in (again["access_token"], again["refresh_token"]):
        assert await introspected(smart, asker, text) == {"active": False}


@check("Token", "every grant, refusal and end leaves an audit row")
async def test_the_trail(smart: Kit) -> None:
    app, proof = smart.app(), Proof()
    read = smart.running.app.database.read
    before = audit.head(read).n
    code = await code_of(smart, app, proof)
    await app.exchange("ac_wrong", proof)
    told = (await app.exchange(code, proof)).json()
    await app.refresh(told["refresh_token"])
    await app.refresh(told["refresh_token"])
    rows = [entry.row for entry in reversed(audit.find(read, count=1000)) if entry.n > before]
    mine = [
        (row.what, row.detail, row.outcome, row.patient)
        for row in rows
        if row.what in ("authorize", "token", "refresh")
    ]
    assert mine == [
        ("authorize", app.id, 200, "Patient/p1"),
        ("token", "unknown-code", 400, ""),
        ("token", "authorization_code", 200, "Patient/p1"),
        ("refresh", "refresh_token", 200, "Patient/p1"),
        ("refresh", "refresh-reuse", 400, "Patient/p1"),
    ]
