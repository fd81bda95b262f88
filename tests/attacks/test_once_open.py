"""Ways in that an attack on a running server found, each tried again as it was found."""

from __future__ import annotations

import io
import re
import ssl
import time
import zipfile
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives import hashes

from suture.access import glass, passwords, sso, staff
from suture.access.oauth import registrar, registration
from suture.access.places import network
from suture.access.refusals import TooManyAttempts
from suture.access.second_factor import reset
from suture.errors import Unauthenticated
from suture.server.routes import TABLE
from suture.services.gateway.header_rules import Rules, onward
from suture.store import accounts, apps, audit, grants, proxies
from suture.store.connection import Tx
from suture.store.grants import Wanted
from tests import certificates
from tests.access.house import HERE, PASSWORD, House
from tests.attacks.world import LABEL, consent, put
from tests.connectors.site import Say, Site
from tests.server.gate import gate
from tests.server.people import observation, patient
from tests.server.running import Running
from tests.server.test_sso import add as link
from tests.server.test_sso import browser, houses, walk

PAGE = {"Sec-Fetch-Site": "same-origin", "Accept": "text/html"}
CROSS = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path, login__second_factor="optional")
    yield made
    made.database.close()


def add(server: Running, login: str, *roles: str, patient: str = "") -> accounts.User:
    hashed = passwords.hashed(PASSWORD)
    return server.app.database.write_now(
        lambda tx: staff.create(tx, login, login.title(), hashed, roles, patient=patient)
    )


@asynccontextmanager
async def signed_in(server: Running, login: str) -> AsyncIterator[httpx.AsyncClient]:
    token = await server.app.people.sign_in(login, PASSWORD, "192.0.2.5")
    async with httpx.AsyncClient(base_url=server.url, headers=PAGE, cookies={"suture_session": token}) as http:
        yield http


def app(server: Running) -> str:
    """A public app that is approved; its id."""
    said = {
        "client_name": "Growth", "token_endpoint_auth_method": "none", "redirect_uris": ["https://app.example/back"],
        "scope": "launch/patient patient/*.rs offline_access",
    }  # fmt: skip
    read = registration.read(said, origin="console")

    def unit(tx: Tx) -> str:
        id = registrar.keep(tx, read, "user:1").id
        registrar.decide(tx, id, apps.APPROVED, "user:1")
        return id

    return server.app.database.write_now(unit)


def token(server: Running, client: str, user: accounts.User, patient: str) -> dict[str, str]:
    """What the app gets of this person, about this patient."""
    authority = server.app.authority
    words = ("launch/patient", "patient/*.rs")

    def unit(tx: Tx) -> str:
        grant = grants.create(tx, Wanted(client, words, authority.issuer, user.id, patient), 600)
        return authority.tokens.issue(tx, grant, words, refresh=False).access_token

    return {"Authorization": f"Bearer {server.app.database.write_now(unit)}"}


async def ids(server: Running, headers: dict[str, str]) -> set[str]:
    answer = await server.http.get("/fhir/Observation", headers=headers)
    assert answer.status_code == 200, answer.text
    return {one["resource"]["id"] for one in answer.json().get("entry", [])}


# --- consents, labels, glass


@pytest.mark.parametrize(("role", "seen"), [("clinician", set()), ("reader", set()), ("patient", {"o1"})])
async def test_an_app_of_staff_is_not_the_patient_whoever_staff_is(server: Running, role: str, seen: set[str]) -> None:
    """A general deny spares the patient; staff without a Practitioner of their own came as the patient by a launch."""
    no = consent() | {"id": "c1", "patient": {"reference": "Patient/p1"}, "provision": {"type": "deny"}}
    await put(server, [patient("p1"), observation("o1", "p1"), no])
    user = add(server, "someone", role, patient="p1" if role == "patient" else "")
    assert await ids(server, token(server, app(server), user, "p1")) == seen


async def test_who_stands_in_downloads_no_more_than_the_pages_show(server: Running) -> None:
    hidden = observation("o2", "p1", value="Unspoken") | {"meta": {"security": [LABEL]}}
    await put(server, [patient("p1"), observation("o1", "p1", value="Spoken"), hidden])
    father, own = add(server, "father", "proxy"), add(server, "own", "patient", patient="p1")
    server.app.database.write_now(lambda tx: proxies.grant(tx, father.id, "p1", "father", f"user:{own.id}", 0))
    told: dict[str, bytes] = {}
    for login in ("father", "own"):
        async with signed_in(server, login) as http:
            answer = await http.post("/own/record.zip")
            assert (answer.status_code, answer.headers["content-type"]) == (200, "application/zip")
        with zipfile.ZipFile(io.BytesIO(answer.content)) as zip:
            assert zip.testzip() is None
            told[login] = b"".join(zip.read(name) for name in zip.namelist()) + " ".join(zip.namelist()).encode()
    assert b"Spoken" in told["father"]
    assert [word for word in (b"Unspoken", b"o2") if word in told["father"]] == []
    assert b"Unspoken" in told["own"]


async def test_broken_glass_closes_with_the_role(server: Running) -> None:
    await put(server, [patient("p1"), observation("o1", "p1") | {"meta": {"security": [LABEL]}}])
    user = add(server, "someone", "clinician")
    async with signed_in(server, "someone") as http:
        opened = await http.post("/api/break-glass", json={"patient": "p1", "reason": "unconscious in the hall"})
        assert opened.status_code == 201
        assert (await http.get("/fhir/Observation/o1", headers={"Accept": "application/fhir+json"})).status_code == 200
    server.app.database.write_now(lambda tx: staff.change_roles(tx, user, ["reader"]))
    async with signed_in(server, "someone") as http:
        assert (await http.get("/fhir/Observation/o1", headers={"Accept": "application/fhir+json"})).status_code == 404
    assert glass.active(server.app.database.read, f"user:{user.id}", server.app.clock.micros()) == {"p1"}


# --- what strangers can make grow, and what leaves its row


def rows(server: Running) -> Counter[tuple[str, str, int]]:
    found = [entry.row for entry in audit.find(server.app.database.read, count=100_000)]
    return Counter((row.what, row.detail, row.outcome) for row in found if row.who == "anonymous")


async def test_who_knows_the_id_of_a_public_app_fills_no_trail(server: Running) -> None:
    client, before = app(server), audit.head(server.app.database.read).n
    forms: tuple[tuple[str, dict[str, str], int], ...] = (
        ("token", {"grant_type": "authorization_code", "code": "x", "redirect_uri": "y", "code_verifier": "z"}, 400),
        ("token", {"grant_type": "refresh_token", "refresh_token": "x"}, 400),
        ("revoke", {"token": "x"}, 200),
    )
    async with httpx.AsyncClient(base_url=server.url) as nobody:
        for address, given, status in forms:
            for _ in range(20):
                answer = await nobody.post(f"/auth/{address}", data={**given, "client_id": client})
                assert answer.status_code == status
    assert 3 <= audit.head(server.app.database.read).n - before <= 9  # a minute may end on the way
    assert {what for what, _, _ in rows(server)} >= {"token", "refresh", "revoke"}


async def test_a_refusal_at_an_open_address_has_its_row(server: Running) -> None:
    async with httpx.AsyncClient(base_url=server.url) as nobody:
        for method, path, headers, status in (
            ("GET", "/invitation/guess", {}, 401),
            ("POST", "/sign-in", CROSS, 403),
            ("POST", "/sign-in/second", CROSS, 403),
            ("POST", "/sign-in/second", {"Sec-Fetch-Site": "same-origin"}, 401),
            ("POST", "/invitation/guess/join", CROSS, 403),
        ):
            before = rows(server).total()
            answer = await nobody.request(method, path, headers=headers)
            assert answer.status_code == status, path
            await server.app.people.denials.close()
            assert rows(server).total() > before, path


# asked by programs or by any site, and deaf to cookies
NO_COOKIE = (
    "/hooks/",
    "/auth/token",
    "/auth/introspect",
    "/auth/revoke",
    "/auth/register",
    "/auth/authorize",
    "/gateway",
)


async def test_no_other_site_changes_anything_with_a_cookie(server: Running) -> None:
    """Every address, those without access of their own included: new ones are tried as soon as they stand in the table."""
    add(server, "root", "administrator")
    tried = 0
    async with signed_in(server, "root") as http:
        http.cookies.set("suture_step", "x")
        for route in TABLE:
            if route.method in ("GET", "OPTIONS") or route.pattern.startswith(NO_COOKIE):
                continue
            path = re.sub(r"\{[^}]+\}", "Patient", route.pattern)
            for headers in (
                CROSS,
                {"Sec-Fetch-Site": "same-site"},
                {"Sec-Fetch-Site": "none"},
                {"Sec-Fetch-Site": "", "Origin": "null"},
            ):
                answer = await http.request(route.method, path, headers={"Accept": "*/*", **headers})
                assert (answer.status_code, "another site" in answer.text) == (403, True), (route.pattern, headers)
                tried += 1
        assert (await http.get("/account")).status_code == 200
    assert tried > 300


def test_invented_names_stay_few_and_those_that_wait_go_last(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accounts, "MOST_FAILURES", 50)

    def unit(tx: Tx) -> None:
        for _ in range(6):
            accounts.login_failed(tx, "login:ada", 5)
        for n in range(200):
            accounts.login_failed(tx, f"login:invented{n}", 5)

    house.database.write_now(unit)
    assert (house.database.read.one("SELECT count(*) FROM failure") or (0,))[0] <= 51
    assert accounts.blocked_until(house.database.read, "login:ada") > house.clock.micros()


async def test_a_guesser_with_many_addresses_of_one_network_waits(house: House) -> None:
    house.add("ada", ["reader"])
    for n in range(20):
        with pytest.raises(Unauthenticated):
            await house.people.sign_in(f"name{n}", "wrong", f"2001:db8:0:1::{n:x}")
    with pytest.raises(TooManyAttempts):
        await house.people.sign_in("ada", PASSWORD, "2001:db8:0:1::ffff")
    await house.people.sign_in("ada", PASSWORD, "2001:db8:0:2::1")
    keys = {row[0] for row in house.database.read.all("SELECT key FROM failure WHERE key LIKE 'address:%'")}
    assert keys == {"address:2001:db8:0:1::/64"}


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8::1", "2001:db8::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("", "unknown"),
        ("x", "unknown"),
    ],
)
def test_a_place_is_what_one_person_has(address: str, place: str) -> None:
    assert network(address) == place


# --- links and steps that outlive what they stood on


async def test_a_step_begun_with_the_old_password_ends_with_it(house: House) -> None:
    """The thief of a password waited at the second proof until the victim's factor was reset, and set up a new one."""
    user = house.add("ada", ["reader"])
    await house.app(user)
    stolen = (await house.step("ada")).step
    offer = await house.people.second.offer(user)
    house.database.write_now(lambda tx: reset(tx, user, "user:1"))
    with pytest.raises(Unauthenticated, match="took too long"):
        house.people.sessions.step(stolen)
    with pytest.raises(Unauthenticated, match="took too long"):
        house.people.second.offered(user, offer.token)


async def test_one_link_for_a_new_password_ends_the_others(house: House) -> None:
    user = house.add("ada", ["reader"])
    invitations = house.people.invitations
    first, second, third = [
        house.database.write_now(lambda tx: invitations.reset(tx, user, "user:1")) for _ in range(3)
    ]
    await invitations.accept(second.token, "", "another good password", "", HERE)
    with pytest.raises(Unauthenticated, match="used or is too old"):
        await invitations.accept(first.token, "", PASSWORD, "", HERE)
    token = await house.people.sign_in("ada", "another good password", "")
    third = house.database.write_now(lambda tx: invitations.reset(tx, user, "user:1"))
    await house.people.change_password(token, "another good password", "yet another password", "")
    with pytest.raises(Unauthenticated, match="used or is too old"):
        invitations.look(third.token)


@pytest.mark.parametrize("how", ["deactivated", "other roles"])
async def test_who_was_sent_away_does_not_come_back_by_an_own_invitation(house: House, how: str) -> None:
    house.add("root", ["administrator"])
    gone, invitations = house.add("ada", ["administrator"]), house.people.invitations
    made = house.database.write_now(
        lambda tx: invitations.staff(tx, "back", "Back", ["administrator"], f"user:{gone.id}")
    )
    other = house.database.write_now(lambda tx: invitations.staff(tx, "bob", "Bob", ["viewer"], "user:1"))

    def unit(tx: Tx) -> Any:
        if how == "deactivated":
            return staff.set_active(tx, gone, False, "user:1")
        return staff.change_roles(tx, gone, ["viewer"], "user:1")

    house.database.write_now(unit)
    with pytest.raises(Unauthenticated, match="used or is too old"):
        await invitations.accept(made.token, "", PASSWORD, "", HERE)
    assert invitations.look(other.token).login == "bob"
    assert [row.detail for row in house.trail("end-invitation")] == ["1 made by who may no longer"]


# --- signing in with another house's name


@pytest.mark.parametrize(("age", "fresh"), [(0, True), (7200, False), (None, False)])
async def test_an_old_sign_in_elsewhere_is_no_fresh_proof(tmp_path: Path, age: int | None, fresh: bool) -> None:
    """Whoever finds a browser signed in at the provider comes in, but changes nobody's privileges."""
    strict = {"login__second_factor": "privileged", "sso__second_factor": "mfa"}
    async with houses(tmp_path, **strict) as (server, provider), browser(server) as http:
        link(server, provider, role="administrator")
        provider.claims = {"sub": "subject-1", "amr": ["mfa"], "auth_time": int(time.time()) - (age or 0)}
        provider.bend = lambda p, c: p.signed({k: v for k, v in c.items() if age is not None or k != "auth_time"})
        assert (await walk(http, provider)).headers["location"] == "/"
        assert (await http.get("/api/people", headers={"Accept": "*/*"})).status_code == 200
        answer = await http.post("/api/people/take-back", json={"invitation": "x"}, headers={"Accept": "*/*"})
        assert answer.status_code == (409 if fresh else 403), answer.text
        assert fresh or "fresh proof" in answer.text


async def test_who_only_begins_to_sign_in_elsewhere_fills_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sso, "MOST_OF_ONE", 5)
    async with houses(tmp_path) as (server, provider), browser(server) as http:
        link(server, provider)
        for _ in range(20):
            await http.get("/sso/start")
        assert server.app.database.read.one("SELECT count(*) FROM link WHERE purpose = 'sso-state'") == (5,)
        assert (await walk(http, provider)).headers["location"] == "/"


# --- addresses and certificates


async def test_two_slashes_are_no_way_around_what_stands_before_an_address(server: Running) -> None:
    await put(server, [patient("p1")])
    for path, status in (
        ("/fhir/Patient/p1", 200),
        ("/fhir/Patient/p1/", 200),
        ("//fhir/Patient/p1", 404),
        ("///api/people", 404),
    ):
        host, _, port = server.url.partition("://")[2].partition(":")
        url = httpx.URL(scheme="http", host=host, port=int(port), raw_path=path.encode())
        assert (await server.http.get(url)).status_code == status, path


@pytest.mark.parametrize(
    "name",
    [b"X_Who", b"X_Forwarded_For", b"x_forwarded-host", b"X_Real_IP", b"X_Plan", b"Transfer_Encoding", b"x_suture_x"],
)
def test_nobody_speaks_for_another_by_an_underscore(name: bytes) -> None:
    """Behind CGI or WSGI both spellings are one variable."""
    rules = Rules(remove=frozenset([b"x-plan"]))
    sent = onward([(name, b"root"), (b"x_own", b"1")], rules, [(b"x-who", b"caller")])
    assert sent == [(b"x_own", b"1"), (b"x-who", b"caller")]


async def test_a_browser_s_certificate_opens_no_route(tmp_path: Path) -> None:
    """Browsers show certificates for whatever any page makes them ask for."""
    authority = certificates.issue("authority")
    known = certificates.issue("known", authority)
    own, key = certificates.issue("localhost", authority).write(tmp_path, "own")
    ca, _ = authority.write(tmp_path, "ca")
    mark = known.certificate.fingerprint(hashes.SHA256()).hex(":")
    route = f"to: lab\nkeys: false\nmethods: [GET, POST]\ncertificates: [{{name: first, fingerprint: '{mark}'}}]"
    values = {"http__tls_certificate": str(own), "http__tls_key": str(key), "http__tls_client_ca": str(ca)}
    async with (
        Site(lambda got: Say(200, {})) as site,
        gate(tmp_path, {"orders": route}, {"lab": site.url}, **values) as at,
    ):
        trust = ssl.create_default_context(cafile=str(ca))
        trust.load_cert_chain(*known.write(tmp_path, "known"))
        async with httpx.AsyncClient(base_url=at.server.url, verify=trust) as http:
            assert (await http.post("/gateway/orders/x")).status_code == 200
            for headers in (CROSS, {"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "none"}):
                assert (await http.post("/gateway/orders/x", headers=headers)).status_code == 401
    assert len(site.got) == 1
