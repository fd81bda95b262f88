"""Signing in with another house's name: only for whom it was begun, only with a good token, only as far as roles go."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey

from suture import settings as settings_of
from suture.access import people, staff
from suture.access.sso import require_sound
from suture.errors import Unstartable
from suture.store import accounts, linked, vault
from tests.connectors.site import Site
from tests.server.openid import CLIENT, SECRET, Claims, OpenId, unsigned
from tests.server.running import Running, serving

PASSWORD = "correct horse battery"
PAGE = {"Sec-Fetch-Site": "same-origin", "Accept": "text/html"}


@asynccontextmanager
async def houses(folder: Path, **values: Any) -> AsyncIterator[tuple[Running, OpenId]]:
    provider = OpenId()
    async with Site(provider) as site:
        provider.issuer = site.url
        given = {
            "sso__issuer": site.url,
            "sso__client_id": CLIENT,
            "sso__secret": "sso",
            "sso__name": "Lakeside",
            **values,
        }
        async with serving(folder, **given) as server:
            server.app.database.write_now(lambda tx: vault.put(tx, "sso", SECRET, site.url))
            yield server, provider


def browser(server: Running) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=server.url, headers=PAGE)


async def walk(http: httpx.AsyncClient, provider: OpenId, start: str = "/sso/start", **more: str) -> httpx.Response:
    """To the provider and back."""
    sent = await http.get(start)
    assert sent.status_code == 303, sent.text
    return await http.get("/sso/callback", params={**provider.allow(sent.headers["location"]), **more})


def add(
    server: Running, provider: OpenId, login: str = "ada", role: str = "viewer", subject: str = "subject-1"
) -> accounts.User:
    user = people.add_user(server.app.database, login, login.title(), PASSWORD, [role])
    server.app.database.write_now(lambda tx: linked.link(tx, provider.issuer, subject, user.id))
    return user


async def test_who_is_linked_comes_in_and_nobody_else(tmp_path: Path) -> None:
    async with houses(tmp_path) as (server, provider), browser(server) as http:
        add(server, provider)
        assert "Sign in with Lakeside" in (await http.get("/sign-in")).text
        back = await walk(http, provider, "/sso/start?to=/losses")
        assert (back.status_code, back.headers["location"]) == (303, "/losses")
        assert (await http.get("/")).status_code == 200
        (asked,) = provider.asked
        assert asked["code_challenge_method"] == "S256"
        assert asked["redirect_uri"] == f"{server.url}/sso/callback"
        assert len(asked["nonce"]) >= 43
        provider.claims = {
            "sub": "subject-2",
            "email": "ada@example.org",
            "preferred_username": "ada",
            "groups": ["admins"],
        }
        async with browser(server) as other:
            back = await walk(other, provider)
            assert back.headers["location"].startswith("/sign-in")
            assert "suture_session" not in other.cookies
        assert len(accounts.users(server.app.database.read)) == 1


OTHER = RSAKey.generate_key(2048, {"kid": "k1", "use": "sig"})
BENT: dict[str, Callable[[OpenId, Claims], str]] = {
    "no signature": lambda p, c: unsigned(c, {"alg": "none"}),
    "none in capitals": lambda p, c: unsigned(c, {"alg": "nOnE", "kid": "k1"}),
    "another key": lambda p, c: p.signed(c, OTHER),
    "an unknown key": lambda p, c: p.signed(c, OTHER, kid="k2"),
    "the secret as key": lambda p, c: jwt.encode({"alg": "HS256"}, c, OctKey.import_key(SECRET.encode() + b"-" * 20)),
    "the public key as secret": lambda p, c: jwt.encode({"alg": "HS256", "kid": "k1"}, c, OctKey.import_key(p.key.as_pem(private=False))),
    "a key in its head": lambda p, c: p.signed(c, OTHER, jwk=OTHER.as_dict(private=False)),
    "another issuer": lambda p, c: p.signed({**c, "iss": "https://evil.example"}),
    "a longer issuer": lambda p, c: p.signed({**c, "iss": f"{p.issuer}/"}),
    "another client": lambda p, c: p.signed({**c, "aud": "other"}),
    "several clients": lambda p, c: p.signed({**c, "aud": [CLIENT, "other"]}),
    "another party": lambda p, c: p.signed({**c, "azp": "other"}),
    "no audience": lambda p, c: p.signed({k: v for k, v in c.items() if k != "aud"}),
    "over": lambda p, c: p.signed({**c, "exp": int(time.time()) - 3600}),
    "no end": lambda p, c: p.signed({k: v for k, v in c.items() if k != "exp"}),
    "of yesterday": lambda p, c: p.signed({**c, "iat": int(time.time()) - 86400}),
    "of tomorrow": lambda p, c: p.signed({**c, "iat": int(time.time()) + 86400}),
    "another nonce": lambda p, c: p.signed({**c, "nonce": "x"}),
    "no nonce": lambda p, c: p.signed({k: v for k, v in c.items() if k != "nonce"}),
    "nobody": lambda p, c: p.signed({k: v for k, v in c.items() if k != "sub"}),
    "a number": lambda p, c: p.signed({**c, "sub": 1}),
    "cut": lambda p, c: p.signed(c)[:-8],
    "changed": lambda p, c: p.signed(c)[:-4] + "AAAA",
    "no token": lambda p, c: "x",
    "empty": lambda p, c: "",
}  # fmt: skip


async def test_a_token_that_is_not_good_opens_nothing(tmp_path: Path) -> None:
    async with houses(tmp_path) as (server, provider):
        add(server, provider)
        for name, bend in BENT.items():
            provider.bend = bend
            async with browser(server) as http:
                back = await walk(http, provider)
                assert back.status_code in (303, 502), name
                assert "suture_session" not in http.cookies, name
                plain = await http.get("/", headers={"Accept": "*/*"})
                assert plain.status_code == 401, name
        assert server.app.database.read.one("SELECT count(*) FROM session") == (0,)


async def test_only_the_browser_that_began_may_end_it_and_once(tmp_path: Path) -> None:
    async with houses(tmp_path) as (server, provider), browser(server) as http:
        add(server, provider)
        sent = await http.get("/sso/start")
        given = provider.allow(sent.headers["location"])
        async with browser(server) as victim:
            await victim.get("/sso/callback", params=given)
            await victim.get("/sso/start")
            await victim.get("/sso/callback", params=given)
            assert "suture_session" not in victim.cookies
        for wrong in (
            {**given, "state": "x"},
            {"code": given["code"]},
            {**given, "iss": "https://evil.example"},
            given,
        ):
            await http.get("/sso/callback", params=wrong)
            assert "suture_session" not in http.cookies
        again = await walk(http, provider)
        assert again.headers["location"] == "/"
        replayed = await http.get("/sso/callback", params=given)
        assert replayed.headers["location"].startswith("/sign-in")
        refused = await http.get("/sso/start")
        state = provider.allow(refused.headers["location"])["state"]
        said = await http.get("/sso/callback", params={"error": "access_denied", "state": state})
        assert said.headers["location"].startswith("/sign-in")


async def test_the_providers_proof_counts_only_as_the_settings_say(tmp_path: Path) -> None:
    strict = {"login__second_factor": "privileged", "sso__second_factor": "mfa, gold"}
    async with houses(tmp_path, **strict) as (server, provider):
        add(server, provider, role="administrator")
        for more, to in (
            ({}, "/sign-in/set-up"),
            ({"amr": ["pwd"]}, "/sign-in/set-up"),
            ({"amr": "mfa"}, "/sign-in/set-up"),
            ({"amr": ["pwd", "mfa"]}, "/"),
            ({"acr": "gold"}, "/"),
        ):
            provider.claims = {"sub": "subject-1", **more}
            async with browser(server) as http:
                assert (await walk(http, provider)).headers["location"] == to, more
                assert ("suture_session" in http.cookies) == (to == "/")


async def test_groups_give_roles_to_whom_the_provider_brought(tmp_path: Path) -> None:
    values = {"sso__provision": True, "sso__roles": "nurses=clinician desk=viewer"}
    async with houses(tmp_path, **values) as (server, provider):
        provider.claims = {
            "sub": "new",
            "preferred_username": "nina",
            "name": "Nina <b>Nurse</b>",
            "groups": ["nurses", "root"],
        }
        async with browser(server) as http:
            assert (await walk(http, provider)).status_code == 303
            assert "Nina &lt;b&gt;Nurse" in (await http.get("/account")).text
        nina = staff.by_login(server.app.database.read, "nina")
        assert nina.roles == ("clinician",)
        async with browser(server) as http:
            wrong = await http.post("/sign-in", data={"login": "nina", "password": "!"})
            assert wrong.status_code == 401
            provider.claims["groups"] = ["desk"]
            await walk(http, provider)
            assert staff.by_login(server.app.database.read, "nina").roles == ("viewer",)
            provider.claims["groups"] = []
            async with browser(server) as late:
                assert (await walk(late, provider)).status_code == 403
        provider.claims = {"sub": "thief", "preferred_username": "nina", "groups": ["nurses"]}
        async with browser(server) as http:
            assert (await walk(http, provider)).status_code == 409


async def test_an_account_is_linked_by_who_is_signed_in_and_means_it(tmp_path: Path) -> None:
    async with houses(tmp_path) as (server, provider), browser(server) as http:
        ada = people.add_user(server.app.database, "ada", "Ada", PASSWORD, ["viewer"])
        await http.post("/sign-in", data={"login": "ada", "password": PASSWORD})
        assert (await http.post("/account/sso", headers={"Sec-Fetch-Site": "cross-site"})).status_code == 403
        page = (await http.post("/account/sso")).text
        url = page.partition('class="button main" href="')[2].partition('"')[0].replace("&amp;", "&")
        back = await http.get("/sso/callback", params=provider.allow(url))
        assert back.headers["location"] == "/account?said=linked"
        assert linked.user_of(server.app.database.read, provider.issuer, "subject-1") == ada.id
        eve = people.add_user(server.app.database, "eve", "Eve", PASSWORD, ["viewer"])
        async with browser(server) as other:
            await other.post("/sign-in", data={"login": "eve", "password": PASSWORD})
            page = (await other.post("/account/sso")).text
            url = page.partition('class="button main" href="')[2].partition('"')[0].replace("&amp;", "&")
            assert (await other.get("/sso/callback", params=provider.allow(url))).status_code == 409
        assert linked.of_user(server.app.database.read, eve.id) == []
        await http.post("/account/sso/unlink")
        assert linked.of_user(server.app.database.read, ada.id) == []


async def test_asked_again_means_asked_again(tmp_path: Path) -> None:
    async with houses(tmp_path) as (server, provider), browser(server) as http:
        add(server, provider)
        assert (await walk(http, provider, "/sso/start?again=1")).headers["location"] == "/"
        assert provider.asked[-1]["prompt"] == "login"
        provider.claims = {"sub": "subject-1", "auth_time": int(time.time()) - 7200}
        async with browser(server) as late:
            await walk(late, provider, "/sso/start?again=1")
            assert "suture_session" not in late.cookies


async def test_the_secret_goes_to_no_other_origin(tmp_path: Path) -> None:
    async with houses(tmp_path) as (server, provider), browser(server) as http:
        add(server, provider)
        async with Site(provider) as elsewhere:
            document = provider.document
            provider.document = lambda: {**document(), "token_endpoint": f"{elsewhere.url}/token"}  # type: ignore[method-assign]
            back = await walk(http, provider)
            assert back.status_code == 404
            assert "kept for another address" in back.text
            assert elsewhere.got == []


async def test_without_settings_there_is_none(server: Running) -> None:
    async with browser(server) as http:
        assert "single sign-on" not in (await http.get("/sign-in")).text
        assert (await http.get("/sso/start")).status_code == 400
        assert (await http.get("/sso/callback?code=x&state=x")).headers["location"].startswith("/sign-in")


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"sso__issuer": "http://idp.example", "sso__client_id": "x"}, "the issuer must be https"),
        ({"sso__issuer": "http://127.0.0.1.evil.example", "sso__client_id": "x"}, "the issuer must be https"),
        ({"sso__issuer": "https://idp.example"}, "needs a client id"),
        ({"sso__roles": "a=king"}, "no such role"),
        ({"sso__roles": "a=patient"}, "no such role"),
        ({"sso__roles": "viewer"}, "no such role"),
    ],
)
def test_settings_that_cannot_be_meant_do_not_start(tmp_path: Path, values: dict[str, str], said: str) -> None:
    with pytest.raises(Unstartable, match=said):
        require_sound(settings_of.read(tmp_path, {}).with_values(**values))
