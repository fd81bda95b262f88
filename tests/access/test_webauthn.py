"""Passkeys: which name a server has, and that nothing but a signed answer to an open challenge is taken."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from suture.access.second_factor import Answer
from suture.access.webauthn import Party, party
from suture.crypto import new_token
from suture.errors import Invalid, Unauthenticated
from suture.store import accounts, factors
from tests.access.house import HERE, House

AT = Party("ehr.example", "https://ehr.example")


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    made = House(tmp_path_factory.mktemp("house"))
    yield made
    made.database.close()


@pytest.mark.parametrize(
    ("url", "host", "found"),
    [
        ("https://ehr.example", "evil.example", AT),
        ("https://ehr.example:8443", "", Party("ehr.example", "https://ehr.example:8443")),
        ("http://127.0.0.1:8080", "localhost:8080", Party("localhost", "http://localhost:8080")),
        ("http://127.0.0.1:8080", "127.0.0.1:8080", None),
        ("http://127.0.0.1:8080", "evil.example", None),
        ("http://192.0.2.1", "localhost", None),
        ("http://[::1]:8080", "[::1]:8080", None),
    ],
)
def test_the_name_of_a_server_comes_from_its_settings(url: str, host: str, found: Party | None) -> None:
    assert party(url, host) == found


def b64(text: bytes) -> str:
    return base64.urlsafe_b64encode(text).decode().rstrip("=")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "rawId", "response", "type", "clientDataJSON", "attestationObject", "authenticatorData", "signature"]), inner, max_size=5),
    max_leaves=20,
)  # fmt: skip


@given(text=st.text(max_size=200) | JSON.map(json.dumps), challenge=st.booleans())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_text_is_taken_for_a_passkey(house: House, text: str, challenge: bool) -> None:
    user = accounts.user_by_login(house.database.read, "ada") or house.add("ada", ["administrator"])
    if not factors.of_user(house.database.read, user.id):
        house.database.write_now(lambda tx: factors.add(tx, user.id, "passkey", "k", b"key", 0, {"credential": "AAAA"}))
    if challenge:
        text = _answer(house, user.id)
    keys = house.people.second.passkeys
    assert house.database.write_now(lambda tx: keys.good(tx, user, text, AT)) is False
    with pytest.raises(Invalid, match="this passkey was not accepted"):
        house.database.write_now(lambda tx: keys.add(tx, user, text, "", AT))


def _answer(house: House, user: str, **more: Any) -> str:
    """The right shape, an open challenge, and no signature."""
    token = new_token()
    house.database.write_now(lambda tx: accounts.create_link(tx, token, "passkey-challenge", 600, {"user": user}))
    client = {"type": "webauthn.get", "challenge": token, "origin": AT.origin, **more}
    response = {
        "clientDataJSON": b64(json.dumps(client).encode()),
        "authenticatorData": b64(b"\0" * 37),
        "signature": b64(b"x"),
        "attestationObject": b64(b"\xa0"),
    }
    return json.dumps({"id": "AAAA", "rawId": "AAAA", "type": "public-key", "response": response})


async def test_a_challenge_of_somebody_else_is_not_answered(tmp_path: Path) -> None:
    house = House(tmp_path)
    try:
        ada, eve = house.add("ada", ["administrator"]), house.add("eve", ["administrator"])
        await house.app(ada)
        text = _answer(house, eve.id)
        with pytest.raises(Unauthenticated, match="this passkey was not accepted"):
            await house.people.second.finish((await house.step("ada")).step, Answer("passkey", text, AT), HERE)
        with pytest.raises(Unauthenticated, match="this passkey was not accepted"):
            await house.people.second.finish((await house.step("ada")).step, Answer("passkey", text), HERE)
    finally:
        house.database.close()
