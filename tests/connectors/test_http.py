"""The HTTP sender: only its origin, no redirects, no smuggled headers, and errors that say whether to retry."""

from __future__ import annotations

import asyncio
import json
import ssl
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from joserfc import jwt
from joserfc.jwk import RSAKey

from suture.clock import SYSTEM
from suture.connectors import connection
from suture.connectors.http import HttpSender, Request
from suture.errors import Forbidden, Invalid, SendAmbiguous, SendFailed, SendUnavailable
from tests.connectors.site import Got, Say, Site
from tests.connectors.test_mllp import certificate


def no_secret(name: str, origin: str) -> str:
    raise Forbidden(f"secret {name} is not for {origin}")


def sender(url: str, secret: Any = no_secret, **more: Any) -> HttpSender:
    doc = {"suture": "connection/1", "id": "other", "uses": "http", "base": url, "timeout": "2s", **more}
    return HttpSender(connection.read(json.dumps(doc), "c.yaml"), secret, SYSTEM)


async def test_a_request_goes_below_the_base_and_the_answer_comes_back() -> None:
    async with Site(lambda got: Say(201, {"id": 7})) as site:
        http = sender(f"{site.url}/api", headers={"X-Practice": "12"})
        answer = await http.send(Request("POST", "/pages", [("a", "b c")], {}, b"{}"))
        await http.close()
    assert (answer.status, json.loads(answer.body)) == (201, {"id": 7})
    assert (site.got[0].target, site.got[0].headers["x-practice"]) == ("/api/pages?a=b+c", "12")


@pytest.mark.parametrize(
    "path",
    [
        "../admin",
        "/a/../../b",
        "/%2e%2e/x",
        "https://evil.example/x",
        "//evil.example/x",
        "/a\\..\\b",
        "/a\r\nX: y",
        "/a/..%2fb",
        "@evil.example/",
    ],
)
async def test_no_path_leaves_the_connection(path: str) -> None:
    async with Site(lambda got: Say()) as site:
        http = sender(f"{site.url}/api")
        if path == "@evil.example/":
            await http.send(Request("GET", path))
            assert site.got[0].target == "/api/@evil.example/"
        else:
            with pytest.raises(Invalid, match=r"leaves|climbs"):
                await http.send(Request("GET", path))
            assert site.got == []
        await http.close()


@pytest.mark.parametrize("headers", [{"X-A": "1\r\nX-B: 2"}, {"X-A\r\nX-B": "1"}, {"X A": "1"}, {"X-A": "a\x00b"}])
async def test_no_header_smuggles_another_one(headers: dict[str, str]) -> None:
    async with Site(lambda got: Say()) as site:
        http = sender(site.url)
        with pytest.raises(Invalid, match="line break or a forbidden character"):
            await http.send(Request("GET", "", (), headers))
        await http.close()
    assert site.got == []


async def test_a_redirect_is_not_followed_and_takes_no_credential_along() -> None:
    async with (
        Site(lambda got: Say()) as elsewhere,
        Site(lambda got: Say(302, None, {"location": elsewhere.url})) as site,
    ):
        http = sender(site.url, lambda name, origin: "t0ken", auth={"kind": "bearer", "token": "secret:t"})
        with pytest.raises(SendFailed, match="redirects are not followed"):
            await http.send(Request("POST", "/x", body=b"1"))
        await http.close()
    assert site.got[0].headers["authorization"] == "Bearer t0ken"
    assert elsewhere.got == []


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, SendFailed),
        (404, SendFailed),
        (409, SendFailed),
        (429, SendUnavailable),
        (408, SendUnavailable),
        (500, SendUnavailable),
        (503, SendUnavailable),
    ],
)
async def test_the_status_says_whether_to_retry(status: int, kind: type[SendFailed]) -> None:
    async with Site(lambda got: Say(status, None, {"retry-after": "7"})) as site:
        http = sender(site.url)
        with pytest.raises(SendFailed) as error:
            await http.send(Request("POST", "", body=b"1"))
        await http.close()
    assert type(error.value) is kind
    assert error.value.answer == str(status)
    assert error.value.after == (7.0 if kind is SendUnavailable else 0.0)


async def test_a_lost_answer_is_ambiguous_only_when_repeating_could_do_harm() -> None:
    async with Site(lambda got: Say(hang_up=True)) as site:
        http = sender(site.url)
        with pytest.raises(SendAmbiguous):
            await http.send(Request("POST", "", body=b"1"))
        for harmless in (Request("GET"), Request("PUT", body=b"1"), Request("POST", body=b"1", repeatable=True)):
            with pytest.raises(SendUnavailable):
                await http.send(harmless)
        await http.close()


async def test_a_silent_destination_runs_into_the_timeout() -> None:
    async def silence(got: Got) -> Say:
        await asyncio.sleep(5)
        return Say()

    async with Site(silence) as site:
        http = sender(site.url, timeout="100ms")
        with pytest.raises(SendAmbiguous, match="no answer"):
            await http.send(Request("POST", "", body=b"1"))
        await http.close()


async def test_nobody_listening_is_safe_to_retry() -> None:
    http = sender("http://127.0.0.1:1")
    with pytest.raises(SendUnavailable, match="cannot be reached"):
        await http.send(Request("POST", "", body=b"1"))
    await http.close()


async def test_an_endless_answer_is_cut_off() -> None:
    async with Site(lambda got: Say(200, b"x" * 5000)) as site:
        http = sender(site.url, max_answer="4kB")
        with pytest.raises(SendFailed, match="larger than allowed"):
            await http.send(Request("GET"))
        await http.close()


async def test_a_secret_of_another_origin_is_never_sent() -> None:
    async with Site(lambda got: Say()) as site:
        http = sender(site.url, auth={"kind": "bearer", "token": "secret:t"})
        with pytest.raises(Forbidden, match="is not for"):
            await http.send(Request("GET"))
        await http.close()
    assert site.got == []


PEM = rsa.generate_private_key(65537, 2048).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def backend(handler: Any) -> Site:
    return Site(handler)


async def test_smart_backend_signs_an_assertion_and_keeps_the_token() -> None:
    def handler(got: Got) -> Say:
        if got.target.endswith("smart-configuration"):
            return Say(200, {"token_endpoint": f"{site.url}/token"})
        if got.target == "/token":
            return Say(200, {"access_token": "abc", "expires_in": 300})
        return Say(200 if got.headers.get("authorization") == "Bearer abc" else 401)

    async with Site(handler) as site:
        http = sender(
            f"{site.url}/r4",
            lambda name, origin: PEM,
            auth={"kind": "smart-backend", "client_id": "me", "key": "secret:k", "scope": "system/*.rs"},
        )
        await asyncio.gather(*(http.send(Request("GET", "/Patient")) for _ in range(5)))
        await http.close()
    bought = [got for got in site.got if got.target == "/token"]
    assert len(bought) == 1

    form = {k: v[0] for k, v in parse_qs(bought[0].body.decode()).items()}
    token = jwt.decode(form["client_assertion"], RSAKey.import_key(PEM), algorithms=["RS384"])
    assert token.header["alg"] == "RS384"
    assert (token.claims["iss"], token.claims["sub"], token.claims["aud"]) == ("me", "me", f"{site.url}/token")
    assert token.claims["exp"] - token.claims["iat"] <= 300
    assert form["scope"] == "system/*.rs"


async def test_a_discovered_token_endpoint_elsewhere_is_refused() -> None:
    async with Site(lambda got: Say(200, {"token_endpoint": "https://evil.example/token"})) as site:
        http = sender(
            site.url, lambda name, origin: PEM, auth={"kind": "smart-backend", "client_id": "me", "key": "secret:k"}
        )
        with pytest.raises(SendFailed, match="not at the same origin"):
            await http.send(Request("GET"))
        await http.close()


@pytest.mark.parametrize(("status", "kind"), [(503, SendUnavailable), (400, SendFailed)])
@pytest.mark.parametrize("place", ["/token", "smart-configuration"])
async def test_a_token_endpoint_that_is_down_is_asked_again_later(
    place: str, status: int, kind: type[SendFailed]
) -> None:
    def handler(got: Got) -> Say:
        return Say(
            status,
            {"error": "invalid_client"} if got.target.endswith(place) else {"token_endpoint": f"{site.url}/token"},
        )

    async with Site(handler) as site:
        http = sender(
            site.url, lambda name, origin: PEM, auth={"kind": "smart-backend", "client_id": "me", "key": "secret:k"}
        )
        with pytest.raises(SendFailed) as error:
            await http.send(Request("GET"))
        await http.close()
    if place == "/token" or status == 503:
        assert type(error.value) is kind


async def test_a_refused_token_is_bought_anew_once() -> None:
    tokens = iter(["old", "new"])

    def handler(got: Got) -> Say:
        if got.target == "/token":
            return Say(200, {"access_token": next(tokens), "expires_in": 3600})
        return Say(200 if got.headers.get("authorization") == "Bearer new" else 401)

    async with Site(handler) as site:
        auth = {"kind": "client-credentials", "client_id": "me", "secret": "secret:s", "token_url": f"{site.url}/token"}
        http = sender(site.url, lambda name, origin: "s3cret", auth=auth)
        assert (await http.send(Request("GET", "/x"))).status == 200
        await http.close()
    assert len(site.got) == 4


async def test_tls_is_checked_and_the_own_certificate_is_shown(tmp_path: Path) -> None:
    chain, private = certificate(tmp_path)
    asking = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(chain))
    asking.load_cert_chain(chain, private)
    asking.verify_mode = ssl.CERT_REQUIRED
    async with Site(lambda got: Say(), asking) as site:
        trusted = {"ca": str(chain), "certificate": str(chain), "key": "secret:own"}
        http = sender(site.url, lambda name, origin: private.read_text(), **trusted)
        assert (await http.send(Request("GET"))).status == 200
        await http.close()
        for wrong in ({}, {"ca": str(chain)}):
            http = sender(site.url, **wrong)
            with pytest.raises(SendUnavailable):
                await http.send(Request("GET"))
            await http.close()
    assert len(site.got) == 1
    with pytest.raises(Invalid, match="certificates cannot be read"):
        sender("https://localhost", lambda name, origin: "no key", **trusted)
