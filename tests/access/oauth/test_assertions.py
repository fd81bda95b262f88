"""Forged, bent, old and used assertions: each is refused in the same words, and makes nobody call anywhere."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from joserfc import jws
from joserfc.jwk import OctKey

from suture.access.oauth.assertions import TYPE
from suture.access.oauth.clients import Clients
from suture.access.oauth.errors import OAuthRefused
from suture.clock import SYSTEM
from suture.store.database import Database
from tests.access.oauth import outside, proofs
from tests.access.oauth.house import REFUSED_AT_ALL, House
from tests.access.oauth.proofs import TOKEN_URL, b64, claims, form, keep, signed

EVIL = "https://evil.example/jwks.json"
OTHER = "https://other.example/auth/token"
Forge = Callable[[House], str]


def said(**more: Any) -> Forge:
    """A well signed assertion with other claims; a claim given as None is left out."""

    def forge(house: House) -> str:
        full = claims(house.clock, **{name: value(house) if callable(value) else value for name, value in more.items()})
        return signed({name: value for name, value in full.items() if value is not None})

    return forge


def headed(key: Any = None, **header: Any) -> Forge:
    return lambda house: signed(claims(house.clock), key() if key else None, **header)


def seconds(away: int) -> Callable[[House], int]:
    return lambda house: house.clock.micros() // 1_000_000 + away


def unsigned(algorithm: str, signature: str = "") -> Forge:
    return lambda house: f"{b64({'alg': algorithm, 'typ': 'JWT', 'kid': 'e1'})}.{b64(claims(house.clock))}.{signature}"


def by_shared_secret(house: House) -> str:
    """HS256 with the public key's text as the secret."""
    key = OctKey.import_key(json.dumps(proofs.ec().as_dict(private=False)))
    header = {"alg": "HS256", "typ": "JWT", "kid": "e1"}
    return jws.serialize_compact(header, b64(claims(house.clock)).encode(), key, algorithms=["HS256"])


def bent(part: int, change: Callable[[str], str]) -> Forge:
    def forge(house: House) -> str:
        parts = signed(claims(house.clock)).split(".")
        parts[part] = change(parts[part])
        return ".".join(parts)

    return forge


def claims_swapped(house: House) -> str:
    parts = signed(claims(house.clock)).split(".")
    return ".".join((parts[0], b64(claims(house.clock, jti="other")), parts[2]))


def as_json(house: House) -> str:
    head, body, signature = signed(claims(house.clock)).split(".")
    return json.dumps({"payload": body, "protected": head, "signature": signature})


def doubled(house: House) -> str:
    body = json.dumps(claims(house.clock))[:-1] + ', "sub": "app-2"}'
    header = {"alg": "ES384", "typ": "JWT", "kid": "e1"}
    return jws.serialize_compact(header, body.encode(), proofs.ec(), algorithms=["ES384"])


def another_e1() -> Any:
    return proofs.ec.__wrapped__("e1")


FORGED: dict[str, Forge] = {
    "no algorithm": unsigned("none"),
    "no algorithm, other case": unsigned("NoNe"),
    "no algorithm, some signature": unsigned("none", b64(b"x" * 96)),
    "no signature": unsigned("ES384"),
    "all zeros": unsigned("ES384", b64(bytes(96))),
    "shared secret": by_shared_secret,
    "another key under this kid": headed(another_e1),
    "another key of the client": headed(proofs.rsa, kid="e1"),
    "the kid of another kind": headed(kid="r1"),
    "an unknown kid": headed(kid="e2"),
    "no kid": headed(kid=None),
    "an empty kid": headed(kid=""),
    "a kid that is no text": headed(kid=7),
    "a kid that is a path": headed(kid="../../dev/null"),
    "RS256": headed(proofs.rsa, alg="RS256"),
    "RS512": headed(proofs.rsa, alg="RS512"),
    "PS384": headed(proofs.rsa, alg="PS384"),
    "ES256": headed(lambda: proofs.ec("e1", "P-256"), alg="ES256"),
    "an algorithm of the wrong kind": lambda house: b64({"alg": "RS384", "typ": "JWT", "kid": "e1"}) + "." + signed(claims(house.clock)).split(".", 1)[1],
    "no typ": headed(typ=None),
    "another typ": headed(typ="at+jwt"),
    "a jku of somebody else": headed(jku=EVIL),
    "a jku without end": headed(jku=EVIL + "x" * 900),
    "a jku though keys are by value": headed(jku=outside.KEYS_URL),
    "a jku that is a list": headed(jku=[EVIL]),
    "a key in the header": headed(jwk=proofs.ec().as_dict(private=False)),
    "the attacker's key in the header": headed(another_e1, jwk=proofs.rsa("x").as_dict(private=False)),
    "x5u": headed(x5u=EVIL),
    "x5c": headed(x5c=["MIIB"]),
    "crit": headed(crit=["exp"], exp=1),
    "crit of an unencoded payload": headed(crit=["b64"], b64=True),
    "a claim changed": claims_swapped,
    "a header changed": bent(0, lambda part: b64({"alg": "ES384", "typ": "JWT", "kid": "e1", "x": 1})),
    "a signature cut": bent(2, lambda part: part[:-4]),
    "a signature with more": bent(2, lambda part: part + "AAAA"),
    "padding": bent(2, lambda part: part + "=="),
    "plain base64": bent(1, lambda part: part + "+/"),
    "a line's end": bent(1, lambda part: part + "\n"),
    "two parts": lambda house: signed(claims(house.clock)).rsplit(".", 1)[0],
    "four parts": lambda house: signed(claims(house.clock)) + ".e30",
    "as JSON": as_json,
    "claims that are a list": lambda house: signed([]),  # type: ignore[arg-type]
    "claims said twice": doubled,
    "too long": said(more="x" * 40_000),
    "another client's": said(iss="app-2", sub="app-2"),
    "iss of another": said(iss="app-2"),
    "sub of another": said(sub="app-2"),
    "no iss": said(iss=None),
    "no sub": said(sub=None),
    "iss is a list": said(iss=["app-1"]),
    "no aud": said(aud=None),
    "aud of another server": said(aud=OTHER),
    "aud of two servers": said(aud=[TOKEN_URL, OTHER]),
    "aud twice the same": said(aud=[TOKEN_URL, TOKEN_URL]),
    "aud in a list in a list": said(aud=[[TOKEN_URL]]),
    "aud is our FHIR base": said(aud="https://suture.example/fhir"),
    "aud with a slash": said(aud=TOKEN_URL + "/"),
    "aud with a query": said(aud=TOKEN_URL + "?x"),
    "aud in other case": said(aud=TOKEN_URL.upper()),
    "no exp": said(exp=None),
    "over": said(exp=seconds(-31)),
    "too far ahead": said(exp=seconds(331)),
    "far ahead": said(exp=seconds(86_400)),
    "exp without end": said(exp=10**30),
    "exp is text": said(exp="9999999999"),
    "exp with a fraction": said(exp=lambda house: house.clock.micros() / 1_000_000 + 60.5),
    "exp is true": said(exp=True),
    "not yet": said(nbf=seconds(60)),
    "nbf behind exp": said(nbf=seconds(20), exp=seconds(10)),
    "made in the future": said(iat=seconds(60)),
    "made behind its end": said(iat=seconds(20), exp=seconds(10)),
    "made long ago": said(iat=seconds(-3600)),
    "iat is text": said(iat="now"),
    "no jti": said(jti=None),
    "an empty jti": said(jti=""),
    "jti is a number": said(jti=7),
    "a jti without end": said(jti="x" * 257),
}  # fmt: skip


@pytest.fixture
def wired(tmp_path: Path) -> House:
    """Two clients with keys by value, and nobody outside to be asked."""
    house = House(tmp_path, outside.nobody())
    keep(house.database, proofs.client())
    keep(house.database, proofs.client("app-2", jwks=proofs.published(proofs.ec("e9"))))
    return house


def test_there_are_enough() -> None:
    assert len(FORGED) >= 70


@pytest.mark.parametrize("name", FORGED)
async def test_a_forged_assertion_is_refused_and_calls_nobody(wired: House, name: str) -> None:
    assert await wired.refusal(form(FORGED[name](wired))) == REFUSED_AT_ALL
    assert wired.outside.asked == []


async def test_no_forgery_uses_an_assertion_up(wired: House) -> None:
    """What is refused leaves the client's own assertion with the same jti good."""
    for forge in FORGED.values():
        await wired.refusal(form(forge(wired)))
    assert (await wired.clients.authenticate(form(signed(claims(wired.clock))), "", TOKEN_URL)).id == "app-1"
    wired.database.close()


@pytest.mark.parametrize(
    "given",
    [
        {"client_assertion_type": TYPE, "client_assertion": ""},
        {"client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"},
        {"client_assertion_type": TYPE + " "},
        {"client_assertion_type": TYPE.upper()},
        {"client_assertion_type": "not-an-assertion-type"},
        {"client_assertion_type": ""},
    ],
)
async def test_another_type_of_assertion(wired: House, given: dict[str, str]) -> None:
    assert await wired.refusal({"client_assertion": signed(claims(wired.clock)), **given}) == REFUSED_AT_ALL


async def test_client_id_beside_the_assertion_is_the_same_client(wired: House) -> None:
    assert await wired.refusal(form(signed(claims(wired.clock)), client_id="app-2")) == REFUSED_AT_ALL
    good = form(signed(claims(wired.clock)), client_id="app-1")
    assert (await wired.clients.authenticate(good, "", TOKEN_URL)).id == "app-1"


@pytest.mark.parametrize(
    "good",
    [
        said(),
        said(iat=None),
        said(aud=[TOKEN_URL]),
        said(exp=seconds(330)),
        said(exp=seconds(-29), iat=seconds(-200)),
        said(nbf=seconds(29)),
        said(iat=seconds(29)),
        said(extra={"any": ["thing"]}),
        headed(typ="jwt"),
        headed(proofs.rsa),
        headed(x5t="abc", other=1),
    ],
)
async def test_what_the_standards_allow_is_taken(wired: House, good: Forge) -> None:
    assert (await wired.clients.authenticate(form(good(wired)), "", TOKEN_URL)).id == "app-1"


async def test_an_assertion_is_good_once_also_for_a_crowd(wired: House) -> None:
    assertion = form(signed(claims(wired.clock)))

    async def come() -> bool:
        try:
            await wired.clients.authenticate(assertion, "", TOKEN_URL)
        except OAuthRefused:
            return False
        return True

    assert sum(await asyncio.gather(*(come() for _ in range(30)))) == 1


async def test_a_jti_belongs_to_its_client_and_to_its_life(wired: House) -> None:
    await wired.clients.authenticate(form(signed(claims(wired.clock))), "", TOKEN_URL)
    second = signed(claims(wired.clock, iss="app-2", sub="app-2"), proofs.ec("e9"))
    assert (await wired.clients.authenticate(form(second), "", TOKEN_URL)).id == "app-2"
    again = form(signed(claims(wired.clock, exp=seconds(100)(wired))))
    assert await wired.refusal(again) == REFUSED_AT_ALL
    wired.clock.advance(271)
    assert (await wired.clients.authenticate(form(signed(claims(wired.clock))), "", TOKEN_URL)).id == "app-1"


async def test_an_assertion_is_good_once_after_a_restart_too(wired: House) -> None:
    assertion = form(signed(claims(wired.clock)))
    await wired.clients.authenticate(assertion, "", TOKEN_URL)
    wired.database.close()
    wired.database = Database.open(wired.settings, wired.clock)
    wired.clients = Clients(wired.database, wired.clock, wired.settings)
    assert await wired.refusal(assertion) == REFUSED_AT_ALL


COMER = """
import asyncio, sys
from pathlib import Path
from suture import settings as settings_of
from suture.access.oauth.clients import Clients
from suture.access.oauth.errors import OAuthRefused
from suture.clock import SYSTEM
from suture.store.database import Database

folder, url = Path(sys.argv[1]), sys.argv[2]
settings = settings_of.read(folder, {}).with_values(key_file=str(folder / "keys" / "k.key"))
clients = Clients(Database.open(settings), SYSTEM, settings)
print("ready", flush=True)
forms = [dict(client_assertion_type=sys.argv[3], client_assertion=line) for line in sys.stdin.read().split()]

async def come(form):
    try:
        await clients.authenticate(form, "", url)
        return "in"
    except OAuthRefused as error:
        return error.error

async def all_of_them():
    return await asyncio.gather(*(come(form) for form in forms))

print(" ".join(asyncio.run(all_of_them())))
"""


@pytest.mark.slow
def test_two_processes_that_are_given_the_same_let_each_in_once(tmp_path: Path) -> None:
    house = House(tmp_path)
    keep(house.database, proofs.client())
    given = "\n".join(signed(claims(SYSTEM, jti=f"j{n}")) for n in range(25))
    started = [
        subprocess.Popen(
            [sys.executable, "-c", COMER, str(tmp_path), TOKEN_URL, TYPE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for one in started:
        assert one.stdout is not None
        assert one.stdout.readline() == "ready\n"
    for one in started:
        assert one.stdin is not None
        one.stdin.write(given)
    for one in started:
        assert one.stdin is not None
        one.stdin.close()
    answers = [one.stdout.read().split() for one in started if one.stdout is not None]
    for one in started:
        assert one.wait(60) == 0
    assert [len(answer) for answer in answers] == [25, 25]
    for first, second in zip(*answers, strict=True):
        assert sorted((first, second)) == ["in", "invalid_client"]
    house.database.close()
