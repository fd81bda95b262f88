"""From a person's yes to the first token: standalone and EHR launch, every kind of client, launch context, OpenID Connect."""

from __future__ import annotations

from datetime import datetime
from urllib.parse import parse_qsl, urlsplit

import pytest

from suture.store import grants, proxies
from suture.store.apps import ASYMMETRIC, PUBLIC, SYMMETRIC
from tests.conformance.checks import check
from tests.conformance.smart import Kit, Page, Proof

pytestmark = pytest.mark.asyncio(loop_scope="module")
STANDALONE = "openid fhirUser launch/patient patient/*.rs offline_access"
LAUNCH = "https://app.example/launch"


@check("Standalone launch", "a public app", "an app with a secret", "an app with a key (RS384 or ES384)")
@pytest.mark.parametrize("kind", [PUBLIC, SYMMETRIC, ASYMMETRIC])
@pytest.mark.parametrize("post", [False, True])
async def test_standalone(smart: Kit, kind: str, post: bool) -> None:
    app = smart.app(kind)
    async with smart.browser("patty") as patty:
        told = await app.whole(patty, STANDALONE, post=post)
    assert told["patient"] == "p1"
    assert (await smart.read("Patient/p1", told["access_token"])).status_code == 200


@check(
    "Authorize",
    "GET and POST (authorize-post) lead to the redirect_uri with a code and exactly the state",
)
@pytest.mark.parametrize("post", [False, True])
@pytest.mark.parametrize(
    "state", ["plain", "a b&c=d%20é\r\nSet-Cookie: x=1", '"><script>1</script>', "x" * 2000, "😀+/?#"]
)
async def test_state_comes_back_exactly(smart: Kit, post: bool, state: str) -> None:
    app, proof = smart.app(), Proof(state=state)
    async with smart.browser("patty") as patty:
        code = await app.allowed(patty, proof, "launch/patient patient/Patient.rs", post=post)
    assert len(code) > 40


@check(
    "Token",
    "200 with access_token, token_type Bearer, expires_in (a number, at most 3600), scope",
    "Cache-Control: no-store and Pragma: no-cache",
    "scope, patient, id_token and refresh_token have their types",
)
async def test_the_token_answer(smart: Kit) -> None:
    app, proof = smart.app(SYMMETRIC), Proof()
    async with smart.browser("doctor") as doctor:
        code = await app.allowed(doctor, proof, STANDALONE, whose="p1")
    answer = await app.exchange(code, proof)
    told = answer.json()
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert (answer.headers["cache-control"], answer.headers["pragma"]) == ("no-store", "no-cache")
    assert (told["token_type"], told["scope"], told["patient"]) == ("Bearer", STANDALONE, "p1")
    assert isinstance(told["expires_in"], int)
    assert 0 < told["expires_in"] <= 3600
    assert all(isinstance(told[name], str) for name in ("access_token", "refresh_token", "id_token"))


@check("Token", "without a token a read is 401 with WWW-Authenticate; with a wrong one error=invalid_token")
async def test_no_token(smart: Kit) -> None:
    none, wrong = await smart.read("Patient/p1"), await smart.read("Patient/p1", "at_wrong")
    assert (none.status_code, none.headers["www-authenticate"]) == (401, 'Bearer realm="suture"')
    assert (wrong.status_code, wrong.headers["www-authenticate"]) == (
        401,
        'Bearer realm="suture", error="invalid_token"',
    )


@check(
    "EHR launch",
    "the app's launch address gets iss and launch",
    "launch gives patient, encounter, need_patient_banner, intent, smart_style_url and fhirContext (objects, STU 2.2)",
    "encounter context",
)
async def test_ehr_launch_with_all_that_is_open(smart: Kit) -> None:
    app = smart.app(ASYMMETRIC, launch_url=LAUNCH)
    fields = {"encounter": "e1", "intent": "reconcile", "also": "Observation/o1, Practitioner/d1", "banner": "no"}
    async with smart.browser("doctor") as doctor:
        told = await app.opened(doctor, "launch openid fhirUser user/*.rs patient/*.rs", **fields)
    assert (told["patient"], told["encounter"], told["intent"]) == ("p1", "e1", "reconcile")
    assert told["need_patient_banner"] is False
    assert told["fhirContext"] == [{"reference": "Observation/o1"}, {"reference": "Practitioner/d1"}]
    assert told["smart_style_url"].startswith(smart.url)
    assert (await smart.read("Encounter/e1", told["access_token"])).status_code == 200


@check("EHR launch", "from a patient's own page (portal)", "a user-level app without a patient")
async def test_ehr_launch_of_others(smart: Kit) -> None:
    app = smart.app(launch_url=LAUNCH)
    async with smart.browser("patty") as patty:
        told = await app.opened(patty, "launch launch/patient patient/*.rs")
    assert (told["patient"], told["need_patient_banner"]) == ("p1", True)
    async with smart.browser("doctor") as doctor:
        page = await doctor.open("/launch")
        assert isinstance(page, Page)
        page = await doctor.send(page, -1, ("patient", ""))
        assert isinstance(page, Page)
        at = page.at("/launch/open")
        there = await doctor.send(page, at, app=app.id)
        assert isinstance(there, str)
        launch = dict(parse_qsl(urlsplit(there).query))["launch"]
        told = await app.whole(doctor, "launch user/*.rs", launch=launch)
    assert "patient" not in told
    assert await smart.found("Patient", told["access_token"]) == {"Patient/p1", "Patient/p2"}


@check("EHR launch", "a launch counts once, for its app and for who opened it, for a short while")
async def test_a_launch_is_good_once(smart: Kit) -> None:
    app, other = smart.app(launch_url=LAUNCH), smart.app(launch_url=LAUNCH)
    scope = "launch patient/*.rs"
    async with smart.browser("doctor") as doctor, smart.browser("patty") as patty:
        launch = await app.launched(doctor)
        for stranger in (
            await other.ask(doctor, Proof(), scope, launch=launch),
            await app.ask(patty, Proof(), scope, launch=launch),
        ):
            assert isinstance(stranger, str)
            assert "error=" in stranger
            assert "code=" not in stranger
        await app.whole(doctor, scope, launch=launch)
        again = await app.ask(doctor, Proof(), scope, launch=launch)
        assert isinstance(again, str)
        assert "error=invalid_request" in again
        made_up = await app.ask(doctor, Proof(), scope, launch="made-up")
        assert isinstance(made_up, str)
        assert "error=invalid_request" in made_up


@check("EHR launch", "two pages of one launch, allowed one after the other, give one code")
async def test_one_launch_one_code(smart: Kit) -> None:
    app = smart.app(launch_url=LAUNCH)
    async with smart.browser("doctor") as doctor:
        launch = await app.launched(doctor)
        pages = [await app.ask(doctor, Proof(), "launch patient/*.rs", launch=launch) for _ in range(2)]
        assert all(isinstance(page, Page) for page in pages)
        first, second = [
            await doctor.send(page, press=("decision", "allow")) for page in pages if isinstance(page, Page)
        ]
    assert "code=" in str(first)
    assert "error=" in str(second)


@check("Standalone launch", "launch/encounter asks for the visit", "no visit is an answer, too")
async def test_standalone_encounter(smart: Kit) -> None:
    app = smart.app()
    for pressed, wanted in (("e1", "e1"), ("", None)):
        async with smart.browser("patty") as patty:
            proof = Proof()
            page = await app.ask(patty, proof, "launch/patient launch/encounter patient/*.rs")
            assert isinstance(page, Page)
            assert "Which visit?" in page.text
            at = page.at(button=("visit", pressed))
            page = await patty.send(page, at, ("visit", pressed))
            assert isinstance(page, Page)
            code = app.code_of(await patty.send(page, press=("decision", "allow")), proof)
        told = (await app.exchange(code, proof)).json()
        assert told.get("encounter") == wanted


@check("Standalone launch", "patient/ scopes alone establish a patient; staff choose one they may see")
async def test_patient_scopes_infer_the_patient(smart: Kit) -> None:
    app = smart.app()
    async with smart.browser("doctor") as doctor:
        told = await app.whole(doctor, "patient/Observation.rs", whose="p2")
        assert told["patient"] == "p2"
        assert await smart.found("Observation", told["access_token"]) == {"Observation/o2"}
        page = await app.ask(doctor, Proof(), "patient/Observation.rs")
        assert isinstance(page, Page)
        unknown = await doctor.http.post("/auth/choose", data={**dict(page.forms[0]["fields"]), "patient": "nobody"})
    assert unknown.status_code == 403


@check(
    "OpenID Connect",
    "id_token: RS256 by a published key, iss, aud, sub shorter than 256, exp, iat, nonce, auth_time",
    "fhirUser is a URL and readable with the token: Practitioner and Patient",
)
@pytest.mark.parametrize(
    ("login", "whose", "reference"), [("doctor", "p1", "Practitioner/d1"), ("patty", "", "Patient/p1")]
)
async def test_who_it_is(smart: Kit, login: str, whose: str, reference: str) -> None:
    app = smart.app(SYMMETRIC)
    async with smart.browser(login) as person:
        told = await app.whole(person, "openid fhirUser profile patient/Observation.rs", whose=whose, nonce="n-1")
    claims = await smart.claims(told["id_token"], app.id)
    assert claims["fhirUser"] == f"{smart.fhir}/{reference}"
    assert claims["nonce"] == "n-1"
    assert 0 < len(claims["sub"]) < 256
    assert claims["exp"] > claims["iat"] >= claims["auth_time"] > datetime(2020, 1, 1).timestamp()
    assert claims["name"] == login.title()
    answer = await smart.read(claims["fhirUser"].removeprefix(smart.fhir + "/"), told["access_token"])
    assert answer.status_code == 200
    other = await smart.read("Patient/p2", told["access_token"])
    assert other.status_code in (403, 404)


@check("OpenID Connect", "who is no resource of the chart gets no fhirUser; without openid there is no id_token")
async def test_no_identity(smart: Kit) -> None:
    smart.user("noname", "clinician")
    app = smart.app()
    async with smart.browser("noname") as person:
        told = await app.whole(person, "openid fhirUser user/Patient.rs")
        assert told["scope"] == "openid user/Patient.rs"
        assert "fhirUser" not in await smart.claims(told["id_token"], app.id)
        assert "id_token" not in await app.whole(person, "user/Patient.rs")


@check("OpenID Connect", "prompt=none never shows a page", "prompt=login and max_age ask for a new sign-in")
async def test_prompts(smart: Kit) -> None:
    app = smart.app()
    async with smart.browser("patty") as patty:
        there = await app.ask(patty, Proof(), STANDALONE, prompt="none")
        assert "error=interaction_required" in str(there)
        for more in ({"prompt": "login"}, {"max_age": "0"}):
            proof = Proof()
            page = await app.ask(patty, proof, STANDALONE, **more)
            assert isinstance(page, Page)
            assert page.address.startswith(f"{smart.url}/sign-in?to=")
            page = await patty.send(page, login="patty", password="correct horse battery")
            assert isinstance(page, Page)
            assert "Allow “" in page.text


@check("Authorize", "a person who is not signed in signs in on the way, and comes back to the request")
async def test_sign_in_on_the_way(smart: Kit) -> None:
    app, proof = smart.app(), Proof()
    async with smart.browser() as person:
        page = await app.ask(person, proof, STANDALONE)
        assert isinstance(page, Page)
        assert 'name="password"' in page.text
        page = await person.send(page, login="patty", password="wrong password here")
        assert isinstance(page, Page)
        assert "wrong" in page.text
        page = await person.send(page, login="patty", password="correct horse battery")
        assert isinstance(page, Page)
        code = app.code_of(await person.send(page, press=("decision", "allow")), proof)
    assert (await app.exchange(code, proof)).status_code == 200


@check("Standalone launch", "a proxy chooses whose record, among those open to the proxy only")
async def test_a_proxy_chooses(smart: Kit) -> None:

    user = smart.user("parent", "proxy")
    database = smart.running.app.database
    for whose in ("p1", "p2"):
        database.write_now(lambda tx, whose=whose: proxies.grant(tx, user.id, whose, "parent", "admin", 0))
    app = smart.app()
    async with smart.browser("parent") as parent:
        told = await app.whole(parent, "patient/*.rs offline_access", whose="p2")
        assert told["patient"] == "p2"
        assert (await smart.read("Patient/p2", told["access_token"])).status_code == 200
        assert (await smart.read("Patient/p1", told["access_token"])).status_code == 404
    found = grants.of_user(database.read, user.id, database.clock.micros())
    assert [(grant.client, grant.patient) for grant in found] == [(app.id, "p2")]
    standing = proxies.of_user(database.read, user.id, database.clock.micros())
    for one in standing:
        database.write_now(lambda tx, one=one: proxies.end(tx, one.id))
    assert (await smart.read("Patient/p2", told["access_token"])).status_code == 401
    assert (await app.refresh(told["refresh_token"])).json()["error"] == "invalid_grant"
