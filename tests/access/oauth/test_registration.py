"""What apps say of themselves: addresses, words, keys and names that are taken, and those that are not."""

from __future__ import annotations

from typing import Any

import pytest

from suture.access.oauth import registrar, registration
from suture.access.oauth.errors import OAuthRefused
from suture.access.oauth.redirects import trouble, troubles
from suture.errors import Conflict, Invalid
from suture.store import apps, audit, grants
from suture.store.apps import APPROVED, ENDED, REFUSED
from tests.access.oauth.house import REFUSED_AT_ALL, House, basic
from tests.access.oauth.proofs import TOKEN_URL, ec, published

GOOD: dict[str, Any] = {
    "client_name": "Growth chart",
    "redirect_uris": ["https://app.example/back"],
    "token_endpoint_auth_method": "none",
    "scope": "openid fhirUser launch/patient patient/*.rs",
}
BACKEND: dict[str, Any] = {
    "client_name": "Registry",
    "token_endpoint_auth_method": "private_key_jwt",
    "grant_types": ["client_credentials"],
    "scope": "system/*.rs",
    "jwks_uri": "https://app.example/jwks.json",
}

TAKEN = [
    "https://app.example/back",
    "https://app.example",
    "https://app.example/",
    "https://app.example:8443/back",
    "https://app.example/back?tenant=1&x=%20",
    "https://a.b.c.app-1.example/x/y.html",
    "https://xn--pp-via.example/back",
    "https://192.0.2.7/back",
    "http://127.0.0.1/back",
    "http://127.0.0.1:4567/back",
    "http://[::1]:4567/back",
    "http://localhost:3000/back",
    "https://localhost/back",
]
NATIVE = ["org.example.app:/back", "org.example.app://back", "com.example.my-app:/x/y"]
NEVER = [
    "",
    "https://app.example/back#x",
    "https://app.example/back#",
    "https://*.example/back",
    "https://app.example/*",
    "https://*",
    "https://app.example/ba ck",
    "https://app.example/back\n",
    "https://app.example/back\t",
    "https://app.example\\@evil.example/",
    "https://app.example\\.evil.example",
    "https://user@app.example/back",
    "https://user:word@app.example/back",
    "https://@app.example/",
    "https:app.example/back",
    "https:/app.example/back",
    "https:///app.example/back",
    "https:////app.example",
    "//app.example/back",
    "/back",
    "app.example/back",
    "back",
    "http://app.example/back",
    "http://127.0.0.1.evil.example/back",
    "http://localhost.evil.example/back",
    "http://127.0.0.2/back",
    "http://0.0.0.0/back",
    "http://[::]/back",
    "http://2130706433/back",
    "http://0x7f000001/back",
    "http://127.1/back",
    "https://2130706433/back",
    "https://0x7f.0.0.1/back",
    "https://app/back",
    "https://.example/back",
    "https://app..example/back",
    "https://xn--0.example/back",
    "https://xn--app.example/back",
    "https://-app.example/back",
    "https://app.example./back",
    "https://APP.example/back",
    "HTTPS://app.example/back",
    "https://äpp.example/back",
    "https://app.example:0/back",
    "https://app.example:65536/back",
    "https://app.example:/back",
    "https://app.example:x/back",
    "https://[::1/back",
    "https://[fe80::1]/back",
    "https://app.example/../back",
    "https://app.example/./back",
    "https://app.example/%2e%2e/back",
    "https://app.example/.%2E/back",
    "https://app.example/%0d%0aSet-Cookie:x",
    "https://app.example/%00",
    "https://app.example/%5cevil",
    "https://app.example/%zz",
    "https://app.example/%",
    'https://app.example/"><script>',
    "https://app.example/<x>",
    "https://app.example/`x`",
    "https://app.example/{x}",
    "https://app.example/|x",
    "https://app.example/^x",
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    "data:text/html,x",
    "vbscript:x",
    "file:///etc/passwd",
    "ftp://app.example/back",
    "blob:https://app.example/x",
    "view-source:https://app.example",
    "about:blank",
    "urn:ietf:wg:oauth:2.0:oob",
    "app:/back",
    "myapp://back",
    "https://app.example/" + "x" * 2000,
    "\u202ehttps://app.example/back",
    "https://app.example\u3002evil.example/back",
    " https://app.example/back",
]


@pytest.mark.parametrize("uri", TAKEN)
def test_an_address_that_can_be_read_in_one_way_is_taken(uri: str) -> None:
    assert trouble(uri, native=False) == ""
    assert trouble(uri, native=True) == ""


@pytest.mark.parametrize("uri", NATIVE)
def test_an_apps_own_scheme_is_for_public_apps(uri: str) -> None:
    assert trouble(uri, native=True) == ""
    assert "scheme" in trouble(uri, native=False)


@pytest.mark.parametrize("uri", NEVER)
def test_all_else_is_not(uri: str) -> None:
    assert trouble(uri, native=True) != ""
    assert trouble(uri, native=False) != ""
    with pytest.raises(OAuthRefused) as refused:
        registration.read({**GOOD, "redirect_uris": [uri]}, origin="register")
    assert (refused.value.error, refused.value.status) == ("invalid_redirect_uri", 400)


def test_there_are_enough_of_them() -> None:
    assert len(NEVER) >= 60
    assert troubles(["https://app.example/a"] * 2, native=False) != ""
    assert troubles([f"https://app.example/{n}" for n in range(21)], native=False) != ""


WRONG: dict[str, dict[str, Any]] = {
    "no name": {"client_name": ""},
    "a name of blanks": {"client_name": "   "},
    "a name without end": {"client_name": "x" * 121},
    "a name that turns around": {"client_name": "Good\u202eppA"},
    "a name with lines": {"client_name": "Good\nApp"},
    "a name with a zero width": {"client_name": "Go\u200bod"},
    "a name that is none": {"client_name": ["x"]},
    "an unknown method": {"token_endpoint_auth_method": "client_secret_jwt"},
    "tls_client_auth": {"token_endpoint_auth_method": "tls_client_auth"},
    "a method that is a list": {"token_endpoint_auth_method": ["none"]},
    "an unknown grant": {"grant_types": ["password"]},
    "implicit": {"grant_types": ["implicit"]},
    "no grant": {"grant_types": []},
    "refresh alone": {"grant_types": ["refresh_token"], "redirect_uris": []},
    "grants that are text": {"grant_types": "authorization_code"},
    "a program without keys": {"grant_types": ["client_credentials"], "redirect_uris": [], "scope": "system/*.rs"},
    "response type token": {"response_types": ["token"]},
    "response type code and token": {"response_types": ["code token"]},
    "no scope": {"scope": ""},
    "a scope list": {"scope": ["openid"]},
    "an unknown scope": {"scope": "openid admin"},
    "letters out of order": {"scope": "patient/Patient.sr"},
    "a type that is none": {"scope": "patient/Person1.rs"},
    "system scopes of a person's app": {"scope": "system/*.rs"},
    "too many scopes": {"scope": " ".join(f"patient/Patient.rs?_id={n}" for n in range(101))},
    "a logo over http": {"logo_uri": "http://app.example/x.png"},
    "a logo that runs": {"logo_uri": "javascript:alert(1)"},
    "a page that is none": {"client_uri": 7},
    "a launch address with a fragment": {"initiate_login_uri": "https://app.example/#x"},
    "contacts that are text": {"contacts": "a@b.example"},
    "contacts with a line": {"contacts": ["a\nb"]},
    "too many contacts": {"contacts": ["x"] * 11},
    "keys for a program and none": {"token_endpoint_auth_method": "private_key_jwt"},
    "two sources of keys": {"token_endpoint_auth_method": "private_key_jwt", "jwks": published(ec()), "jwks_uri": "https://a.example/"},
    "keys over http": {"token_endpoint_auth_method": "private_key_jwt", "jwks_uri": "http://a.example/k"},
    "keys on this machine": {"token_endpoint_auth_method": "private_key_jwt", "jwks_uri": "http://127.0.0.1/k"},
    "a private key": {"token_endpoint_auth_method": "private_key_jwt", "jwks": {"keys": [ec().as_dict(private=True)]}},
    "a shared secret as key": {"token_endpoint_auth_method": "private_key_jwt", "jwks": {"keys": [{"kty": "oct", "k": "AA"}]}},
    "keys without a kid": {"token_endpoint_auth_method": "private_key_jwt", "jwks": {"keys": [{"kty": "EC", "crv": "P-384", "x": "AA", "y": "AA"}]}},
    "keys that are text": {"token_endpoint_auth_method": "private_key_jwt", "jwks": "{}"},
    "an algorithm": {"token_endpoint_auth_method": "private_key_jwt", "jwks": published(ec()), "token_endpoint_auth_signing_alg": "none"},
    "software that is a list": {"software_id": ["x"]},
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_metadata_that_is_not_taken(name: str) -> None:
    with pytest.raises(OAuthRefused) as refused:
        registration.read({**GOOD, **WRONG[name]}, origin="register")
    assert (refused.value.error, refused.value.status) == ("invalid_client_metadata", 400)


def test_a_public_app_as_it_is_kept_and_told() -> None:
    said = {**GOOD, "contacts": ["it@app.example"], "unknown": {"deep": 1}, "software_id": "growth", "logo_uri": ""}
    made = registration.read(said, origin="register")
    assert (made.kind, made.status, made.grant_types) == ("public", "pending", ("authorization_code",))
    told = registration.told(made)
    assert told["status"] == "pending"
    assert {name: told[name] for name in GOOD} == GOOD
    assert "unknown" not in told


def test_lasting_access_brings_refresh() -> None:
    made = registration.read({**GOOD, "scope": "patient/*.rs offline_access"}, origin="register")
    assert made.grant_types == ("authorization_code", "refresh_token")


def test_a_program_with_one_algorithm() -> None:
    made = registration.read({**BACKEND, "token_endpoint_auth_signing_alg": "ES384"}, origin="register")
    assert made.attributes["algorithms"] == ["ES384"]
    assert registration.told(made)["response_types"] == []


async def test_what_registers_by_itself_waits_and_can_do_nothing(house: House) -> None:
    take = registrar.Registrar(house.database, house.clock, house.settings)
    made, secret = await take.register({**GOOD, "token_endpoint_auth_method": "client_secret_basic"}, "192.0.2.7")
    assert (made.status, made.attributes["address"]) == ("pending", "192.0.2.7")
    assert await house.refusal({}, basic(made.id, secret)) == REFUSED_AT_ALL
    house.database.write_now(lambda tx: registrar.decide(tx, made.id, APPROVED, "user:ada"))
    assert (await house.clients.authenticate({}, basic(made.id, secret), TOKEN_URL)).id == made.id
    rows = [entry.row for entry in audit.find(house.database.read)]
    assert [(row.who, row.what, row.id) for row in rows] == [
        ("user:ada", "approve-client", made.id),
        ("anonymous", "register-client", made.id),
    ]


async def test_the_list_of_those_who_wait_is_bounded(house: House) -> None:
    settings = house.settings.with_values(oauth__register_rate=3, oauth__register_pending=5)
    take = registrar.Registrar(house.database, house.clock, settings)
    for _ in range(3):
        await take.register(GOOD, "2001:db8::1")
    for near in ("2001:db8::1", "2001:db8::ffff:2"):
        with pytest.raises(OAuthRefused, match="from this address") as refused:
            await take.register(GOOD, near)
        assert refused.value.status == 429
    for far in ("2001:db8:0:1::1", "192.0.2.1"):
        await take.register(GOOD, far)
    with pytest.raises(OAuthRefused, match="wait to be decided"):
        await take.register(GOOD, "192.0.2.2")
    house.clock.advance(3601)
    waiting = apps.find(house.database.read, status="pending")
    house.database.write_now(lambda tx: [registrar.decide(tx, one.id, REFUSED, "user:ada") for one in waiting])
    assert (await take.register(GOOD, "2001:db8::1"))[0].status == "pending"


async def test_an_end_takes_everything_along(house: House) -> None:
    made = house.symmetric()
    wanted = grants.Wanted(made.id, ("patient/*.rs",), "https://suture.example/fhir", user="u1", patient="p1")

    def unit(tx: Any) -> str:
        grant = grants.create(tx, wanted, 3600)
        grants.issue(tx, grant.id, grants.ACCESS, "token", 3600, wanted.scopes)
        return grant.id

    house.database.write_now(unit)
    now = house.clock.micros()
    assert grants.live_token(house.database.read, "token", grants.ACCESS, now) is not None
    house.database.write_now(lambda tx: registrar.decide(tx, made.id, ENDED, "user:ada", note="contract over"))
    assert grants.live_token(house.database.read, "token", grants.ACCESS, now) is None
    assert apps.secrets(house.database.read, made.id) == []
    assert audit.find(house.database.read)[0].row.detail == "contract over; 1 grants ended"


def test_only_scopes_it_asked_for_can_be_approved(house: House) -> None:
    read = registration.read(GOOD, origin="console")
    made = house.database.write_now(lambda tx: registrar.keep(tx, read, "user:ada"))
    for scopes in ([], ["patient/*.cruds"], ["openid", "system/*.rs"]):
        with pytest.raises(Invalid, match="not scopes that it asked for"):
            house.database.write_now(lambda tx, s=scopes: registrar.decide(tx, made.id, APPROVED, "x", scopes=s))
    some = ["patient/*.rs", "openid"]
    house.database.write_now(lambda tx: registrar.decide(tx, made.id, APPROVED, "x", scopes=some))
    kept = apps.get(house.database.read, made.id)
    assert kept is not None
    assert (kept.status, kept.scopes) == ("approved", ("openid", "patient/*.rs"))


@pytest.mark.parametrize(
    ("first", "then"),
    [(APPROVED, APPROVED), (APPROVED, REFUSED), (REFUSED, APPROVED), (REFUSED, ENDED), ("", ENDED)],
)
def test_a_decision_is_taken_once(house: House, first: str, then: str) -> None:
    read = registration.read(GOOD, origin="console")
    made = house.database.write_now(lambda tx: registrar.keep(tx, read, "user:ada"))
    if first:
        house.database.write_now(lambda tx: registrar.decide(tx, made.id, first, "x"))
    with pytest.raises(Conflict, match="this client is"):
        house.database.write_now(lambda tx: registrar.decide(tx, made.id, then, "x"))


DAY = 86_400_000_000
MONDAY = 1_772_409_600_000_000  # 2 March 2026, UTC


@pytest.mark.parametrize(
    ("since", "now", "days"),
    [(0, 0, 0), (0, 1, 1), (0, 4, 4), (0, 5, 4), (0, 7, 5), (4, 7, 1), (5, 7, 1), (0, 14, 10), (0, 0.99, 0)],
)
def test_working_days(since: float, now: float, days: int) -> None:
    assert registrar.business_days(int(MONDAY + since * DAY), int(MONDAY + now * DAY)) == days
