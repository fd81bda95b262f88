"""What an app finds before it has any credential: the well-known documents, the keys, the CapabilityStatement, CORS."""

from __future__ import annotations

import re
from typing import Any

import pytest

from suture.server.routes import TABLE
from suture.store.apps import SYMMETRIC
from tests.conformance.checks import check
from tests.conformance.smart import EVERY_SCOPE, Kit, origin

pytestmark = pytest.mark.asyncio(loop_scope="module")
GROUP = "Discovery"
_SCOPE = re.compile(r"(patient|user|system)/([A-Za-z]+|\*)\.c?r?u?d?s?(\?[^ ]+)?")
STANDALONE = [
    "launch-standalone",
    "client-public",
    "client-confidential-symmetric",
    "client-confidential-asymmetric",
    "sso-openid-connect",
    "context-standalone-patient",
    "permission-offline",
    "permission-patient",
    "authorize-post",
    "permission-v2",
    "permission-v1",
]
EHR = [
    "launch-ehr",
    "context-banner",
    "context-style",
    "context-ehr-patient",
    "context-ehr-encounter",
    "permission-user",
]


async def well_known(smart: Kit, name: str = "smart-configuration", **headers: str) -> Any:
    return await smart.http.get(f"{smart.fhir}/.well-known/{name}", headers=headers)


@check(GROUP, "smart-configuration is 200 and application/json, whatever Accept says")
async def test_the_document_is_json(smart: Kit) -> None:
    for accept in ("application/json", "application/fhir+xml", "*/*", "text/html"):
        answer = await well_known(smart, Accept=accept)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")


@check(
    GROUP,
    "authorization_endpoint and token_endpoint are strings",
    "grant_types_supported holds authorization_code and client_credentials",
    "code_challenge_methods_supported holds S256 and not plain",
    "issuer and jwks_uri are there, as sso-openid-connect asks",
    "introspection_endpoint, revocation_endpoint, management_endpoint and scopes_supported are there",
)
async def test_required_members(smart: Kit) -> None:
    told = (await well_known(smart)).json()
    assert isinstance(told["authorization_endpoint"], str)
    assert isinstance(told["token_endpoint"], str)
    assert {"authorization_code", "client_credentials"} <= set(told["grant_types_supported"])
    assert told["code_challenge_methods_supported"] == ["S256"]
    assert told["issuer"] == smart.fhir
    assert told["response_types_supported"] == ["code"]
    for name in ("jwks_uri", "introspection_endpoint", "revocation_endpoint", "management_endpoint"):
        assert told[name].startswith(smart.url)


@check(GROUP, "every URL is absolute and answers: only what is there is claimed")
async def test_only_what_is_there_is_claimed(smart: Kit) -> None:
    patterns = {route.pattern for route in TABLE}
    for name in ("smart-configuration", "openid-configuration"):
        told = (await well_known(smart, name)).json()
        urls = {key: value for key, value in told.items() if key.endswith(("_endpoint", "_uri", "_bundle"))}
        assert urls
        for url in urls.values():
            assert url.startswith(smart.url + "/")
            assert url.removeprefix(smart.url) in patterns


@check(GROUP, "scopes_supported: each is valid, and resource scopes of all contexts are among them")
async def test_scopes_supported(smart: Kit) -> None:
    words = (await well_known(smart)).json()["scopes_supported"]
    found = [word for word in words if _SCOPE.fullmatch(word)]
    assert {word.partition("/")[0] for word in found} == {"patient", "user", "system"}
    assert set(words) - set(found) == set(EVERY_SCOPE[:8])
    assert any("category=" in word for word in found)


@check(GROUP, "capabilities for standalone launch", "capabilities for EHR launch, with the encounter")
async def test_capabilities(smart: Kit) -> None:
    assert {*STANDALONE, *EHR} <= set((await well_known(smart)).json()["capabilities"])


@check(GROUP, "the CapabilityStatement names the same endpoints (SMART 1) and the SMART-on-FHIR service")
async def test_capability_statement(smart: Kit) -> None:
    security = (await smart.http.get(f"{smart.fhir}/metadata")).json()["rest"][0]["security"]
    assert security["service"][0]["coding"][0]["code"] == "SMART-on-FHIR"
    uris = next(e for e in security["extension"] if e["url"].endswith("/StructureDefinition/oauth-uris"))["extension"]
    named = {one["url"]: one["valueUri"] for one in uris}
    assert named["authorize"] == smart.smart["authorization_endpoint"]
    assert named["token"] == smart.smart["token_endpoint"]
    assert named["introspect"] == smart.smart["introspection_endpoint"]
    assert named["revoke"] == smart.smart["revocation_endpoint"]


@check(
    "OpenID Connect",
    "openid-configuration at the issuer, application/json",
    "its required members; RS256 among the algorithms; the same endpoints as smart-configuration",
)
async def test_openid_configuration(smart: Kit) -> None:
    answer = await smart.http.get(f"{smart.smart['issuer']}/.well-known/openid-configuration")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    told = answer.json()
    assert "RS256" in told["id_token_signing_alg_values_supported"]
    assert told["subject_types_supported"] == ["public"]
    for name in ("issuer", "authorization_endpoint", "token_endpoint", "jwks_uri", "response_types_supported"):
        assert told[name] == smart.smart[name]


@check("OpenID Connect", "the JWK Set holds valid public RSA keys with kid, and nothing private")
async def test_keys(smart: Kit) -> None:
    keys = (await smart.http.get(smart.smart["jwks_uri"])).json()["keys"]
    assert keys
    for key in keys:
        assert (key["kty"], key["alg"], key["use"]) == ("RSA", "RS256", "sig")
        assert key["kid"]
        assert not {"d", "p", "q", "dp", "dq", "qi"} & key.keys()


@check("CORS", "any origin reads the well-known documents, the keys and /metadata, preflight included")
async def test_any_origin_reads_what_says_where_things_are(smart: Kit) -> None:
    for path in (
        "/fhir/.well-known/smart-configuration",
        "/fhir/.well-known/openid-configuration",
        "/fhir/metadata",
        "/auth/jwks",
    ):
        answer = await smart.http.get(smart.url + path, headers={"Origin": "https://anyone.example"})
        assert answer.headers["access-control-allow-origin"] in ("*", "https://anyone.example")
        asked = {"Origin": "https://anyone.example", "Access-Control-Request-Method": "GET"}
        flight = await smart.http.options(smart.url + path, headers=asked)
        assert (flight.status_code, flight.headers["access-control-allow-origin"]) == (204, "https://anyone.example")


@check(
    "CORS",
    "pages of a registered app's origin call the token endpoint and the FHIR API",
    "pages of any other origin don't, and no cookie is ever sent along",
)
async def test_origins_of_registered_apps(smart: Kit) -> None:
    app = smart.app(SYMMETRIC, redirect_uris=("https://growth.example:8443/after",))
    for address in (smart.smart["token_endpoint"], f"{smart.fhir}/Patient"):
        for who, may in ((origin(app.redirect), True), ("https://growth.example", False), ("null", False)):
            asked = {
                "Origin": who,
                "Access-Control-Request-Method": "POST",
                "Access-Control-Request-Headers": "authorization",
            }
            flight = await smart.http.options(address, headers=asked)
            answer = await smart.http.post(address, headers={"Origin": who})
            assert (flight.status_code == 204) is may
            assert (answer.headers.get("access-control-allow-origin") == who) is may
            assert "access-control-allow-credentials" not in answer.headers


@check(GROUP, "smart_style_url serves the style as JSON to anyone; the address changes with its content")
async def test_style(smart: Kit) -> None:
    app = smart.app(launch_url="https://app.example/launch")
    async with smart.browser("patty") as patty:
        told = await app.opened(patty, "launch patient/*.rs")
    answer = await smart.http.get(told["smart_style_url"], headers={"Origin": "https://anyone.example"})
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, "*")
    assert answer.json()["color_background"].startswith("#")
    wrong = await smart.http.get(smart.url + "/auth/style/0000.json")
    assert wrong.status_code == 404
