"""A UDAP trust community over HTTP: discovery, registration by software statement, tokens with certificates, and forgeries."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from joserfc import jws
from joserfc.jwk import RSAKey

from suture.access.oauth import registrar, trust
from suture.access.oauth.assertions import TYPE, Signatures
from suture.errors import Unstartable
from suture.store import apps, audit
from suture.store.apps import APPROVED
from tests.access.oauth import community
from tests.access.oauth.community import APP, Member, below, made, member, root, settle
from tests.server.running import Running, serving

BASE = "https://ehr.example"
count = iter(range(10**9))


@asynccontextmanager
async def settled(folder: Path, **more: Any) -> AsyncIterator[Running]:
    """A server that is seen from outside at BASE, in the community."""
    values = {**settle(folder, BASE), "udap__community": "urn:community:1", **more}
    async with serving(folder, **values) as server:
        yield server


def statement(**more: Any) -> dict[str, Any]:
    now = int(time.time())
    said = {
        "iss": APP, "sub": APP, "aud": f"{BASE}/auth/register", "iat": now, "exp": now + 240, "jti": f"s{next(count)}",
        "client_name": "Registry", "contacts": ["mailto:it@registry.example"], "grant_types": ["client_credentials"],
        "token_endpoint_auth_method": "private_key_jwt", "scope": "system/Patient.rs system/Observation.read",
    }  # fmt: skip
    return {name: value for name, value in {**said, **more}.items() if value is not None}


async def register(server: Running, text: str, **more: Any) -> httpx.Response:
    body = {"software_statement": text, "certifications": [], "udap": "1", **more}
    return await server.http.post("/auth/register", json=body, headers={"Authorization": ""})


B2B = {"version": "1", "organization_id": "https://registry.example", "purpose_of_use": ["urn:oid:2.16.840.1.113883.5.8#TREAT"]}  # fmt: skip


async def token(server: Running, id: str, who: Member | None = None, claims: Any = None, **more: Any) -> httpx.Response:
    now = int(time.time())
    said = {
        "iss": id, "sub": id, "aud": f"{BASE}/auth/token", "iat": now, "exp": now + 240, "jti": f"t{next(count)}",
        "extensions": {"hl7-b2b": B2B}, **(claims or {}),
    }  # fmt: skip
    header = more.pop("header", {})
    form = {
        "grant_type": "client_credentials", "client_assertion_type": TYPE, "udap": "1", "scope": "system/Patient.rs",
        "client_assertion": (who or member()).signed(said, **header), **more,
    }  # fmt: skip
    async with httpx.AsyncClient(base_url=server.url) as http:
        return await http.post("/auth/token", data={name: value for name, value in form.items() if value is not None})


def approve(server: Running, id: str) -> None:
    server.app.database.write_now(lambda tx: registrar.decide(tx, id, APPROVED, "system"))


async def test_the_metadata_is_signed_with_the_communitys_certificate(tmp_path: Path) -> None:
    async with settled(tmp_path) as server:
        answer = await server.http.get("/fhir/.well-known/udap", headers={"Authorization": ""})
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
        assert answer.headers["access-control-allow-origin"] == "*"
        said = answer.json()
        assert said["udap_versions_supported"] == ["1"]
        assert set(said["udap_profiles_supported"]) == {"udap_dcr", "udap_authn", "udap_authz"}
        assert said["udap_authorization_extensions_required"] == ["hl7-b2b"]
        assert (said["udap_certifications_supported"], said["udap_certifications_required"]) == ([], [])
        assert said["grant_types_supported"] == ["client_credentials"]
        assert said["token_endpoint_auth_methods_supported"] == ["private_key_jwt"]
        assert "RS256" in said["token_endpoint_auth_signing_alg_values_supported"]
        head = json.loads(base64.urlsafe_b64decode(said["signed_metadata"].split(".")[0] + "=="))
        leaf = x509.load_der_x509_certificate(base64.b64decode(head["x5c"][0]))
        key = trust.key(leaf, "RS256")
        assert isinstance(key, RSAKey)
        registry = Signatures(algorithms=["RS256"])
        claims = json.loads(jws.deserialize_compact(said["signed_metadata"], key, registry=registry).payload)
        assert claims["iss"] == claims["sub"] == f"{BASE}/fhir"
        assert f"{BASE}/fhir" in trust.names(leaf)
        assert 0 < claims["exp"] - claims["iat"] <= 366 * 86_400
        assert claims["jti"]
        for name in ("token_endpoint", "registration_endpoint"):
            assert claims[name] == said[name]
        ours = await server.http.get("/fhir/.well-known/udap?community=urn:community:1")
        assert ours.status_code == 200
        assert (await server.http.get("/fhir/.well-known/udap?community=urn:other")).status_code == 204


async def test_without_a_community_nothing_is_claimed(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        assert (await server.http.get("/fhir/.well-known/udap")).status_code == 404
        answer = await register(server, member().signed(statement()))
        assert (answer.status_code, answer.json()["error"]) == (400, "unapproved_software_statement")


@pytest.mark.parametrize("kind", ["rsa", "ec"])
async def test_a_member_registers_waits_and_gets_its_token(tmp_path: Path, kind: str) -> None:
    async with settled(tmp_path) as server:
        who, said = member(kind=kind), statement()
        text = who.signed(said)
        answer = await register(server, text)
        assert answer.status_code == 201
        told = answer.json()
        assert told["software_statement"] == text
        for name in ("client_name", "grant_types", "token_endpoint_auth_method", "scope", "contacts"):
            assert told[name] == said[name]
        assert told["response_types"] == []
        assert (await token(server, told["client_id"], who)).status_code == 401
        approve(server, told["client_id"])
        given = await token(server, told["client_id"], who, scope="system/*.rs")
        assert given.status_code == 200
        assert given.json()["scope"].split() == ["system/Patient.rs", "system/Observation.rs"]
        assert 0 < given.json()["expires_in"] <= 300
        headers = {"Authorization": f"Bearer {given.json()['access_token']}"}
        assert (await server.http.get("/fhir/Patient", headers=headers)).status_code == 200
        rows = [entry.row for entry in audit.find(server.app.database.read) if entry.row.what == "token"]
        assert rows[0].purpose == B2B["purpose_of_use"][0]
        assert rows[0].detail == "client_credentials https://registry.example"


async def test_the_same_again_changes_nothing_and_another_one_waits_again(tmp_path: Path) -> None:
    async with settled(tmp_path) as server:
        first = (await register(server, member().signed(statement()))).json()["client_id"]
        approve(server, first)
        same = await register(server, member().signed(statement()))
        assert (same.status_code, same.json()["client_id"], same.json()["status"]) == (200, first, "approved")
        held = (await token(server, first)).json()["access_token"]
        wider = await register(server, member().signed(statement(scope="system/*.cruds")))
        assert (wider.status_code, wider.json()["client_id"], wider.json()["status"]) == (200, first, "pending")
        assert (await token(server, first)).status_code == 401
        used = await server.http.get("/fhir/Patient", headers={"Authorization": f"Bearer {held}"})
        assert used.status_code == 401
        ended = await register(server, member().signed(statement(grant_types=[])))
        assert (ended.status_code, ended.json()["grant_types"], ended.json()["client_id"]) == (200, [], first)
        anew = await register(server, member().signed(statement()))
        assert anew.status_code == 201
        assert anew.json()["client_id"] != first


async def test_members_may_be_let_in_at_once(tmp_path: Path) -> None:
    async with settled(tmp_path, udap__approve=True, oauth__register=False) as server:
        made_ = (await register(server, member().signed(statement()))).json()
        assert made_["status"] == "approved"
        assert (await token(server, made_["client_id"])).status_code == 200


async def test_another_member_does_not_touch_it(tmp_path: Path) -> None:
    other = "https://other.example/udap"
    async with settled(tmp_path, udap__approve=True) as server:
        first = (await register(server, member().signed(statement()))).json()["client_id"]
        theirs = await register(server, member(other).signed(statement(iss=other, sub=other)))
        assert theirs.status_code == 201
        assert theirs.json()["client_id"] != first
        assert (await token(server, first, member(other))).status_code == 401
        assert (await register(server, member(other).signed(statement(grant_types=[])))).status_code == 400
        found = apps.get(server.app.database.read, first)
        assert found is not None
        assert found.approved


STRANGER = made("Stranger root", None, authority=True)
BAD: dict[str, tuple[Callable[[], str], str]] = {
    "a stranger": (lambda: made("x", STRANGER, uri=APP).signed(statement()), "unapproved_software_statement"),
    "signed by itself": (lambda: made("y", None, uri=APP).signed(statement()), "unapproved_software_statement"),
    "a member as an authority": (lambda: made("z", member("https://o.example/"), uri=APP).signed(statement()), "unapproved_software_statement"),
    "over": (lambda: made("old", below(), uri=APP, days=(0, 10)).signed(statement()), "unapproved_software_statement"),
    "not yet": (lambda: made("new", below(), uri=APP, days=(3000, 3650)).signed(statement()), "unapproved_software_statement"),
    "an authority itself": (lambda: below().signed(statement(iss="x", sub="x")), "unapproved_software_statement"),
    "the chain is cut": (lambda: member().signed(statement(), x5c=member().x5c[:1]), "unapproved_software_statement"),
    "no chain": (lambda: member().signed(statement(), x5c=None), "unapproved_software_statement"),
    "an empty chain": (lambda: member().signed(statement(), x5c=[]), "unapproved_software_statement"),
    "a chain that is none": (lambda: member().signed(statement(), x5c=["AAAA"]), "unapproved_software_statement"),
    "too long a chain": (lambda: member().signed(statement(), x5c=member().x5c * 3), "unapproved_software_statement"),
    "another's certificate": (lambda: member("https://o.example/").signed(statement(), x5c=member().x5c), "invalid_software_statement"),
    "another's name": (lambda: member("https://o.example/").signed(statement()), "invalid_software_statement"),
    "wrong iss": (lambda: member().signed(statement(iss="https://evil.example")), "invalid_software_statement"),
    "no iss": (lambda: member().signed(statement(iss=None)), "invalid_software_statement"),
    "another sub": (lambda: member().signed(statement(sub="x")), "invalid_software_statement"),
    "wrong signature": (lambda: member().signed(statement())[:-6] + "AAAAAA", "invalid_software_statement"),
    "for somebody else": (lambda: member().signed(statement(aud="https://o.example/register")), "invalid_software_statement"),
    "for the token endpoint": (lambda: member().signed(statement(aud=f"{BASE}/auth/token")), "invalid_software_statement"),
    "too long a life": (lambda: member().signed(statement(exp=int(time.time()) + 600)), "invalid_software_statement"),
    "long over": (lambda: member().signed(statement(iat=1_700_000_000, exp=1_700_000_200)), "invalid_software_statement"),
    "no jti": (lambda: member().signed(statement(jti=None)), "invalid_software_statement"),
    "no iat": (lambda: member().signed(statement(iat=None)), "invalid_software_statement"),
    "RS512": (lambda: member().signed(statement(), alg="RS512"), "invalid_software_statement"),
    "jku": (lambda: member().signed(statement(), jku="https://evil.example"), "invalid_software_statement"),
    "x5u": (lambda: member().signed(statement(), x5u="https://evil.example"), "invalid_software_statement"),
    "crit": (lambda: member().signed(statement(), crit=["x"]), "invalid_software_statement"),
    "no JWT": (lambda: "x", "invalid_software_statement"),
    "no contacts": (lambda: member().signed(statement(contacts=None)), "invalid_client_metadata"),
    "no mail": (lambda: member().signed(statement(contacts=["https://x.example"])), "invalid_client_metadata"),
    "no name": (lambda: member().signed(statement(client_name=None)), "invalid_client_metadata"),
    "no scope": (lambda: member().signed(statement(scope=None)), "invalid_client_metadata"),
    "for people": (lambda: member().signed(statement(grant_types=["authorization_code"])), "invalid_client_metadata"),
    "with a secret": (lambda: member().signed(statement(token_endpoint_auth_method="client_secret_basic")), "invalid_client_metadata"),
    "nothing to cancel": (lambda: member().signed(statement(grant_types=[])), "invalid_client_metadata"),
}  # fmt: skip


async def test_bad_statements_are_refused_with_their_code(tmp_path: Path) -> None:
    async with settled(tmp_path) as server:
        for name, (text, error) in BAD.items():
            answer = await register(server, text())
            assert (name, answer.status_code, answer.json()["error"]) == (name, 400, error)
        assert apps.find(server.app.database.read) == []


async def test_a_statement_is_good_once(tmp_path: Path) -> None:
    async with settled(tmp_path) as server:
        text = member().signed(statement())
        answers = await asyncio.gather(*(register(server, text) for _ in range(5)))
        assert sorted(answer.status_code for answer in answers) == [201, 400, 400, 400, 400]


async def test_bad_requests_for_tokens(tmp_path: Path) -> None:
    async with settled(tmp_path, udap__approve=True) as server:
        id = (await register(server, member().signed(statement()))).json()["client_id"]
        refused: dict[str, tuple[int, str]] = {}
        other = "https://o.example/"

        async def ask(name: str, **more: Any) -> None:
            answer = await token(server, id, **more)
            refused[name] = (answer.status_code, answer.json()["error"])

        await ask("a stranger", who=made("x", STRANGER, uri=APP))
        await ask("another member", who=member(other))
        await ask("another member with our chain", who=member(other), header={"x5c": member().x5c})
        await ask("no udap", udap=None)
        await ask("a kid instead", header={"x5c": None, "kid": "k1", "typ": "JWT"})
        await ask("jwk", header={"jwk": member().jose().as_dict(private=False)})
        await ask("iss is its URI", claims={"iss": APP, "sub": APP})
        await ask("aud", claims={"aud": f"{BASE}/auth/register"})
        await ask("no iat", claims={"iat": None})
        await ask("too long", claims={"iat": int(time.time()) - 200})
        assert set(refused.values()) == {(401, "invalid_client")}
        refused.clear()
        for name, said in (
            ("none", None),
            ("version", {**B2B, "version": "2"}),
            ("organization", {**B2B, "organization_id": "x"}),
            ("purpose", {**B2B, "purpose_of_use": []}),
            ("purposes that are none", {**B2B, "purpose_of_use": "TREAT"}),
        ):
            await ask(name, claims={"extensions": {"hl7-b2b": said} if said else None})
        assert set(refused.values()) == {(400, "invalid_grant")}
        assert len(refused) == 5
        assert (await token(server, id)).status_code == 200


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"udap__key": ""}, "certificate, key and anchors go together"),
        ({"http__base_url": "https://other.example"}, "does not name this server's FHIR address"),
        ({"udap__anchors": "/nowhere.pem"}, "no certificates can be read"),
        ({"udap__key": "CERTIFICATE"}, "not a private key"),
    ],
)
async def test_what_does_not_fit_does_not_start(tmp_path: Path, change: dict[str, str], said: str) -> None:
    values = settle(tmp_path, BASE)
    more = {name: values["udap__certificate"] if value == "CERTIFICATE" else value for name, value in change.items()}
    with pytest.raises(Unstartable, match=said):
        async with serving(tmp_path, **{**values, **more}):
            pass


def test_the_community_is_what_it_says() -> None:
    assert root().certificate.subject != below().certificate.subject
    assert len(member().x5c) == 3
    assert community.APP in trust.names(member().certificate)
