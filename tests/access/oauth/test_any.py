"""Whatever comes in, the readers of registrations, addresses, assertions and key sets end in their own refusals."""

from __future__ import annotations

from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import httpx
from hypothesis import given, settings
from hypothesis import strategies as st

from suture.access.oauth import registration
from suture.access.oauth.assertions import ALGORITHMS, Unproven, taken_apart, the_key
from suture.access.oauth.errors import OAuthRefused
from suture.access.oauth.jwks import require_set, require_url
from suture.access.oauth.redirects import trouble
from suture.access.oauth.scopes import narrowed
from suture.errors import Invalid
from tests.access.oauth.test_registration import BACKEND, GOOD, NEVER, TAKEN

PLAIN = st.none() | st.booleans() | st.integers() | st.text(max_size=30)
ANY = st.recursive(PLAIN, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4))  # fmt: skip
FIELDS = sorted({*GOOD, *BACKEND, "jwks", "logo_uri", "contacts", "response_types", "software_id", "token_endpoint_auth_signing_alg"})  # fmt: skip


@settings(max_examples=300)
@given(base=st.sampled_from([GOOD, BACKEND]), changes=st.dictionaries(st.sampled_from(FIELDS), ANY, max_size=3))
def test_a_registration_is_read_or_refused(base: dict[str, Any], changes: dict[str, Any]) -> None:
    with suppress(OAuthRefused):
        registration.told(registration.read({**base, **changes}, origin="register"))


@settings(max_examples=400)
@given(
    uri=st.text(max_size=60)
    | st.sampled_from([*TAKEN, *NEVER]).flatmap(
        lambda uri: st.tuples(st.integers(0, len(uri)), st.text(st.characters(max_codepoint=0x3000), max_size=3)).map(
            lambda change: uri[: change[0]] + change[1] + uri[change[0] :]
        )
    )
)
def test_an_address_that_is_taken_is_read_alike_by_others(uri: str) -> None:
    if trouble(uri, native=False):
        return
    ours, theirs = urlsplit(uri), httpx.URL(uri)
    assert ours.scheme in ("http", "https")
    assert (ours.scheme, ours.hostname, ours.fragment) == (theirs.scheme, theirs.raw_host.decode(), theirs.fragment)
    assert ours.username is None
    assert theirs.userinfo == b""
    assert str(theirs) in (uri, uri + "/")


@settings(max_examples=300)
@given(text=st.text(max_size=80) | st.text("ab-_.=", max_size=40))
def test_an_assertion_is_taken_apart_or_refused(text: str) -> None:
    with suppress(Unproven):
        taken_apart(text)


@settings(max_examples=300)
@given(
    keys=st.lists(
        st.dictionaries(
            st.sampled_from(["kty", "kid", "n", "e", "x", "y", "crv", "use", "key_ops", "alg"]),
            st.sampled_from(["RSA", "EC", "k1", "AQAB", "A", "AA", "P-384", "P-256", "sig", ["verify"], 7, None, ""]),
        ),
        max_size=3,
    )
)
def test_a_key_set_gives_a_key_or_is_refused(keys: list[dict[str, Any]]) -> None:
    for algorithm in ALGORITHMS:
        with suppress(Invalid, Unproven):
            the_key(require_set({"keys": keys}), "k1", algorithm)


@given(url=st.text(max_size=50))
def test_an_address_of_keys_is_https_or_refused(url: str) -> None:
    with suppress(Invalid):
        assert require_url(url).startswith("https://")


WORDS = ["system/*.cruds", "system/*.rs", "system/Patient.rs", "system/Patient.read", "system/Observation.rs?category=a",
         "system/Observation.rs?category=a&status=final", "system/Observation.c", "openid", "patient/*.rs", "nonsense"]  # fmt: skip


@given(asked=st.lists(st.sampled_from(WORDS)), allowed=st.lists(st.sampled_from(WORDS)))
def test_what_is_granted_stays_within_what_is_allowed(asked: list[str], allowed: list[str]) -> None:
    granted = narrowed(asked, allowed)
    assert narrowed(granted, allowed) == granted
    assert narrowed(granted, asked) == granted
