"""SMART apps made with a client library of others (npm fhirclient) in a real browser: standalone, and opened from our pages."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page

from suture.access import people
from suture.access.oauth import registrar, registration
from suture.crypto import new_token
from suture.store import accounts, grants
from suture.store.apps import APPROVED, OAuthClient
from suture.store.connection import Tx
from tests import npm
from tests.access.oauth.proofs import ec, published
from tests.journeys.test_console import CHROMIUM, browser
from tests.server.people import encounter, observation, patient, practitioner
from tests.server.running import Running, serving

PASSWORD = "correct horse battery"
LIBRARY = (
    "fhirclient@2.6.3",
    "build/fhir-client.min.js",
    "eb76a8e9034fab4f07eb4e5ab7e0dfeabe09976fba5e2adfa5c834466d30fdce",
)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM.exists(), reason=f"NO BROWSER: {CHROMIUM} IS ABSENT, NO APP WAS SEEN"),
]
SCRIPT = "<!doctype html><meta charset=utf-8><title>App</title><script src=/fhir-client.js></script><pre id=said></pre>"
LAUNCH = "<script>FHIR.oauth2.authorize(%s).catch(e => document.getElementById('said').textContent = 'refused: ' + e.message)</script>"
BACK = """<script>
const said = text => { document.getElementById('said').textContent = text };
FHIR.oauth2.ready().then(async client => {
  const told = client.state.tokenResponse;
  const found = {patient: client.patient.id, scope: told.scope, encounter: client.encounter.id || '', user: client.user.fhirUser || '',
                 banner: told.need_patient_banner, refresh: !!told.refresh_token, expires: told.expires_in, proof: client.state.codeChallengeMethods};
  found.family = (await client.patient.read()).name[0].family;
  const seen = await client.request('Observation?patient=' + client.patient.id, {flat: true});
  found.observations = seen.map(one => one.id);
  found.other = await client.request('Patient/p2').then(() => 'shown', error => error.status || error.statusCode || 'refused');
  if (client.user.fhirUser) found.doctor = (await client.user.read()).name[0].family;
  if (told.refresh_token) {
    const before = told.access_token;
    const state = await client.refresh();
    found.refreshed = state.tokenResponse.access_token !== before;
    found.again = (await client.request('Patient/' + found.patient)).id;
  }
  said(JSON.stringify(found));
}).catch(e => said('refused: ' + (e.message || e)));
</script>"""


class App:
    """A web server of its own origin with two pages, as an app's maker would have."""

    def __init__(self) -> None:
        self.pages: dict[str, bytes] = {"/fhir-client.js": npm.file(*LIBRARY)}
        self.origin = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = (await reader.readuntil(b"\r\n\r\n")).split(b" ")[1].decode().partition("?")[0]
        body = self.pages.get(asked, b"")
        kind = b"text/javascript" if asked.endswith(".js") else b"text/html; charset=utf-8"
        head = b"HTTP/1.1 200 OK\r\nContent-Type: " + kind + b"\r\nContent-Length: " + str(len(body)).encode()
        writer.write(head + b"\r\nConnection: close\r\n\r\n" + body)
        await writer.drain()
        writer.close()


@asynccontextmanager
async def app() -> AsyncIterator[App]:
    made = App()
    async with await asyncio.start_server(made.serve, "127.0.0.1", 0) as listening:
        made.origin = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        yield made


def registered(server: Running, one: App, proof: str, scope: str) -> tuple[OAuthClient, str]:
    said = {
        "client_name": "Growth chart",
        "token_endpoint_auth_method": proof,
        "redirect_uris": [f"{one.origin}/back"],
        "initiate_login_uri": f"{one.origin}/launch",
        "scope": scope,
        **({"jwks": published(ec())} if proof == "private_key_jwt" else {}),
    }
    read = registration.read(said, origin="command")
    secret = new_token() if proof == "client_secret_basic" else ""

    def unit(tx: Tx) -> OAuthClient:
        made = registrar.keep(tx, read, "system", secret)
        return registrar.decide(tx, made.id, APPROVED, "system")

    return server.app.database.write_now(unit), secret


async def chart(server: Running) -> None:
    """Two patients, and a doctor who signs in and stands in the chart."""
    for resource in (patient("p1"), patient("p2", "Somebody"), practitioner("d1")):
        await server.put(resource)
    for resource in (observation("o1", "p1"), observation("o2", "p2"), encounter("e1", "p1")):
        await server.put(resource)
    database = server.app.database
    ada = people.add_user(database, "ada", "Ada", PASSWORD, ["clinician"])
    database.write_now(lambda tx: accounts.change_user(tx, ada.id, attributes={"fhir_user": "Practitioner/d1"}))


def write(one: App, client: OAuthClient, **more: Any) -> None:
    """The app's two pages."""
    asked = {"clientId": client.id, "redirectUri": f"{one.origin}/back", "scope": " ".join(client.scopes), **more}
    one.pages |= {"/launch": (SCRIPT + LAUNCH % json.dumps(asked)).encode(), "/back": (SCRIPT + BACK).encode()}


async def told(page: Page) -> dict[str, Any]:
    """What the app found out."""
    await page.locator("#said:not(:empty)").wait_for(timeout=20_000)
    text = await page.inner_text("#said")
    assert text.startswith("{"), text
    found: dict[str, Any] = json.loads(text)
    return found


async def sign_in(page: Page) -> None:
    await page.get_by_label("Name").fill("ada")
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Sign in").click()


async def choose(page: Page) -> None:
    await page.get_by_label("Name begins with").fill("Exam")
    await page.get_by_role("button", name="Search").click()
    await page.locator("ul.choices button").first.click()


STANDALONE = (
    "openid fhirUser launch/patient offline_access patient/Patient.rs patient/Observation.rs user/Practitioner.r"
)
FROM_HERE = "openid fhirUser launch online_access patient/Patient.rs patient/Observation.rs patient/Encounter.r user/Practitioner.r"
SEEN = {
    "patient": "p1",
    "user": "Practitioner/d1",
    "expires": 3600,
    "proof": ["S256"],
    "family": "Example",
    "observations": ["o1"],
    "other": 404,
    "doctor": "Doctor",
}
REFRESHED = {"refresh": True, "refreshed": True, "again": "p1"}
PROOFS = {
    "none": lambda secret: {},
    "client_secret_basic": lambda secret: {"clientSecret": secret},
    "private_key_jwt": lambda secret: {"clientPrivateJwk": {**ec().as_dict(private=True), "alg": "ES384", "key_ops": ["sign"]}},
}  # fmt: skip


@pytest.mark.parametrize("proof", ["none", "client_secret_basic"])
async def test_an_app_of_its_own(tmp_path: Path, proof: str) -> None:
    async with serving(tmp_path) as server, app() as one, browser() as started:
        await chart(server)
        client, secret = registered(server, one, proof, STANDALONE)
        write(one, client, iss=f"{server.url}/fhir", **PROOFS[proof](secret))
        page = await (await started.new_context()).new_page()
        await page.goto(f"{one.origin}/launch")
        await sign_in(page)
        await choose(page)
        await page.get_by_role("button", name="Allow").click()
        found = await told(page)
    assert found == {**SEEN, **REFRESHED, "scope": STANDALONE, "encounter": ""}


@pytest.mark.parametrize("proof", PROOFS)
async def test_an_app_opened_from_our_pages(tmp_path: Path, proof: str) -> None:
    refreshes = proof != "private_key_jwt"  # the library proves itself with a key for the first token only
    scope = FROM_HERE if refreshes else FROM_HERE.replace(" online_access", "")
    async with serving(tmp_path) as server, app() as one, browser() as started:
        await chart(server)
        client, secret = registered(server, one, proof, scope)
        write(one, client, **PROOFS[proof](secret))
        page = await (await started.new_context()).new_page()
        await page.goto(f"{server.url}/launch")
        await sign_in(page)
        await choose(page)
        await page.get_by_label("Visit").select_option("e1")
        await page.get_by_role("button", name="Open").click()
        await page.get_by_role("button", name="Allow").click()
        found = await told(page)
        held = grants.of_client(server.app.database.read, client.id, server.app.clock.micros())
        assert [(one.patient, one.refresh) for one in held] == [("p1", "online" if refreshes else "")]
    more = {**REFRESHED, "scope": scope} if refreshes else {"refresh": False, "scope": scope}
    assert found == {**SEEN, **more, "encounter": "e1", "banner": True}


async def test_an_app_that_was_refused_hears_it(tmp_path: Path) -> None:
    async with serving(tmp_path) as server, app() as one, browser() as started:
        await chart(server)
        client, _ = registered(server, one, "none", STANDALONE)
        write(one, client, iss=f"{server.url}/fhir")
        page = await (await started.new_context()).new_page()
        await page.goto(f"{one.origin}/launch")
        await sign_in(page)
        await choose(page)
        await page.get_by_role("button", name="Deny").click()
        await page.locator("#said:not(:empty)").wait_for(timeout=20_000)
        assert (await page.inner_text("#said")).startswith("refused: ")
        assert grants.of_client(server.app.database.read, client.id, server.app.clock.micros()) == []
