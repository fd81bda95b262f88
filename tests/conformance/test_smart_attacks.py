"""Attacks on letting apps in: addresses that almost match, codes raced and replayed, other bases, other people's pages."""

from __future__ import annotations

import asyncio
import base64
import json
import random
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import httpx
import pytest
import pytest_asyncio

from suture.access.oauth import revoke
from suture.access.oauth.authorize import safe
from suture.store import grants
from tests.conformance.checks import check
from tests.conformance.elsewhere import exchanged, rooms
from tests.conformance.smart import App, Kit, Page, Proof, kit

pytestmark = pytest.mark.asyncio(loop_scope="module")
GROUP = "Attacks"
SCOPE = "openid launch/patient patient/*.rs offline_access"
GOOD = "https://app.example/after"

# Every one of them is almost the registered address.
ADDRESSES = [
    "", " ", GOOD + "/", GOOD + "?", GOOD + "#", GOOD + "#x", GOOD + "?x=1", GOOD + "/..", GOOD + "/../after", GOOD + "%00",
    GOOD + "%0d%0aSet-Cookie:x=1", GOOD + "\r\nSet-Cookie: x=1", GOOD + "\n", GOOD + "\t", " " + GOOD, GOOD + " ", "\x00" + GOOD,
    GOOD.upper(), "HTTPS://app.example/after", "https://APP.example/after", "https://app.example/After", "http://app.example/after",
    "https://app.example:443/after", "https://app.example:8443/after", "https://app.example//after", "https://app.example/./after",
    "https://app.example/%61fter", "https://app.example/after%2f", "https://app.example/aft\u0435r", "https://app.example.evil.example/after",
    "https://evil.example/after", "https://evil.example/?https://app.example/after", "https://evil.example#https://app.example/after",
    "https://app.example@evil.example/after", "https://evil.example\\@app.example/after", "https://app.example\\.evil.example/after",
    "https:\\\\app.example\\after", "https:/app.example/after", "https:app.example/after", "//app.example/after", "/after", "after",
    "\\\\app.example/after", "https://app.example/after;x", "https://app.example/after,https://evil.example",
    "https://app.example/after https://evil.example", "https://app.example", "https://app.example/", "https://app.example/*",
    "https://*.example/after", "https://sub.app.example/after", "https://app.example./after", "https://app.exampl\u0435/after",
    "https://xn--app-example/after", "https://127.0.0.1/after", "https://[::1]/after", "https://0x7f000001/after", "https://app.example:/after",
    "javascript:alert(1)", "javascript:alert(1)//https://app.example/after", "data:text/html,<script>1</script>", "vbscript:x",
    "file:///etc/passwd", "blob:https://app.example/after", "view-source:https://app.example/after", "about:blank", "app.example:/after",
    "ftp://app.example/after", "ws://app.example/after", "null", "undefined", "https://app.example/after\u2028", "https://app.example/after\uff0f",
    "https://app.example/after?state=x", "https://app.example/after&state=x", "https%3A%2F%2Fapp.example%2Fafter", GOOD + "\u200b",
]  # fmt: skip


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def smart(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Kit]:
    """A server that believes a token for as long as it does outside of tests."""
    async with kit(tmp_path_factory.mktemp("attacked"), session__recheck=2.0) as made:
        yield made


async def tokens_of(smart: Kit, app: App, scope: str = SCOPE) -> dict[str, Any]:
    async with smart.browser("patty") as patty:
        return await app.whole(patty, scope)


@check(GROUP, f"{len(ADDRESSES)} addresses that are almost the registered one: a page of ours, never a Location there")
async def test_no_redirect_to_what_is_not_registered(smart: Kit) -> None:
    assert len(ADDRESSES) >= 60
    assert GOOD not in ADDRESSES
    app = smart.app()
    for address in ADDRESSES:
        given = app.request(Proof(), SCOPE, redirect_uri=address)
        url = smart.smart["authorization_endpoint"]
        for answer in (await smart.http.get(url, params=given), await smart.http.post(url, data=given)):
            assert answer.status_code == 400, address
            assert "location" not in answer.headers, address
            assert "has not registered" in answer.text, address
            assert "set-cookie" not in answer.headers
    twice = urlencode(app.request(Proof(), SCOPE)) + "&redirect_uri=https://evil.example"
    answer = await smart.http.get(f"{smart.smart['authorization_endpoint']}?{twice}")
    assert (answer.status_code, "location" in answer.headers) == (400, False)


@check(GROUP, "an address that was registered but would run something, or can be read twice, is not used either")
async def test_registered_but_not_safe(smart: Kit) -> None:
    for address in (
        "javascript:alert(1)",
        "data:text/html,x",
        "https://app.example/a b",
        "https://u@app.example/",
        "https://app.example/\\x",
        "https://app.example/#x",
    ):
        assert not safe(address)
        app = smart.app(redirect_uris=(address,))
        answer = await smart.http.get(smart.smart["authorization_endpoint"], params=app.request(Proof(), SCOPE))
        assert (answer.status_code, "location" in answer.headers) == (400, False)
    for address in (GOOD, "http://127.0.0.1:8000/cb?x=1", "org.example.app:/cb"):
        assert safe(address)


@check(GROUP, "an unknown app, one that waits and one that ended get a page of ours")
async def test_apps_that_are_not_let_in(smart: Kit) -> None:
    for status in ("pending", "refused", "ended"):
        app = smart.app(status=status)
        answer = await smart.http.get(smart.smart["authorization_endpoint"], params=app.request(Proof(), SCOPE))
        assert (answer.status_code, "location" in answer.headers) == (400, False)
        assert "not registered here" in answer.text
    for id in ("nobody", "", "' OR 1=1 --", "x" * 5000):
        given = {**app.request(Proof(), SCOPE), "client_id": id}
        answer = await smart.http.get(smart.smart["authorization_endpoint"], params=given)
        assert (answer.status_code, "location" in answer.headers) == (400, False)


@check(GROUP, "a code sent 50 times at once: one 200; the replay ends its tokens")
async def test_a_code_is_good_once(smart: Kit) -> None:
    app, proof = smart.app(), Proof()
    async with smart.browser("patty") as patty:
        code = await app.allowed(patty, proof, SCOPE)
    answers = await asyncio.gather(*(app.exchange(code, proof) for _ in range(50)))
    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 49
    told = next(answer.json() for answer in answers if answer.status_code == 200)
    assert (await smart.read("Patient/p1", told["access_token"])).status_code == 401
    assert (await app.refresh(told["refresh_token"])).json()["error"] == "invalid_grant"


async def elsewhere(**asked: Any) -> asyncio.subprocess.Process:
    """The second process, ready to go."""
    made = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.conformance.elsewhere", json.dumps(asked),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert made.stdout is not None
    assert (await made.stdout.readline()).strip() == b"ready"
    return made


async def said(process: asyncio.subprocess.Process) -> dict[str, Any]:
    out, _ = await process.communicate()
    return dict(json.loads(out.splitlines()[-1]))


def folder_of(smart: Kit) -> str:
    return str(smart.running.app.settings.folder)


@pytest.mark.slow
@check(GROUP, "a code sent to two processes at once: one success between them")
async def test_a_code_is_good_once_in_two_processes(smart: Kit) -> None:
    app, proof = smart.app(), Proof()
    async with smart.browser("patty") as patty:
        code = await app.allowed(patty, proof, SCOPE)
    other = await elsewhere(
        folder=folder_of(smart), base=smart.url, client=app.id, form=app.exchange_form(code, proof), times=25
    )
    answers = await asyncio.gather(*(app.exchange(code, proof) for _ in range(25)))
    there = (await said(other))["exchanged"]
    good = [a for a in answers if a.status_code == 200], [text for text in there if text != "invalid_grant"]
    assert len(good[0]) + len(good[1]) == 1
    assert len(answers) + len(there) == 50


@pytest.mark.slow
@check(GROUP, "what is revoked here is unknown in a second process within 5 seconds")
async def test_revocation_reaches_another_process(smart: Kit) -> None:
    app = smart.app()
    told = await tokens_of(smart, app)
    other = await elsewhere(folder=folder_of(smart), base=smart.url, tokens=[told["access_token"]], waits=2.5)
    await app.token({"token": told["refresh_token"]}, "revocation_endpoint")
    assert (await smart.read("Patient/p1", told["access_token"])).status_code == 401  # here at once
    assert other.stdin is not None
    other.stdin.write(b"\n")
    await other.stdin.drain()
    assert (await said(other))["known"] == [True, False]


@check(GROUP, "codes and tokens outlive a restart, and stay used; a token for another base is refused")
async def test_restart_and_another_base(tmp_path: Path) -> None:
    async with kit(tmp_path) as smart:
        app, proof, unused = smart.app(), Proof(), Proof()
        async with smart.browser("patty") as patty:
            used, fresh = await app.allowed(patty, proof, SCOPE), await app.allowed(patty, unused, SCOPE)
        told = (await app.exchange(used, proof)).json()
        base, forms = smart.url, [app.exchange_form(used, proof), app.exchange_form(fresh, unused)]
    again = rooms(str(tmp_path), base)
    assert again.authority.tokens.caller(told["access_token"]) is not None
    token = await exchanged(again, app.id, forms[1])
    assert again.authority.tokens.caller(token) is not None
    assert await exchanged(again, app.id, forms[0]) == "invalid_grant"
    assert again.authority.tokens.caller(told["access_token"]) is None  # the replay ended it
    again.database.close()
    other = rooms(str(tmp_path), "https://other.example")
    assert other.authority.tokens.caller(token) is None
    assert await exchanged(other, app.id, forms[1]) == "invalid_grant"
    other.database.close()


@check(GROUP, "a code ends after a minute, an access token after an hour, whatever the settings say")
async def test_lives_have_a_ceiling(tmp_path: Path) -> None:
    async with kit(tmp_path, oauth__code_life=86_400.0, oauth__access_life=86_400.0) as smart:
        app, proof = smart.app(), Proof()
        async with smart.browser("patty") as patty:
            code = await app.allowed(patty, proof, SCOPE)
        row = smart.running.app.database.read.one(
            "SELECT expires - (SELECT max(created) FROM oauth_grant) FROM oauth_code"
        )
        assert row is not None
        assert row[0] <= 60_000_000
        told = (await app.exchange(code, proof)).json()
        assert told["expires_in"] == 3600
        database = smart.running.app.database
        async with smart.browser("patty") as patty:
            late = Proof()
            code = await app.allowed(patty, late, SCOPE)
        database.write_now(lambda tx: tx.execute("UPDATE oauth_code SET expires = expires - 61000000"))
        assert (await app.exchange(code, late)).json()["error"] == "invalid_grant"
        database.write_now(
            lambda tx: tx.execute("UPDATE oauth_token SET expires = expires - 3601000000 WHERE kind = 'access'")
        )
        assert (await smart.read("Patient/p1", told["access_token"])).status_code == 401


@check(GROUP, "no header and no second line comes out of state, scope, nonce or launch")
async def test_no_header_injection(smart: Kit) -> None:
    app = smart.app()
    bad = "x\r\nSet-Cookie: evil=1\r\n\r\n<script>alert(1)</script>\x00\u2028"
    for name in ("state", "scope", "nonce", "launch", "prompt", "max_age", "aud", "code_challenge", "response_mode"):
        given = {**app.request(Proof(), SCOPE), name: bad}
        answer = await smart.http.get(smart.smart["authorization_endpoint"], params=given)
        assert answer.status_code == 303
        assert "evil" not in str(answer.headers.get("set-cookie"))
        location = answer.headers["location"]
        assert location.isprintable()
        assert location.startswith((GOOD + "?", "/auth/continue?request="))


OUTSIDE = [
    "https://evil.example/", "//evil.example/", "/\\evil.example/", "\\/evil.example", "///evil.example", "/\t/evil.example",
    "https:evil.example", "javascript:alert(1)", "/%2f/evil.example", "http:\\\\evil.example", "/..//evil.example", " //evil.example",
    "/\x00/evil.example", "/auth/continue@evil.example", ".evil.example", "/\u2215evil.example", "data:text/html,x", "/%5cevil.example",
]  # fmt: skip


@check(GROUP, "signing in leads back to pages of ours only")
async def test_no_open_redirect(smart: Kit) -> None:
    for to in OUTSIDE:
        async with smart.browser() as person:
            page = await person.http.get(f"/sign-in?to={quote(to, safe='')}")
            shown = Page(page.text, str(page.url))
            sent = {**dict(shown.forms[0]["fields"]), "login": "patty", "password": "correct horse battery", "to": to}
            answer = await person.http.post("/sign-in", data=sent)
        assert answer.status_code == 303, to
        location = answer.headers["location"]
        assert urlsplit(httpx.URL(smart.url).join(location).__str__()).netloc == urlsplit(smart.url).netloc, (
            to,
            location,
        )


@check(GROUP, "sealed requests: 100 mutations, other purposes and other sessions are refused")
async def test_sealed_pages_cannot_be_bent(smart: Kit) -> None:
    chance, app = random.Random(7), smart.app()
    async with smart.browser("patty") as patty, smart.browser("doctor") as doctor:
        page = await app.ask(patty, Proof(), SCOPE)
        assert isinstance(page, Page)
        sealed, consent = page.address.partition("request=")[2], dict(page.forms[0]["fields"])["request"]
        for _ in range(100):
            at = chance.randrange(len(sealed))
            bent = sealed[:at] + chance.choice([c for c in "AZaz09-_" if c != sealed[at]]) + sealed[at + 1 :]
            if base64.urlsafe_b64decode(bent + "===") == base64.urlsafe_b64decode(sealed + "==="):
                continue
            answer = await patty.http.get(f"/auth/continue?request={bent}")
            assert answer.status_code == 400
            assert "too old or not complete" in answer.text
        for request in (sealed, "", "x", consent[:-8]):
            refused = await patty.http.post("/auth/decide", data={"request": request, "decision": "allow"})
            assert refused.status_code == 400
        stolen = await doctor.http.post("/auth/decide", data={"request": consent, "decision": "allow", "tick": "0"})
        assert stolen.status_code == 403
        assert (await patty.http.get(f"/auth/continue?request={consent}")).status_code == 400


@check(GROUP, "another site can't press a button of ours; no page of ours stands in a frame")
async def test_no_forged_forms_and_no_frames(smart: Kit) -> None:
    app = smart.app(launch_url="https://app.example/launch")
    async with smart.browser("patty") as patty:
        page = await app.ask(patty, Proof(), SCOPE)
        assert isinstance(page, Page)
        fields = dict(page.forms[0]["fields"])
        for path in ("/auth/decide", "/auth/choose", "/launch", "/launch/open"):
            for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "", "Origin": "https://evil.example"}):
                answer = await patty.http.post(path, data={**fields, "decision": "allow"}, headers=headers)
                assert answer.status_code == 403, path
                assert "location" not in answer.headers
        shown = await patty.http.get(page.address)
        policy = shown.headers["content-security-policy"]
        assert "frame-ancestors 'none'" in policy
        assert "form-action 'self' https://app.example;" in policy
        assert "unsafe" not in policy
        assert shown.headers["x-frame-options"] == "DENY"


@check(GROUP, "ticks that were never offered grant nothing")
async def test_made_up_ticks(smart: Kit) -> None:
    app, proof = smart.app(), Proof()
    made_up = ["0", "1", "2", "3", "4", "99", "1/0", "0.Patient", "-1", "keep", "patient/*.cruds", "1.rest", "x" * 999]
    async with smart.browser("patty") as patty:
        page = await app.ask(patty, proof, "launch/patient patient/Observation.rs")
        assert isinstance(page, Page)
        there = await patty.send(page, ticks=made_up, press=("decision", "allow"))
    told = (await app.exchange(app.code_of(there, proof), proof)).json()
    assert told["scope"] == "launch/patient patient/Observation.rs"


@check(GROUP, "tokens, codes, secrets and state are in no log line and in no row of the database")
async def test_nothing_secret_is_kept(smart: Kit) -> None:
    app, proof = smart.app(), Proof()
    async with smart.browser("patty") as patty:
        code = await app.allowed(patty, proof, SCOPE)
    told = (await app.exchange(code, proof)).json()
    await smart.read("Patient/p1", told["access_token"])
    smart.running.app.log.flush()
    rows = [
        smart.running.app.database.read.all(f"SELECT * FROM {t}")
        for t in ("oauth_grant", "oauth_code", "oauth_token", "audit")
    ]
    kept = smart.running.log.getvalue() + repr(rows)
    for secret in (code, told["access_token"], told["refresh_token"], told["id_token"], proof.verifier, proof.state):
        assert secret not in kept


@check(GROUP, "a person takes back what was allowed: the tokens are over at once")
async def test_a_person_takes_it_back(smart: Kit) -> None:

    app = smart.app()
    told = await tokens_of(smart, app)
    read = smart.running.app.database.read
    found = grants.token(read, told["access_token"])
    assert found is not None
    with pytest.raises(Exception, match="no such app"):
        await revoke.by_person(smart.running.app.authority, found[0].id, "somebody-else")
    await revoke.by_person(smart.running.app.authority, found[0].id, found[0].user)
    assert (await smart.read("Patient/p1", told["access_token"])).status_code == 401
    assert found[0].id not in [one.id for one in grants.of_user(read, found[0].user, smart.running.app.clock.micros())]


@check(GROUP, "a code or an access token with every character changed in turn opens nothing")
async def test_no_token_but_the_token(smart: Kit) -> None:
    app = smart.app()
    token = (await tokens_of(smart, app))["access_token"]
    tokens = smart.running.app.authority.tokens
    assert re.fullmatch(r"at_[A-Za-z0-9_-]{43}", token)
    for at in range(len(token)):
        assert tokens.caller(token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :]) is None
    for text in ("", " ", token + " ", " " + token, token.upper(), token[3:], "at_" + "A" * 43, token * 2):
        assert tokens.caller(text) is None
