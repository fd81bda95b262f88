"""What is granted: what was asked, registered and open to the person; what the person ticks; and what it then opens."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.conformance.checks import check
from tests.conformance.smart import CATEGORY, Kit, Page, Person, Proof

pytestmark = pytest.mark.asyncio(loop_scope="module")
LABS = "http://terminology.hl7.org/CodeSystem/observation-category"


def ticks(page: Page, wanted: Callable[[str], bool]) -> list[str]:
    """The boxes whose label holds what is wanted."""
    lines = page.text.split('<input type="checkbox"')[1:]
    found = [(line.split('value="')[1].split('"')[0], line.split("<span>")[1].split("<")[0].strip()) for line in lines]
    return [value for value, label in found if wanted(label)]


async def chosen(smart: Kit, person: Person, scope: str, wanted: Callable[[str], bool], **more: str) -> dict[str, str]:
    app, proof = smart.app(), Proof()
    page = await app.ask(person, proof, scope, **more)
    assert isinstance(page, Page)
    there = await person.send(page, ticks=ticks(page, wanted), press=("decision", "allow"))
    return dict((await app.exchange(app.code_of(there, proof), proof)).json())


@check("Limited app", "only the resource types the person ticked are granted", "a search of the others is 401 or 403")
async def test_types_are_dropped(smart: Kit) -> None:
    scope = "launch/patient offline_access patient/Patient.rs patient/Condition.rs patient/Observation.rs patient/Encounter.rs"
    async with smart.browser("patty") as patty:
        told = await chosen(smart, patty, scope, lambda label: label.startswith(("Name,", "Visits")))
    assert (
        told["scope"] == "launch/patient patient/Patient.rs patient/Encounter.rs"
    )  # offline access was not ticked either
    assert "refresh_token" not in told
    assert (await smart.read("Encounter", told["access_token"])).status_code == 200
    for type in ("Condition", "Observation"):
        assert (await smart.read(f"{type}?patient=p1", told["access_token"])).status_code == 403


@check("Limited app", "a wildcard comes apart into the types that were ticked, and stays one when all are")
async def test_a_wildcard_comes_apart(smart: Kit) -> None:
    async with smart.browser("patty") as patty:
        told = await chosen(
            smart, patty, "launch/patient patient/*.rs", lambda label: label.startswith(("Allergies", "Conditions"))
        )
        assert told["scope"] == "launch/patient patient/AllergyIntolerance.rs patient/Condition.rs"
        rest = await chosen(
            smart,
            patty,
            "patient/*.rs",
            lambda label: not label.startswith(("Laboratory", "Vital", "Social", "Surveys")),
        )
        words = set(rest["scope"].split())
        assert "patient/Observation.rs" not in words
        assert {"patient/Condition.rs", "patient/Account.rs", "patient/Practitioner.rs"} <= words
        assert "patient/*.rs" not in words
        assert (await smart.read("Observation", rest["access_token"])).status_code == 403
        assert (await chosen(smart, patty, "patient/*.rs", lambda label: True))["scope"] == "patient/*.rs"


@check("Limited app", "nothing ticked, or a no, is access_denied with the state and no code")
async def test_no(smart: Kit) -> None:
    app = smart.app()
    async with smart.browser("patty") as patty:
        for press, boxes in ((("decision", "deny"), None), (("decision", "allow"), []), (("decision", "odd"), None)):
            proof = Proof()
            page = await app.ask(patty, proof, "patient/*.rs")
            assert isinstance(page, Page)
            there = await patty.send(page, press=press, **({} if boxes is None else {"ticks": boxes}))
            assert isinstance(there, str)
            assert there.startswith(app.redirect + "?error=access_denied&")
            assert there.endswith("state=" + proof.state)


@check(
    "Granular scopes",
    "the app asks for Condition.rs, Observation.rs, Patient.rs; the person picks parts; only those are granted",
    "what comes back is exactly what the granted parts hold; a read of another one is not 200",
)
async def test_parts_are_picked(smart: Kit) -> None:
    scope = "launch/patient patient/Condition.rs patient/Observation.rs patient/Patient.rs"
    picked = ("Name,", "The list of problems", "Laboratory results")
    async with smart.browser("patty") as patty:
        told = await chosen(smart, patty, scope, lambda label: label.startswith(picked) and "vital" not in label)
    assert told["scope"].split() == [
        "launch/patient", f"patient/Condition.rs?category={CATEGORY}|problem-list-item",
        f"patient/Observation.rs?category={LABS}|laboratory", "patient/Patient.rs",
    ]  # fmt: skip
    assert await smart.found("Condition?patient=p1", told["access_token"]) == {"Condition/c1"}
    assert await smart.found("Observation?patient=p1", told["access_token"]) == set()
    assert (await smart.read("Condition/c1", told["access_token"])).status_code == 200
    assert (await smart.read("Condition/c2", told["access_token"])).status_code == 404


@check("Granular scopes", "asked for as they are, they are granted as they are, and shown in words")
async def test_granular_scopes_are_asked(smart: Kit) -> None:
    scope = f"patient/Observation.rs?category={LABS}|vital-signs patient/Condition.rs?category={CATEGORY}|encounter-diagnosis"
    app, proof = smart.app(), Proof()
    async with smart.browser("patty") as patty:
        page = await app.ask(patty, proof, scope, post=True)
        assert isinstance(page, Page)
        assert "Vital signs" in page.text
        there = await patty.send(page, press=("decision", "allow"))
    told = (await app.exchange(app.code_of(there, proof), proof)).json()
    assert told["scope"] == scope
    assert await smart.found("Condition", told["access_token"]) == {"Condition/c2"}
    assert await smart.found("Observation", told["access_token"]) == {"Observation/o1"}


@check(
    "SMART v1 scopes",
    "`.read` is granted as `.read` and opens read and search",
    "`.*` of somebody who may only read becomes `.read`",
)
async def test_scopes_of_version_one(smart: Kit) -> None:
    async with smart.browser("patty") as patty:
        told = await smart.app().whole(patty, "launch/patient patient/Patient.read patient/Observation.read")
        assert told["scope"] == "launch/patient patient/Patient.read patient/Observation.read"
        assert await smart.found("Observation", told["access_token"]) == {"Observation/o1"}
        assert (await smart.app().whole(patty, "patient/*.*"))["scope"] == "patient/*.read"


@check(
    "Scopes",
    "never more than was registered",
    "never more than the person's role",
    "system/ is nobody's",
    "unknown words and `.dus` are passed over",
)
async def test_three_limits(smart: Kit) -> None:
    smart.user("reader", "reader")
    few = ["patient/Observation.rs", "user/Patient.rs", "openid"]
    async with smart.browser("reader") as reader, smart.browser("patty") as patty:
        told = await smart.app(scopes=few).whole(reader, "openid user/*.cruds profile launch/nonsense user/Patient.dus")
        assert told["scope"] == "openid user/Patient.rs"
        told = await smart.app().whole(reader, "user/*.cruds system/*.rs made-up")
        assert told["scope"] == "user/*.rs"
        told = await smart.app(scopes=few).whole(patty, "patient/*.rs")
        assert told["scope"] == "patient/Observation.rs"
        told = await smart.app().whole(patty, "user/*.cruds")
        assert told["scope"] == "user/*.rs"
        assert told["patient"] == "p1"
        assert await smart.found("Patient", told["access_token"]) == {"Patient/p1"}
        assert (await smart.read("Patient/p2", told["access_token"])).status_code == 404
        for scope in ("system/*.rs", "made-up", "patient/Observation.sr", ""):
            there = await smart.app().ask(patty, Proof(), scope)
            assert "error=invalid_scope" in str(there)


@check("Scopes", "a scope that was taken from the app or the person stops being good for tokens that are out")
async def test_what_is_taken_back_holds_for_tokens_that_are_out(smart: Kit) -> None:
    user, app, database = smart.user("leaver", "clinician"), smart.app(), smart.running.app.database
    async with smart.browser("leaver") as leaver:
        told = await app.whole(leaver, "user/*.rs")
    assert (await smart.read("Patient/p1", told["access_token"])).status_code == 200
    database.write_now(lambda tx: tx.execute("UPDATE user SET roles = '[\"viewer\"]' WHERE uid = ?", (user.id,)))
    assert (await smart.read("Patient/p1", told["access_token"])).status_code in (401, 403)


@check("Scopes", "an app's token opens no page and no API of the console, however mighty the person")
async def test_no_console_with_an_app(smart: Kit) -> None:
    smart.user("boss", "administrator")
    async with smart.browser("boss") as boss:
        told = await smart.app().whole(boss, "user/*.cruds openid")
    headers = {"Authorization": f"Bearer {told['access_token']}"}
    for path in ("/api/messages", "/", "/launch", "/account", "/partners", "/metrics"):
        answer = await smart.http.get(smart.url + path, headers=headers)
        assert answer.status_code in (401, 403), path


@check("Authorize", "a person whose role opens no chart can let no app in")
async def test_roles_without_a_chart(smart: Kit) -> None:
    smart.user("watcher", "viewer")
    async with smart.browser("watcher") as watcher:
        there = await smart.app().ask(watcher, Proof(), "user/*.rs")
    assert "error=access_denied" in str(there)
