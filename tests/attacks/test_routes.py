"""Every address and every FHIR interaction, with no credential, a low one, and each role: nothing is open by oversight."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest

from suture.access import policy
from suture.access.roles import INFRASTRUCTURE, ROLES
from suture.server.route import Route
from suture.server.routes import TABLE
from suture.services.interactions import capabilities
from suture.standards.fhir.definitions import RESOURCE_TYPES
from tests.server.admin.test_glass import signed_in
from tests.server.people import observation, patient
from tests.server.running import Running

SERVER = Path(__file__).parents[2] / "suture" / "server"
# what nobody is asked for: whoever adds a row to this list says why nothing of a patient can stand there
OPEN = (
    r"/fhir/metadata|/fhir/\.well-known/.*|/\.well-known/.*|/health/.*|/sign-in.*|/first-run/.*|/static/.*|/auth/.*|/brands.*|/hooks/.*"
    r"|/gateway.*|/favicon.*|/security\.txt|/invitation.*|/invited.*|/forgot.*|/second.*|/confirm.*|/sso.*"
    r"|/ehi-export"  # the format of exports, which anybody may read: 45 CFR 170.315(b)(10)
)
FHIR_INTERACTIONS = {*capabilities.ON_TYPES, *capabilities.ON_SYSTEM} - {"batch", "transaction"}


def path_of(route: Route) -> str:
    filled = re.sub(r"\{type\}", "Patient", route.pattern)
    return re.sub(r"\{[^}]+\}", "x", filled)


def test_what_is_open_is_listed() -> None:
    assert [r.pattern for r in TABLE if r.access == "anonymous" and not re.fullmatch(OPEN, r.pattern)] == []
    assert [r.pattern for r in TABLE if r.pattern.startswith("/api/") and r.access == "anonymous"] == []


async def test_without_a_credential_every_other_address_asks_for_one(server: Running) -> None:
    async with httpx.AsyncClient(base_url=server.url) as nobody:
        for route in TABLE:
            if route.access == "anonymous":
                continue
            for headers in (
                {},
                {"Authorization": "Bearer sk_guess"},
                {"Cookie": "suture_session=guess"},
                {"Authorization": "Basic eDp5"},
            ):
                answer = await nobody.request(route.method, path_of(route), headers=headers)
                assert answer.status_code == 401, (route.method, route.pattern, headers)


async def test_a_program_without_permissions_opens_no_page(server: Running) -> None:
    """Nothing beyond the FHIR API, whatever its scopes; a wrong body never comes before the refusal."""
    headers = server.key("system/*.cruds") | {"Content-Type": "application/json"}
    async with httpx.AsyncClient(base_url=server.url, headers=headers) as program:
        for route in TABLE:
            if route.access in ("anonymous", "caller"):
                continue
            answer = await program.request(
                route.method, path_of(route), content=b"{" if route.method != "GET" else None
            )
            assert answer.status_code == 403, (route.method, route.pattern, answer.status_code)


@pytest.mark.parametrize("role", list(ROLES))
async def test_a_role_opens_what_its_permissions_say(server: Running, role: str) -> None:
    async with signed_in(server, "someone", role) as person:
        for route in TABLE:
            if route.access in ("anonymous", "caller") or route.method != "GET":
                continue
            status = (await person.request(route.method, path_of(route))).status_code
            if route.access not in ROLES[role].permissions:
                assert status == 403, (route.pattern, status)
            elif not route.pattern.startswith("/own/"):  # where nobody's record is meant there is nothing to show
                assert status != 403, route.pattern


async def test_who_runs_the_machine_sees_no_patient(server: Running) -> None:
    await server.put(patient("p1"))
    await server.put(observation("o1", "p1"))
    async with signed_in(server, "ida", INFRASTRUCTURE) as ida:
        assert (await ida.get("/metrics")).status_code == 200
        for path in (
            "/fhir/Patient/p1",
            "/fhir/Patient",
            "/fhir/_history",
            "/fhir",
            "/api/messages",
            "/api/break-glass",
            "/",
        ):
            answer = await ida.get(path)
            assert answer.status_code == 403, path
            assert "mrn-p1" not in answer.text
        batch = {
            "resourceType": "Bundle",
            "type": "batch",
            "entry": [{"request": {"method": "GET", "url": "Patient/p1"}}],
        }
        answer = await ida.post("/fhir", json=batch)
        assert answer.json()["entry"][0]["response"]["status"] == "403"


async def test_a_client_for_one_type_is_refused_on_every_other(server: Running) -> None:
    """By name and with a reason that a program can read (45 CFR 171)."""
    headers = server.key("user/Slot.r")
    async with httpx.AsyncClient(base_url=server.url, headers=headers) as low:
        for type in sorted(RESOURCE_TYPES - {"AuditEvent"}):
            for method, path in (("GET", f"/fhir/{type}"), ("GET", f"/fhir/{type}/x"), ("DELETE", f"/fhir/{type}/x")):
                if (type, method, path) == ("Slot", "GET", "/fhir/Slot/x"):
                    continue
                answer = await low.request(method, path)
                assert answer.status_code == 403, (method, path)
                issue = answer.json()["issue"][0]
                codes = {coding["code"] for coding in issue["details"]["coding"]}
                assert (issue["code"], codes) == ("forbidden", {"forbidden", "171.202"})


def test_an_interaction_without_a_rule_reaches_nothing() -> None:
    assert policy.LETTERS.keys() >= FHIR_INTERACTIONS
    for operation in ("$everything", "$export", "operation", "graphql", "merge", ""):
        assert {policy.reach(policy.SYSTEM, operation, type) for type in RESOURCE_TYPES} == {policy.Reach.NOTHING}


def test_every_caller_of_a_request_gets_its_standing() -> None:
    """Clearance, bounds and glass come to a caller in one place; a second way in would leave them out."""
    given = re.compile(r"request\.caller = (.+)")
    found = {(f.name, m[1]) for f in SERVER.rglob("*.py") for m in given.finditer(f.read_text("utf-8"))}
    assert {text for _, text in found if not text.startswith("stood(request, ")} <= {
        "await request.site.people.session(session)"
    }
