"""Pages on which a person chooses whose record an app is about, and which visit; searched through policy, audited.

What was typed stays out of addresses: names and birth dates come in a form and go back in a page.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from suture.access.oauth import authorize, who
from suture.access.oauth.authorize import Asked
from suture.access.oauth.clients import OAuthClient
from suture.errors import Forbidden, Invalid, SutureError
from suture.server.admin import pages
from suture.server.auth import person
from suture.server.auth.person import Person
from suture.server.route import Request, Response
from suture.standards.fhir import json

MOST = "20"
_ID = re.compile(r"[A-Za-z0-9.-]{1,64}")
_ORIGIN = re.compile(
    r"https?://[A-Za-z0-9.\-]+(:[0-9]{1,5})?|https?://\[[0-9A-Fa-f:]+\](:[0-9]{1,5})?|[a-z][a-z0-9+.\-]*:"
)


def with_forms_to(page: Response, *addresses: str) -> Response:
    """Lets the page's form end at these apps, which browsers else forbid (CSP 3, form-action)."""
    allowed = " ".join(origin for one in dict.fromkeys(addresses) if (origin := _origin(one)))
    policy = pages.POLICY.replace(b"form-action 'self'", f"form-action 'self' {allowed}".strip().encode())
    page.headers = [h for h in page.headers if h[0] != b"content-security-policy"]
    page.headers.append((b"content-security-policy", policy))
    return page


def _origin(address: str) -> str:
    parts = urlsplit(address)
    found = f"{parts.scheme}://{parts.netloc}" if parts.scheme in ("http", "https") else f"{parts.scheme}:"
    return found if _ORIGIN.fullmatch(found) else ""


async def patients(
    request: Request, asked: Asked, client: OAuthClient, one: Person, given: dict[str, str] | None = None
) -> Response:
    """Staff search by name, birth date or number; patients and proxies see whose record is open to them."""
    wanted, error = given or {}, None
    found: list[dict[str, str]] | None = None
    try:
        found = await find(request, one, wanted) if one.staff else await _own(request, one)
    except Invalid as wrong:
        error = wrong
    return pages.page(
        request,
        "choose.html",
        400 if error else 200,
        app=client,
        sealed=authorize.sealed(request.site.authority, asked),
        staff=one.staff,
        wanted={name: wanted.get(name, "") for name in ("name", "birthdate", "identifier")},
        found=found,
        error=error,
    )


async def find(request: Request, one: Person, wanted: dict[str, str]) -> list[dict[str, str]] | None:
    """The patients that fit, as far as the person may see them; None while nothing was asked."""
    pairs = [
        (name, wanted[name].strip()) for name in ("name", "birthdate", "identifier") if wanted.get(name, "").strip()
    ]
    if not pairs:
        return None
    bundle = await _search(request, one, "Patient", [*pairs, ("_sort", "family"), ("_count", MOST)])
    return [{"id": str(one["id"]), "title": person.title(one), "also": _numbers(one)} for one in bundle]


async def _own(request: Request, one: Person) -> list[dict[str, str]]:
    site = request.site
    found = []
    for id in who.records(site.database.read, one.user, site.clock.micros()):
        try:
            found.append({"id": id, "title": await person.named(request, one, id), "also": ""})
        except Forbidden:
            continue
    return found


async def visits(request: Request, one: Person, patient: str) -> list[dict[str, str]]:
    """The visits of a patient, the newest first."""
    pairs = [("patient", patient), ("_sort", "-date"), ("_count", MOST)]
    bundle = await _search(request, replace(one, caller=one.about(patient)), "Encounter", pairs)
    return [{"id": str(one["id"]), "title": visit(one)} for one in bundle]


async def encounters(request: Request, asked: Asked, client: OAuthClient, one: Person) -> Response | None:
    """The visits of the patient; None when there is none to choose or the person may not see them."""
    try:
        found = await visits(request, one, asked.patient)
    except Forbidden:
        return None
    if not found:
        return None
    sealed = authorize.sealed(request.site.authority, asked)
    return pages.page(request, "choose_visit.html", app=client, sealed=sealed, found=found)


async def taken(
    request: Request, asked: Asked, client: OAuthClient, one: Person, given: dict[str, str]
) -> Asked | Response:
    """The request with what was chosen, or the page with what was searched; raises Forbidden for what is closed."""
    if "visit" in given:
        return replace(asked, encounter=await _visit(request, asked, one, given["visit"]), looked=True)
    if "patient" not in given:
        return await patients(request, asked, client, one, given)
    if not _ID.fullmatch(given["patient"]):
        raise Invalid("not a patient's id", where="patient")
    await person.named(request, one, given["patient"])
    return replace(asked, patient=given["patient"], encounter="", looked=False)


async def _visit(request: Request, asked: Asked, one: Person, id: str) -> str:
    if not id:
        return ""
    if id not in {one["id"] for one in await visits(request, one, asked.patient)}:
        raise Forbidden("this visit is not one of this patient", mend="Choose one of the list.")
    return id


async def _search(request: Request, one: Person, type: str, pairs: list[tuple[str, str]]) -> list[dict[str, Any]]:
    try:
        answer = await request.site.interactions.search(one.caller, type, pairs)
    except SutureError as error:
        if error.status == 400:
            raise Invalid("this can't be searched for", mend="A birth date is written 1980-02-03.") from None
        raise
    return [
        entry["resource"] for entry in json.read(answer.body).get("entry", []) if entry["search"]["mode"] == "match"
    ]


def _numbers(patient: dict[str, Any]) -> str:
    values = [str(one.get("value", "")) for one in patient.get("identifier", []) if isinstance(one, dict)]
    return ", ".join(value for value in values if value)[:100]


def visit(encounter: dict[str, Any]) -> str:
    """A visit as a line to read."""
    period, kind = encounter.get("period") or {}, (encounter.get("type") or [{}])[0]
    coding = (kind.get("coding") or [{}])[0]
    what = kind.get("text") or coding.get("display") or (encounter.get("class") or {}).get("display")
    what = what or (encounter.get("class") or {}).get("code") or "Visit"
    when = " to ".join(str(period[end])[:10] for end in ("start", "end") if period.get(end))
    return f"{what}, {when or 'no date'}, {encounter.get('status', '')}"
