"""Signing keys: made once, kept sealed, followed by the next, and published as long as their tokens live."""

from __future__ import annotations

import asyncio

import pytest
from joserfc import jwt

from suture.access.oauth.oidc import NAME, ORIGIN, SigningKeys, id_token
from suture.access.oauth.sealed import Sealer, TooOld
from suture.store import vault
from tests.access.oauth.house import House

DAY = 86_400.0


def keys(house: House) -> SigningKeys:
    return SigningKeys(house.database, house.clock, house.settings)


async def test_several_processes_make_one_key(house: House) -> None:
    made = await asyncio.gather(*(keys(house).signing() for _ in range(3)))
    assert len({one.kid for one in made}) == 1
    assert len((await keys(house).published())["keys"]) == 1


async def test_the_private_key_is_in_the_vault_only(house: House) -> None:
    made = await keys(house).signing()
    private = made.key.as_dict(private=True)["d"]
    assert private in vault.get(house.database.read, NAME, ORIGIN)
    assert private not in repr(house.database.read.all("SELECT * FROM secret"))
    assert "d" not in (await keys(house).published())["keys"][0]


async def test_a_new_key_follows_and_the_old_one_stays_for_a_day(house: House) -> None:
    one = keys(house)
    first = await one.signing()
    house.clock.advance(89 * DAY)
    assert (await one.signing()).kid == first.kid
    house.clock.advance(2 * DAY)
    second = await one.signing()
    assert second.kid != first.kid
    assert [key["kid"] for key in (await one.published())["keys"]] == [second.kid, first.kid]
    house.clock.advance(91 * DAY)
    third = await one.signing()
    assert [key["kid"] for key in (await one.published())["keys"]] == [third.kid, second.kid]


async def test_an_id_token_carries_its_times_and_its_key(house: House) -> None:
    key = await keys(house).signing()
    text = id_token(key, {"sub": "u1"}, house.clock.micros())
    found = jwt.decode(text, key.key, algorithms=["RS256"])
    assert found.header == {"alg": "RS256", "kid": key.kid, "typ": "JWT"}
    assert found.claims["exp"] - found.claims["iat"] == 3600


def test_what_is_sealed_opens_for_its_purpose_for_a_while(house: House) -> None:
    sealer = Sealer(b"k" * 32, 60, house.clock)
    sealed = sealer.seal("a", {"x": 1})
    assert sealer.open("a", sealed) == {"x": 1}
    for purpose, text in (("b", sealed), ("a", sealed[:-2]), ("a", ""), ("a", "\u00e9"), ("a", "A" * 60)):
        with pytest.raises(TooOld, match="too old or not complete"):
            sealer.open(purpose, text)
    with pytest.raises(TooOld):
        Sealer(b"j" * 32, 60, house.clock).open("a", sealed)
    house.clock.advance(61)
    with pytest.raises(TooOld):
        sealer.open("a", sealed)
