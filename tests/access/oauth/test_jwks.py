"""Keys by value and by URL: what is asked, how often, how long it is believed, and what is never believed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from suture.access.oauth.clients import Clients
from suture.access.oauth.errors import OAuthRefused
from suture.access.oauth.jwks import require_set, require_url
from suture.connectors.outbound import Outbound
from suture.errors import Invalid
from suture.ports import Answer
from tests.access.oauth import outside, proofs
from tests.access.oauth.house import REFUSED_AT_ALL, House
from tests.access.oauth.outside import KEYS_URL, Outside, keys
from tests.access.oauth.proofs import TOKEN_URL, claims, ec, form, keep, published, rsa, signed


@asynccontextmanager
async def wired(folder: Path, say: Callable[[str], Answer | Exception], **values: Any) -> AsyncIterator[House]:
    """A client whose keys are at its own URL."""
    house = House(folder, Outside(say), **values)
    keep(house.database, proofs.client(jwks=None, jwks_url=KEYS_URL))
    yield house
    house.database.close()


count = iter(range(10**9))


async def come(house: House, key: Any = None, **header: Any) -> bool:
    """Whether the client gets in with a fresh assertion."""
    assertion = signed(claims(house.clock, jti=f"n{next(count)}"), key, **header)
    try:
        await house.clients.authenticate(form(assertion), "", TOKEN_URL)
    except OAuthRefused as error:
        refusal = (error.error, error.status, error.text)
        assert refusal == REFUSED_AT_ALL
        return False
    return True


async def test_keys_are_fetched_kept_and_fetched_again(tmp_path: Path) -> None:
    async with wired(tmp_path, lambda url: keys(published(ec(), rsa()), "max-age=60")) as house:
        assert [await come(house), await come(house, rsa()), await come(house, jku=KEYS_URL)] == [True] * 3
        assert house.outside.asked == [KEYS_URL]
        assert house.outside.most == [64 * 1024]
        house.clock.advance(59)
        assert await come(house)
        assert len(house.outside.asked) == 1
        house.clock.advance(2)
        assert await come(house)
        assert len(house.outside.asked) == 2


@pytest.mark.parametrize(
    ("cache", "headers", "life"),
    [
        (None, {}, 300),
        ("max-age=0", {}, 0),
        ("no-store", {}, 0),
        ("no-cache, max-age=600", {}, 0),
        ("public, max-age=100", {}, 100),
        ("max-age=100, max-age=20", {}, 20),
        ('max-age="50"', {}, 50),
        ("MAX-AGE=50, must-revalidate", {}, 50),
        ("s-maxage=9, max-age=70", {}, 70),
        ("max-age=100", {"age": "90"}, 10),
        ("max-age=100", {"age": "900"}, 0),
        ("max-age=99999999", {}, 3600),
        ("nonsense", {}, 300),
    ],
)
async def test_never_longer_than_cache_control_says(
    tmp_path: Path, cache: str | None, headers: dict[str, str], life: int
) -> None:
    async with wired(tmp_path, lambda url: keys(published(ec()), cache, **headers)) as house:
        assert await come(house)
        if life:
            house.clock.advance(life - 0.5)
            assert await come(house)
            assert len(house.outside.asked) == 1
            house.clock.advance(0.5)
        assert await come(house)
        assert len(house.outside.asked) == 2


async def test_an_unknown_kid_asks_again_once_an_interval(tmp_path: Path) -> None:
    served = [published(ec())]
    async with wired(tmp_path, lambda url: keys(served[-1], "max-age=600")) as house:
        assert await come(house)
        new = ec("e2")
        served.append(published(ec(), new))
        assert [await come(house, new) for _ in range(5)] == [False] * 5
        assert len(house.outside.asked) == 1
        house.clock.advance(31)
        assert await come(house, new)
        assert len(house.outside.asked) == 2
        assert [await come(house, kid="nobody's") for _ in range(5)] == [False] * 5
        assert len(house.outside.asked) == 2


async def test_a_key_taken_away_stops_when_its_answer_is_over(tmp_path: Path) -> None:
    served = [published(ec(), rsa())]
    async with wired(tmp_path, lambda url: keys(served[-1], "max-age=30")) as house:
        assert await come(house, rsa())
        served.append(published(ec()))
        house.clock.advance(31)
        assert not await come(house, rsa())


async def test_a_failure_is_remembered_and_old_keys_are_not_believed(tmp_path: Path) -> None:
    served: list[Answer | Exception] = [keys(published(ec()), "max-age=30")]
    async with wired(tmp_path, lambda url: served[-1]) as house:
        assert await come(house)
        served.append(outside.down())
        house.clock.advance(31)
        assert [await come(house) for _ in range(5)] == [False] * 5
        assert len(house.outside.asked) == 2
        assert house.clients.trouble(house.clients.get("app-1")) == "cannot be reached"  # type: ignore[arg-type]
        served.append(keys(published(ec())))
        house.clock.advance(31)
        assert await come(house)
        assert house.clients.trouble(house.clients.get("app-1")) == ""  # type: ignore[arg-type]


async def test_a_long_address_is_one_too(tmp_path: Path) -> None:
    long = KEYS_URL + "?" + "x" * 1500
    house = House(tmp_path, Outside(lambda url: keys(published(ec()))))
    keep(house.database, proofs.client(jwks=None, jwks_url=long))
    assert await come(house, jku=long)
    house.database.close()


async def test_a_crowd_asks_once(tmp_path: Path) -> None:
    async with wired(tmp_path, lambda url: keys(published(ec()), "no-store")) as house:
        house.outside.slow = 0.02
        assert all(await asyncio.gather(*(come(house) for _ in range(20))))
        assert len(house.outside.asked) == 1


async def test_who_forbids_keeping_is_asked_so_often_and_not_more(tmp_path: Path) -> None:
    async with wired(tmp_path, lambda url: keys(published(ec()), "no-store"), oauth__jwks_fetches=7) as house:
        assert [await come(house) for _ in range(10)] == [True] * 7 + [False] * 3
        assert len(house.outside.asked) == 7
        house.clock.advance(61)
        assert await come(house)


async def test_what_is_cheap_is_judged_before_anybody_is_asked(tmp_path: Path) -> None:
    async with wired(tmp_path, lambda url: keys(published(ec()))) as house:
        for more in ({"aud": "https://other.example"}, {"exp": 1}, {"sub": "app-2"}, {"jti": ""}):
            assert await house.refusal(form(signed(claims(house.clock, **more)))) == REFUSED_AT_ALL
        for header in ({"jku": "https://evil.example/k"}, {"alg": "RS256"}, {"x5u": KEYS_URL}, {"crit": ["exp"]}):
            key = rsa() if header.get("alg") == "RS256" else None
            assert await house.refusal(form(signed(claims(house.clock), key, **header))) == REFUSED_AT_ALL
        assert house.outside.asked == []


def other(**more: Any) -> dict[str, Any]:
    return {**ec().as_dict(private=False), **more}


BAD_SETS: dict[str, Any] = {
    "a private key": {"keys": [ec().as_dict(private=True)]},
    "a private key beside the right one": {"keys": [other(), rsa("x").as_dict(private=True)]},
    "a shared secret": {"keys": [other(), {"kty": "oct", "kid": "s", "k": "AAAA"}]},
    "the kid twice": {"keys": [other(), ec("e1x").as_dict(private=False) | {"kid": "e1"}]},
    "the same key twice": {"keys": [other(), other()]},
    "another kty": {"keys": [rsa().as_dict(private=False) | {"kid": "e1"}]},
    "a kty that is none": {"keys": [other(kty="XX")]},
    "no kty": {"keys": [{k: v for k, v in other().items() if k != "kty"}]},
    "no kid": {"keys": [{k: v for k, v in other().items() if k != "kid"}]},
    "another kid": {"keys": [other(kid="E1")]},
    "for encryption": {"keys": [other(use="enc")]},
    "for signing only": {"keys": [other(key_ops=["sign"])]},
    "for another algorithm": {"keys": [other(alg="ES256")]},
    "another curve": {"keys": [ec("e1", "P-256").as_dict(private=False)]},
    "a point that is none": {"keys": [other(x="AA")]},
    "a point off the curve": {"keys": [other(x=other()["y"], y=other()["x"])]},
    "coordinates that are numbers": {"keys": [other(x=1)]},
    "no keys": {"keys": []},
    "keys that are none": {"keys": "none"},
    "no list": {},
    "one key alone": other(),
    "too many keys": {"keys": [other(), *({"kty": "RSA", "kid": str(n), "n": "AA", "e": "AQAB"} for n in range(50))]},
    "a list": [other()],
    "no JSON": b"<html>",
    "keys twice": b'{"keys": [], "keys": []}',
    "nothing": b"",
    "not UTF-8": b'{"keys": ["\xff"]}',
    "deep": b'{"keys":' + b"[" * 100 + b"]" * 100 + b"}",
    "too large": {"keys": [other()], "more": "x" * 70_000},
}


@pytest.mark.parametrize("name", BAD_SETS)
async def test_a_set_that_is_not_sound_proves_nobody(tmp_path: Path, name: str) -> None:
    async with wired(tmp_path, lambda url: keys(BAD_SETS[name])) as house:
        assert not await come(house)
        assert house.outside.asked == [KEYS_URL]


@pytest.mark.parametrize("status", [201, 204, 301, 302, 307, 400, 401, 404, 429, 500])
async def test_only_an_answer_with_200_is_read(tmp_path: Path, status: int) -> None:
    say = lambda url: keys(published(ec()), status=status, location="https://evil.example/k")  # noqa: E731
    async with wired(tmp_path, say) as house:
        assert not await come(house)
        assert house.outside.asked == [KEYS_URL]


@pytest.mark.filterwarnings("ignore:Key size")
async def test_weak_and_huge_keys_prove_nobody(tmp_path: Path) -> None:
    weak = rsa("weak", 1024)
    odd = {**rsa().as_dict(private=False), "kid": "odd", "e": "A" * 300}
    cut = {**rsa().as_dict(private=False), "kid": "cut", "n": "AAAAA"}
    async with wired(tmp_path, lambda url: keys({"keys": [weak.as_dict(private=False), odd, cut]})) as house:
        assert not await come(house, weak)
        assert not await come(house, rsa(), kid="cut")
        assert not await come(house, rsa(), kid="odd")


async def test_other_keys_may_stand_in_a_set(tmp_path: Path) -> None:
    more = [{"kty": "OKP", "crv": "Ed25519", "x": "AA", "kid": "e1"}, other(kid="e7", use="enc"), other(kid="")]
    async with wired(tmp_path, lambda url: keys({"keys": [*more, other(use="sig", alg="ES384")]})) as house:
        assert await come(house)


async def test_a_slow_server_is_given_up(tmp_path: Path) -> None:
    async with wired(tmp_path, lambda url: keys(published(ec())), oauth__jwks_timeout=0.05) as house:
        house.outside.slow = 30
        assert not await come(house)


@asynccontextmanager
async def server(answer: bytes) -> AsyncIterator[tuple[str, list[bytes]]]:
    """A web server of a client, on this machine."""
    heard: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(answer)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as listening:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}", heard


def answered(body: bytes, head: bytes = b"200 OK") -> bytes:
    length = str(len(body)).encode()
    return b"HTTP/1.1 " + head + b"\r\nContent-Length: " + length + b"\r\nConnection: close\r\n\r\n" + body


@pytest.mark.parametrize("listed", [True, False])
async def test_over_the_wire_only_listed_origins_are_asked(tmp_path: Path, listed: bool) -> None:
    async with server(answered(json.dumps(published(ec())).encode())) as (origin, heard):
        house = House(tmp_path, outbound__allow=origin if listed else "https://other.example")
        outbound = Outbound.of(house.settings)
        house.clients = Clients(house.database, house.clock, house.settings, outbound)
        keep(house.database, proofs.client(jwks=None, jwks_url=f"{origin}/jwks.json"))
        assert await come(house) is listed
        assert len(heard) == listed
        assert all(request.startswith(b"GET /jwks.json HTTP/1.1") for request in heard)
        assert ("outbound.allow" in house.clients.trouble(house.clients.get("app-1"))) is not listed  # type: ignore[arg-type]
        await outbound.close()
        house.database.close()


async def test_over_the_wire_a_redirect_is_not_followed(tmp_path: Path) -> None:
    async with server(answered(json.dumps(published(ec())).encode())) as (target, reached):
        head = b"302 Found\r\nLocation: " + target.encode() + b"/jwks.json"
        async with server(answered(b"", head)) as (origin, heard):
            house = House(tmp_path, outbound__allow=f"{origin} {target}")
            outbound = Outbound.of(house.settings)
            house.clients = Clients(house.database, house.clock, house.settings, outbound)
            keep(house.database, proofs.client(jwks=None, jwks_url=f"{origin}/jwks.json"))
            assert not await come(house)
            assert (len(heard), len(reached)) == (1, 0)
            await outbound.close()
            house.database.close()


@pytest.mark.parametrize(
    "url",
    [
        "http://app.example/jwks.json",
        "http://127.0.0.1/jwks.json",
        "https://",
        "https:///jwks.json",
        "https://user@app.example/jwks.json",
        "https://app.example/jwks.json#x",
        "https://app.example/ jwks.json",
        "https://app.example/\njwks.json",
        "https://[::1/jwks",
        "https://app.example:x/",
        "https://app.example:99999/",
        "ftp://app.example/jwks.json",
        "javascript:alert(1)",
        "file:///etc/passwd",
        "//app.example/jwks.json",
        "app.example/jwks.json",
        "",
        "https://app.example/" + "x" * 2000,
        "https://äpp.example/",
    ],
)
def test_urls_of_keys_are_plain_https(url: str) -> None:
    with pytest.raises(Invalid, match="keys are fetched from https only"):
        require_url(url)


def test_a_key_set_by_value_is_judged_when_it_comes() -> None:
    assert len(require_set(published(ec(), rsa()))) == 2
    with pytest.raises(Invalid, match="private or secret key"):
        require_set({"keys": [ec().as_dict(private=True)]})
    with pytest.raises(Invalid, match="more than 50 keys"):
        require_set({"keys": [other()] * 51})
