"""Registered clients prove themselves: secrets by Basic and by form, signed assertions, and nobody else gets in."""

from __future__ import annotations

import base64

import pytest

from suture.crypto import new_token
from suture.store import apps
from suture.store.apps import APPROVED, ENDED, PENDING, PUBLIC, REFUSED, OAuthClient
from tests.access.oauth import proofs
from tests.access.oauth.house import REFUSED_AT_ALL, SECRET, House, basic
from tests.access.oauth.proofs import TOKEN_URL, claims, form, keep, signed


async def test_a_secret_proves_by_header_and_by_form(house: House) -> None:
    made = house.symmetric()
    by_header = await house.clients.authenticate({}, basic(made.id, SECRET), TOKEN_URL)
    by_form = await house.clients.authenticate({"client_id": made.id, "client_secret": SECRET}, "", TOKEN_URL)
    assert by_header == by_form == house.clients.get(made.id)


async def test_both_kinds_of_keys_prove(house: House) -> None:
    made = keep(house.database, proofs.client())
    for jti, key in (("a", proofs.ec()), ("b", proofs.rsa())):
        assert await house.clients.authenticate(form(signed(claims(house.clock, jti=jti), key)), "", TOKEN_URL) == made


async def test_a_public_client_is_known_by_its_id_alone(house: House) -> None:
    made = keep(house.database, OAuthClient("phone", "Phone", PUBLIC, status=APPROVED))
    assert await house.clients.authenticate({"client_id": "phone", "client_secret": ""}, "", TOKEN_URL) == made
    assert await house.refusal({"client_id": "phone", "client_secret": "x"}) == REFUSED_AT_ALL
    assert await house.refusal({}, basic("phone", "")) == REFUSED_AT_ALL


@pytest.mark.parametrize("status", [PENDING, REFUSED, ENDED])
async def test_only_an_approved_client_gets_in(house: House, status: str) -> None:
    keep(house.database, OAuthClient("phone", "Phone", PUBLIC, status=status))
    keep(house.database, proofs.client(status=status))
    assert await house.refusal({"client_id": "phone"}) == REFUSED_AT_ALL
    assert await house.refusal(form(signed(claims(house.clock)))) == REFUSED_AT_ALL


@pytest.mark.parametrize(
    "authorization",
    [
        "Basic",
        "Basic ",
        "Basic !!!!",
        "Basic " + base64.b64encode(b"web+app").decode(),
        "Basic " + base64.b64encode(b"\xff:\xff").decode(),
        "Bearer abc",
        "Negotiate abc",
        basic("web app", "wrong"),
        basic("web app", ""),
        basic("web%20app", SECRET),
        basic("nobody", SECRET),
        basic("", SECRET),
        basic("web app", SECRET + " "),
    ],
)
async def test_other_headers_are_refused_alike(house: House, authorization: str) -> None:
    house.symmetric()
    assert await house.refusal({}, authorization) == REFUSED_AT_ALL


async def test_one_proof_a_request(house: House) -> None:
    made = house.symmetric()
    both = {"client_id": made.id, "client_secret": SECRET}
    assert (await house.refusal(both, basic(made.id, SECRET)))[:2] == ("invalid_request", 400)
    assert (await house.refusal({**both, **form(signed(claims(house.clock)))}))[:2] == ("invalid_request", 400)
    assert await house.refusal({"client_id": "app-1"}, basic(made.id, SECRET)) == REFUSED_AT_ALL


async def test_a_kind_is_not_changed_by_what_is_sent(house: House) -> None:
    house.symmetric()
    keep(house.database, proofs.client())
    assert await house.refusal({"client_id": "web app"}) == REFUSED_AT_ALL
    assert await house.refusal({"client_id": "app-1"}) == REFUSED_AT_ALL
    assert await house.refusal({"client_id": "app-1", "client_secret": SECRET}) == REFUSED_AT_ALL


async def test_a_new_secret_ends_the_old_at_once_or_after_a_while(house: House) -> None:
    made = house.symmetric()
    second, third = new_token(), new_token()
    house.database.write_now(lambda tx: apps.add_secret(tx, made.id, second))
    assert await house.refusal({}, basic(made.id, SECRET)) == REFUSED_AT_ALL
    house.database.write_now(lambda tx: apps.add_secret(tx, made.id, third, keep_old=60))
    for secret in (second, third):
        assert (await house.clients.authenticate({}, basic(made.id, secret), TOKEN_URL)).id == made.id
    house.clock.advance(61)
    assert await house.refusal({}, basic(made.id, second)) == REFUSED_AT_ALL
    assert (await house.clients.authenticate({}, basic(made.id, third), TOKEN_URL)).id == made.id
    house.database.write_now(lambda tx: apps.turn(tx, made.id, ENDED))
    assert await house.refusal({}, basic(made.id, third)) == REFUSED_AT_ALL
    assert apps.secrets(house.database.read, made.id) == []
