"""An app and the browser of a person, as the public test kits drive a SMART server: over HTTP only, discovery first."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit

import httpx
from joserfc import jwt
from joserfc.jwk import RSAKey

from suture.access import people
from suture.crypto import new_token
from suture.store import accounts, apps
from suture.store.apps import APPROVED, ASYMMETRIC, PUBLIC, SYMMETRIC, OAuthClient
from tests.access.oauth import proofs
from tests.server.people import encounter, observation, patient, practitioner
from tests.server.running import Running, serving

PASSWORD = "correct horse battery"
REDIRECT = "https://app.example/after"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
CODES = ("authorization_code", "refresh_token")
CATEGORY = "http://terminology.hl7.org/CodeSystem/condition-category"
EVERY_SCOPE = [
    "openid",
    "fhirUser",
    "profile",
    "launch",
    "launch/patient",
    "launch/encounter",
    "offline_access",
    "online_access",
    "patient/*.cruds",
    "user/*.cruds",
    "system/*.cruds",
]


@dataclass
class Page:
    """A page of ours that a person sees; its forms as a browser would send them."""

    text: str
    address: str
    forms: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        reader = _Forms()
        reader.feed(self.text)
        self.forms = reader.forms

    def at(self, action: str = "", button: tuple[str, str] | None = None) -> int:
        """The number of the form that goes to an address, or has a button."""
        for number, one in enumerate(self.forms):
            if (button is None or button in one["buttons"]) and action in ("", one["action"]):
                return number
        raise AssertionError(f"no form {action} {button}: {self.text}")


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[dict[str, Any]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "form":
            self.forms.append({"action": given.get("action", ""), "fields": [], "ticks": [], "buttons": []})
        elif tag in ("input", "button") and self.forms and given.get("name"):
            pair = (str(given["name"]), given.get("value") or "")
            if tag == "button":
                self.forms[-1]["buttons"].append(pair)
            elif given.get("type") == "checkbox":
                self.forms[-1]["ticks"].append((pair[1], "checked" in given))
            else:
                self.forms[-1]["fields"].append(pair)


@dataclass
class Proof:
    """What an app keeps between asking for a code and exchanging it (RFC 7636)."""

    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(48))
    state: str = field(default_factory=new_token)

    @property
    def challenge(self) -> str:
        return base64.urlsafe_b64encode(hashlib.sha256(self.verifier.encode()).digest()).rstrip(b"=").decode()


class Person:
    """A signed-in browser. It follows redirects inside the server and stops where it would leave."""

    def __init__(self, url: str, http: httpx.AsyncClient) -> None:
        self.url = url
        self.http = http

    async def open(self, address: str, *, form: Mapping[str, str] | None = None) -> Page | str:
        """A page, or the address outside to which the browser was sent."""
        answer = await (self.http.post(address, data=dict(form)) if form else self.http.get(address))
        return await self._follow(answer)

    async def send(self, page: Page, at: int = 0, press: tuple[str, str] | None = None, **fields: Any) -> Page | str:
        """Sends a form of the page; `ticks` are the boxes that are set, all fields else as they stand."""
        one = page.forms[at]
        ticks = fields.pop("ticks", [value for value, checked in one["ticks"] if checked])
        pairs = [(name, fields.pop(name, value)) for name, value in one["fields"]]
        pairs += [("tick", tick) for tick in ticks] + list(fields.items()) + ([press] if press else [])
        content = urlencode(pairs).encode()
        return await self._follow(
            await self.http.post(urljoin(page.address, one["action"]), content=content, headers=FORM)
        )

    async def _follow(self, answer: httpx.Response) -> Page | str:
        for _ in range(10):
            if answer.status_code not in (302, 303):
                return Page(answer.text, str(answer.url))
            target = urljoin(str(answer.url), answer.headers["location"])
            if not target.startswith(self.url + "/"):
                return target
            answer = await self.http.get(target)
        raise AssertionError("too many redirects")


@dataclass
class App:
    """A registered app; `secret` or `keys` as its kind needs."""

    kit: Kit
    client: OAuthClient
    secret: str = ""
    redirect: str = REDIRECT

    @property
    def id(self) -> str:
        return self.client.id

    def request(self, proof: Proof, scope: str, **more: str | None) -> dict[str, str]:
        given = {
            "response_type": "code",
            "client_id": self.id,
            "redirect_uri": self.redirect,
            "scope": scope,
            "state": proof.state,
            "aud": self.kit.fhir,
            "code_challenge": proof.challenge,
            "code_challenge_method": "S256",
            **more,
        }
        return {name: value for name, value in given.items() if value is not None}

    async def ask(
        self, person: Person, proof: Proof, scope: str, *, post: bool = False, **more: str | None
    ) -> Page | str:
        """Sends the browser to the authorization endpoint; what the person sees there."""
        given, address = self.request(proof, scope, **more), self.kit.smart["authorization_endpoint"]
        if post:
            return await person.open(address, form=given)
        return await person.open(f"{address}?{urlencode(given)}")

    async def allowed(
        self, person: Person, proof: Proof, scope: str, *, whose: str = "", ticks: list[str] | None = None, **more: Any
    ) -> str:
        """Asks, chooses the patient, allows; the code."""
        page = await self.ask(person, proof, scope, **more)
        if isinstance(page, Page) and "Whose record?" in page.text:
            page = await person.send(page, identifier=f"mrn-{whose}") if 'name="identifier"' in page.text else page
            assert isinstance(page, Page)
            at = page.at(button=("patient", whose))
            page = await person.send(page, at, ("patient", whose))
        assert isinstance(page, Page), page
        assert "Allow “" in page.text, page.text
        chosen = {} if ticks is None else {"ticks": ticks}
        there = await person.send(page, press=("decision", "allow"), **chosen)
        return self.code_of(there, proof)

    def code_of(self, there: Page | str, proof: Proof) -> str:
        assert isinstance(there, str), there.text
        address, _, query = there.partition("?")
        told = dict(parse_qsl(query))
        assert address == self.redirect, there
        assert told["state"] == proof.state, there
        return told["code"]

    def exchange_form(self, code: str, proof: Proof) -> dict[str, str]:
        return {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.redirect,
            "code_verifier": proof.verifier,
        }

    async def exchange(self, code: str, proof: Proof, **more: str) -> httpx.Response:
        return await self.token({**self.exchange_form(code, proof), **more})

    async def refresh(self, token: str, **more: str) -> httpx.Response:
        return await self.token({"grant_type": "refresh_token", "refresh_token": token, **more})

    async def token(self, form: Mapping[str, str], endpoint: str = "token_endpoint", **headers: str) -> httpx.Response:
        """A form to the token endpoint (or another one), with this app's proof."""
        given, more = dict(form), dict(headers)
        if self.client.kind == PUBLIC:
            given.setdefault("client_id", self.id)
        elif self.client.kind == SYMMETRIC:
            more["Authorization"] = "Basic " + base64.b64encode(f"{self.id}:{self.secret}".encode()).decode()
        else:
            given |= proofs.form(self.assertion())
        return await self.kit.http.post(self.kit.smart[endpoint], data=given, headers=more)

    def assertion(self, **more: Any) -> str:
        now = self.kit.running.app.clock.micros() // 1_000_000
        said = {
            "iss": self.id,
            "sub": self.id,
            "aud": self.kit.smart["token_endpoint"],
            "exp": now + 200,
            "jti": new_token(),
        }
        return proofs.signed({**said, **more})

    async def launched(self, person: Person, whose: str = "p1", **fields: str) -> str:
        """Opens this app from our own pages; the launch word it gets."""
        page = await person.open("/launch")
        assert isinstance(page, Page)
        if "Search" in page.text:
            page = await person.send(page, page.at("/launch"), identifier=f"mrn-{whose}")
            assert isinstance(page, Page)
            at = page.at(button=("patient", whose))
            page = await person.send(page, at, ("patient", whose))
            assert isinstance(page, Page)
        at = page.at("/launch/open")
        there = await person.send(page, at, app=self.id, **fields)
        assert isinstance(there, str), there.text
        address, _, query = there.partition("?")
        told = dict(parse_qsl(query))
        assert address == self.client.launch_url
        assert told["iss"] == self.kit.fhir
        return told["launch"]

    async def opened(self, person: Person, scope: str, whose: str = "p1", **fields: str) -> dict[str, Any]:
        """From our own page to tokens (EHR launch)."""
        launch = await self.launched(person, whose, **fields)
        return await self.whole(person, scope, launch=launch)

    async def whole(self, person: Person, scope: str, **more: Any) -> dict[str, Any]:
        """From asking to tokens."""
        proof = Proof()
        code = await self.allowed(person, proof, scope, **more)
        answer = await self.exchange(code, proof)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())


@dataclass
class Kit:
    """A running server with a small chart, and what an app without credentials sees of it."""

    running: Running
    http: httpx.AsyncClient
    smart: dict[str, Any]
    made: int = 0

    @property
    def url(self) -> str:
        return self.running.url

    @property
    def fhir(self) -> str:
        return self.running.url + "/fhir"

    def app(self, kind: str = PUBLIC, scopes: list[str] | None = None, **more: Any) -> App:
        """A registered and approved app."""
        self.made += 1
        given: dict[str, Any] = {
            "redirect_uris": (REDIRECT,), "grant_types": CODES, "status": APPROVED, "scopes": tuple(scopes or EVERY_SCOPE), **more,
        }  # fmt: skip
        if kind == ASYMMETRIC:
            given.setdefault("jwks", proofs.published(proofs.ec(), proofs.rsa()))
        client = OAuthClient(given.pop("id", f"app-{self.made}"), given.pop("name", f"App {self.made}"), kind, **given)
        made = App(self, proofs.keep(self.running.app.database, client), redirect=given["redirect_uris"][0])
        if kind == SYMMETRIC:
            made.secret = new_token()
            self.running.app.database.write_now(lambda tx: apps.add_secret(tx, made.id, made.secret))
        return made

    def user(self, login: str, role: str, patient: str = "", **attributes: Any) -> accounts.User:
        """Somebody with an account."""
        database = self.running.app.database
        user = people.add_user(database, login, login.title(), PASSWORD, [role])
        if not patient and not attributes:
            return user
        database.write_now(
            lambda tx: tx.execute(
                "UPDATE user SET patient = ?, attributes = ? WHERE uid = ?",
                (patient or None, json.dumps(attributes), user.id),
            )
        )
        found = accounts.user(database.read, user.id)
        assert found is not None
        return found

    @asynccontextmanager
    async def browser(self, login: str = "") -> AsyncIterator[Person]:
        """A browser, signed in when a login is named."""
        headers = {"Sec-Fetch-Site": "same-origin", "Accept": "text/html"}
        async with httpx.AsyncClient(base_url=self.url, headers=headers, timeout=20) as http:
            if login:
                token = await self.running.app.people.sign_in(login, PASSWORD, "")
                http.cookies.set("suture_session", token, domain="127.0.0.1", path="/")
            yield Person(self.url, http)

    async def read(self, path: str, token: str = "", **headers: str) -> httpx.Response:
        given = {"Authorization": f"Bearer {token}"} if token else {}
        return await self.http.get(f"{self.fhir}/{path}", headers={**given, **headers})

    async def found(self, path: str, token: str) -> set[str]:
        """Type/id of everything a search brings; fails unless it is 200."""
        answer = await self.read(path, token)
        assert answer.status_code == 200, (path, answer.text)
        entries = answer.json().get("entry", [])
        return {
            f"{e['resource']['resourceType']}/{e['resource']['id']}" for e in entries if e["search"]["mode"] == "match"
        }

    async def claims(self, id_token: str, client: str) -> dict[str, Any]:
        """The claims of an id_token, verified as an app does: with the published key of its kid."""
        keys = {one["kid"]: one for one in (await self.http.get(self.smart["jwks_uri"])).json()["keys"]}
        header = json.loads(base64.urlsafe_b64decode(id_token.partition(".")[0] + "=="))
        assert header["alg"] == "RS256"
        found = jwt.decode(id_token, RSAKey.import_key(keys[header["kid"]]), algorithms=["RS256"]).claims
        assert found["iss"] == self.smart["issuer"]
        assert found["aud"] == client
        return dict(found)


def condition(id: str, whose: str, category: str, system: str = CATEGORY) -> dict[str, Any]:
    return {
        "resourceType": "Condition",
        "id": id,
        "clinicalStatus": {
            "coding": [{"system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": "active"}]
        },
        "category": [{"coding": [{"system": system, "code": category}]}],
        "code": {"text": "something"},
        "subject": {"reference": f"Patient/{whose}"},
    }


@asynccontextmanager
async def kit(folder: Path, **values: Any) -> AsyncIterator[Kit]:
    """Two patients with visits, conditions and observations; a doctor, a patient and their accounts."""
    async with serving(folder, **values) as running, httpx.AsyncClient(timeout=20) as http:
        for one in (
            patient("p1", "Example"), patient("p2", "Other"), practitioner("d1"),
            encounter("e1", "p1", period={"start": "2024-05-06"}), encounter("e2", "p2"),
            observation("o1", "p1"), observation("o2", "p2"),
            condition("c1", "p1", "problem-list-item"), condition("c2", "p1", "encounter-diagnosis"),
        ):  # fmt: skip
            await running.put(one)
        smart = (await http.get(f"{running.url}/fhir/.well-known/smart-configuration")).json()
        made = Kit(running, http, smart)
        made.user("doctor", "clinician", fhir_user="Practitioner/d1")
        made.user("patty", "patient", patient="p1")
        yield made


def origin(address: str) -> str:
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}"
