"""Opening an app from our own pages: for a patient who was searched for, with the visit and whatever else is open.

https://hl7.org/fhir/smart-app-launch/app-launch.html#launch-app-ehr-launch
"""

from __future__ import annotations

import re
from typing import Any

from suture.access.oauth import launch, who
from suture.access.oauth.launch import Open
from suture.errors import Forbidden, Invalid, NotFound, SutureError
from suture.server.admin import pages
from suture.server.auth import choose, person
from suture.server.auth.person import Person
from suture.server.route import LARGEST_FORM, Request, Response, Route, form

_ID = re.compile(r"[A-Za-z0-9.-]{1,64}")
_SEARCHED = ("name", "birthdate", "identifier")


async def page(request: Request) -> Response:
    """Staff search for a patient; a patient or proxy begins with the records that are open."""
    one = person.of(request)
    if one.staff:
        return _whose(request, one, {})
    found = who.records(request.site.database.read, one.user, request.site.clock.micros())
    if len(found) == 1:
        return await _which(request, one, found[0])
    named = [{"id": id, "title": await person.named(request, one, id), "also": ""} for id in found]
    return _whose(request, one, {}, named)


async def found(request: Request) -> Response:
    """The patients that fit what was typed, or the apps for the one who was chosen."""
    one, given = person.of(request), await _given(request)
    if "patient" in given:
        return await _which(request, one, given["patient"])
    try:
        return _whose(request, one, given, await choose.find(request, one, given) if one.staff else [])
    except Invalid as error:
        return _whose(request, one, given, None, error)


def _whose(
    request: Request,
    one: Person,
    wanted: dict[str, str],
    found: list[dict[str, str]] | None = None,
    error: SutureError | None = None,
) -> Response:
    kept = {name: wanted.get(name, "") for name in _SEARCHED}
    status = error.status if error else 200
    return pages.page(request, "launch.html", status, staff=one.staff, wanted=kept, found=found, error=error)


async def _which(request: Request, one: Person, patient: str, error: SutureError | None = None) -> Response:
    """The apps that can be opened, with the visits of the patient."""
    whose = await _named(request, one, patient)
    apps = launch.launchable(request.site.authority)
    visits = await _visits(request, one, patient) if patient else []
    shown: dict[str, Any] = {"apps": apps, "patient": patient, "whose": whose, "visits": visits, "error": error}
    answer = pages.page(request, "launch_open.html", error.status if error else 200, **shown)
    return choose.with_forms_to(answer, *(app.launch_url for app in apps))


async def _named(request: Request, one: Person, patient: str) -> str:
    """Whose record it is; raises Forbidden for one that is not open to the person."""
    if not patient and one.staff:
        return ""
    if not _ID.fullmatch(patient):
        raise Invalid("not a patient's id", where="patient")
    records = who.records(request.site.database.read, one.user, request.site.clock.micros())
    if not one.staff and patient not in records:
        raise Forbidden("this record is not open to you", mend="Choose another one.")
    return await person.named(request, one, patient)


async def _visits(request: Request, one: Person, patient: str) -> list[dict[str, str]]:
    try:
        return await choose.visits(request, one, patient)
    except Forbidden:
        return []


async def opened(request: Request) -> Response:
    """Sends the browser to the app's registered launch address."""
    one, given = person.of(request), await _given(request)
    authority = request.site.authority
    app = next((app for app in launch.launchable(authority) if app.id == given.get("app", "")), None)
    if app is None:
        raise NotFound("no app of this name can be opened from here", where="app")
    try:
        open_now = launch.read(given)
        await _checked(request, one, open_now)
    except Invalid as error:
        return await _which(request, one, given.get("patient", ""), error)
    return pages.see(await launch.begin(authority, app, one.user.id, open_now, request.remote))


async def _checked(request: Request, one: Person, open_now: Open) -> None:
    """Raises for a record, a visit or a resource that the person may not see: nothing else is told to an app."""
    await _named(request, one, open_now.patient)
    visits = await _visits(request, one, open_now.patient) if open_now.encounter else []
    if open_now.encounter and open_now.encounter not in {one["id"] for one in visits}:
        raise Invalid("not a visit of this patient", where="encounter", mend="Choose one of the list.")
    for reference in open_now.also:
        type, _, id = reference.partition("/")
        try:
            await request.site.interactions.read(one.about(open_now.patient), type, id)
        except (NotFound, Forbidden):
            raise Invalid("no such resource is open to you", where="also", mend="Write Type/id.") from None


async def _given(request: Request) -> dict[str, str]:
    return dict(form(await request.body(LARGEST_FORM)))


ROUTES = [
    Route("GET", "/launch", page, access="caller"),
    Route("POST", "/launch", found, access="caller"),
    Route("POST", "/launch/open", opened, access="caller"),
]
