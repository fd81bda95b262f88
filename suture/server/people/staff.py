"""The people of this house: listed, invited, given roles, sent away; for whoever may manage people."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, time
from typing import Any

from suture.access import second_factor, staff
from suture.access.invitations import Made, end_proxy
from suture.access.roles import PATIENT, PERMISSIONS, PROXY, ROLES
from suture.access.sessions import id_of
from suture.errors import Conflict, Invalid, NotFound, SutureError
from suture.server.admin import asked, pages, rows
from suture.server.identify import fresh
from suture.server.people import records
from suture.server.people.account import browser
from suture.server.people.shapes import (
    Changed,
    InvitationRow,
    Invited,
    PeopleView,
    PersonRow,
    PersonView,
    ProxyRow,
)
from suture.server.route import LARGEST_FORM, Request, Response, Route, form
from suture.standards.fhir import json
from suture.store import accounts, factors, proxies
from suture.store.accounts import User
from suture.store.connection import Tx
from suture.store.proxies import Proxy

MOST = 200
FILTERS = {"show": "staff or patients", "text": "a part of the name"}
SAID = {
    "roles": "The roles are changed, and the person's sessions have ended.",
    "active": "The person can sign in again.",
    "inactive": "The person can't sign in any more.",
    "second-factor": "The second factor is reset. The next sign-in sets up a new one.",
    "session": "The session has ended.",
    "sessions": "All sessions of the person have ended.",
    "proxy": "Nobody stands in like this any more.",
    "taken-back": "The invitation is taken back.",
}
STAFF_ROLES = {name: role.says for name, role in ROLES.items() if name not in (PATIENT, PROXY)}


# --- views


def people_view(request: Request, own: bool, text: str = "") -> PeopleView:
    """People of one of the two kinds, and open invitations of that kind."""
    read = request.site.database.read
    found = accounts.find_users(read, own=own, text=text, count=MOST)
    invited = request.site.people.invitations.open()
    return {
        "people": [_row(request, one) for one in found],
        "invitations": [_invitation(one) for one in invited if bool(one.patient) == own],
    }


def _row(request: Request, one: User) -> PersonRow:
    return {
        "id": one.id,
        "login": one.login,
        "name": one.name,
        "roles": list(one.roles),
        "active": one.active,
        "second_factor": bool(factors.of_user(request.site.database.read, one.id)),
        "must_have_one": request.site.people.sessions.required(one),
        "created": rows.when(one.created),
    }


def _invitation(one: Any) -> InvitationRow:
    return {
        "id": one.id,
        "kind": one.kind,
        "name": one.name,
        "login": one.login,
        "roles": list(one.roles),
        "expires": rows.when(one.expires),
    }


def person(request: Request) -> User:
    """The person of the address; raises NotFound."""
    return staff.by_id(request.site.database.read, request.params["id"])


def person_view(request: Request, one: User) -> PersonView:
    """One person with everything that may be changed about it."""
    read, people, now = request.site.database.read, request.site.people, request.site.clock.micros()
    stands = proxies.of_patient(read, one.patient) if one.patient else []
    return {
        "person": _row(request, one),
        "patient": one.patient,
        "factors": [
            {"kind": f.kind, "name": f.name, "created": rows.when(f.created), "used": rows.when(f.used)}
            for f in people.second.of_user(one.id)
        ],
        "recovery_codes": people.second.codes_left(one.id),
        "sessions": [
            {
                "id": id_of(s),
                "address": str(s.attributes.get("address") or ""),
                "browser": browser(str(s.attributes.get("agent") or "")),
                "began": rows.when(s.created),
                "seen": rows.when(s.seen),
            }
            for s in people.sessions.of_user(one.id)
        ],
        "proxies": [proxy_row(request, p) for p in stands],
        "stands_in_for": [proxy_row(request, p) for p in proxies.of_user(read, one.id, now)],
    }


def proxy_row(request: Request, one: Proxy) -> ProxyRow:
    """A proxy as lists show it."""
    who, now = accounts.user(request.site.database.read, one.user), request.site.clock.micros()
    ended = one.ended or (one.expires if one.expires and one.expires <= now else 0)
    return {
        "id": one.id,
        "user": one.user,
        "name": who.name if who else "",
        "patient": one.patient,
        "relation": one.relation,
        "since": rows.when(one.created),
        "until": rows.when(one.expires),
        "ended": rows.when(ended),
    }


# --- pages


async def people_page(request: Request) -> Response:
    """The list; `said` names what a form before it came to."""
    return await _people(request)


async def _people(request: Request, error: SutureError | None = None, **more: Any) -> Response:
    given = dict(asked.checked(request.pairs(), {**FILTERS, "said": ""})) if request.method == "GET" else {}
    show = asked.choice(given, "show", ("staff", "patients")) if "show" not in more else more.pop("show")
    async with request.site.interactions.access(request.caller, "list", "Person", query=show):
        shown: dict[str, Any] = {
            **people_view(request, show == "patients", given.get("text", "")),
            "show": show,
            "text": given.get("text", ""),
            "roles": STAFF_ROLES,
            "permissions": PERMISSIONS,
            "fresh": fresh(request),
            "said": SAID.get(given.get("said", ""), ""),
            "invited": None,
            "most": MOST,
            **more,
        }
        return pages.page(request, "people.html", error.status if error else 200, error=error, **shown)


async def person_page(request: Request) -> Response:
    """One person."""
    return await _person(request)


async def _person(request: Request, error: SutureError | None = None, **more: Any) -> Response:
    one = person(request)
    async with request.site.interactions.access(request.caller, "read", "Person", one.id):
        shown: dict[str, Any] = {
            **person_view(request, one),
            "roles": STAFF_ROLES,
            "fresh": fresh(request),
            "said": SAID.get(dict(request.pairs()).get("said", ""), "") if request.method == "GET" else "",
            "invited": None,
            "own": PATIENT in one.roles or PROXY in one.roles,
            **more,
        }
        return pages.page(request, "person.html", error.status if error else 200, error=error, **shown)


# --- invitations


async def _invited_staff(request: Request) -> Invited:
    given, roles = await _with_roles(request)
    login, name = given.get("login", ""), given.get("name", "")
    invitations = request.site.people.invitations
    made = await request.site.database.write(lambda tx: invitations.staff(tx, login, name, roles, request.caller.id))
    return shown(request, made)


def shown(request: Request, made: Made) -> Invited:
    """An invitation as it is shown once."""
    base = str(request.site.settings["http.base_url"]).rstrip("/")
    return {"link": f"{base}/invitation/{made.token}", "code": made.code}


async def _with_roles(request: Request) -> tuple[dict[str, str], list[str]]:
    """A form with a box for each role, or JSON with the text `roles`."""
    body = await request.body(LARGEST_FORM)
    if request.header(b"content-type").partition(";")[0].strip() == "application/json":
        given = await asked.fields(request, ("login", "name", "roles"))
        return given, given.pop("roles", "").split()
    pairs = form(body)
    return {n: v.strip() for n, v in pairs if n in ("login", "name")}, [v for n, v in pairs if n == "role"]


PATIENT_FIELDS = {
    "patient": "id of the Patient, or an identifier",
    "proof": "birth date or code: what goes with the link",
}


async def _invited_patient(request: Request) -> Invited:
    """The name and birth date come from the record, read as the person who invites."""
    given = await asked.fields(request, PATIENT_FIELDS)
    id, proof = await records.id_of(request, given.get("patient", "")), given.get("proof") or "birth date"
    record = json.read((await request.site.interactions.read(request.caller, "Patient", id)).body)
    birth = str(record.get("birthDate") or "")
    if proof == "birth date" and len(birth) != 10:
        raise Invalid("the record has no whole birth date", where="proof", mend="Give a code separately.")
    invitations, name = request.site.people.invitations, name_of(record)
    asks = birth if proof == "birth date" else ""
    made = await request.site.database.write(lambda tx: invitations.patient(tx, id, name, asks, request.caller.id))
    return shown(request, made)


def name_of(record: dict[str, Any]) -> str:
    """A person's name as one would say it."""
    names = [one for one in record.get("name", []) if isinstance(one, dict)]
    name = next((one for one in names if one.get("use") == "official"), names[0] if names else {})
    said = name.get("text") or " ".join([*name.get("given", []), name.get("family", "")]).strip()
    return str(said or "a patient")[:100]


PROXY_FIELDS = {
    "patient": "id of the Patient, or an identifier",
    "name": "who it is",
    "relation": "what to the patient, such as mother",
    "until": "last day, such as 2027-12-31; empty for no end",
}


async def _invited_proxy(request: Request) -> Invited:
    given = await asked.fields(request, PROXY_FIELDS)
    id = await records.id_of(request, given.get("patient", ""))
    await request.site.interactions.read(request.caller, "Patient", id)
    return await invite_proxy(request, id, given)


async def invite_proxy(request: Request, patient: str, given: dict[str, str]) -> Invited:
    """Invites somebody to stand in for a patient, by staff or by the patient."""
    name, relation, until = given.get("name", ""), given.get("relation", ""), last_moment(given.get("until", ""))
    invitations = request.site.people.invitations
    made = await request.site.database.write(
        lambda tx: invitations.proxy(tx, patient, name, relation, until, request.caller.id)
    )
    return shown(request, made)


def last_moment(day: str) -> int:
    """The end of a day, UTC; 0 for no day. Raises Invalid."""
    if not day:
        return 0
    try:
        end = datetime.combine(datetime.fromisoformat(day).date(), time(23, 59, 59), UTC)
    except ValueError:
        raise Invalid("not a day", where="until", mend="Write it as 2027-12-31.") from None
    return int(end.timestamp() * 1_000_000)


async def _reset_link(request: Request) -> Invited:
    one = person(request)
    made = await request.site.database.write(
        lambda tx: request.site.people.invitations.reset(tx, one, request.caller.id)
    )
    return shown(request, made)


async def invite_staff_page(request: Request) -> Response:
    """Invites a colleague; the link is shown once."""
    try:
        return await _people(request, invited=await _invited_staff(request), show="staff")
    except (Invalid, Conflict) as error:
        return await _people(request, error, show="staff")


async def invite_patient_page(request: Request) -> Response:
    """Invites a patient."""
    try:
        return await _people(request, invited=await _invited_patient(request), show="patients")
    except (Invalid, NotFound) as error:
        return await _people(request, error, show="patients")


async def invite_proxy_page(request: Request) -> Response:
    """Invites somebody to stand in for a patient."""
    try:
        return await _people(request, invited=await _invited_proxy(request), show="patients")
    except (Invalid, NotFound) as error:
        return await _people(request, error, show="patients")


async def reset_page(request: Request) -> Response:
    """Makes a link with which the person sets a new password."""
    return await _person(request, invited=await _reset_link(request))


async def invite_staff_json(request: Request) -> Response:
    """Invites a colleague; answers the link, once."""
    return pages.as_json(await _invited_staff(request))


async def invite_patient_json(request: Request) -> Response:
    """Invites a patient to the own record; answers the link, once, and a code when no birth date is asked for."""
    return pages.as_json(await _invited_patient(request))


async def invite_proxy_json(request: Request) -> Response:
    """Invites somebody to stand in for a patient; answers link and code, once."""
    return pages.as_json(await _invited_proxy(request))


async def reset_json(request: Request) -> Response:
    """Makes a link with which the person sets a new password; answers it, once."""
    return pages.as_json(await _reset_link(request))


# --- changes

Change = Callable[[Tx, Request, User, dict[str, str]], str]


def _roles(tx: Tx, request: Request, one: User, given: dict[str, str]) -> str:
    staff.change_roles(tx, one, given.get("roles", "").split(), request.caller.id)
    return "roles"


def _deactivated(tx: Tx, request: Request, one: User, given: dict[str, str]) -> str:
    staff.set_active(tx, one, False, request.caller.id)
    return "inactive"


def _activated(tx: Tx, request: Request, one: User, given: dict[str, str]) -> str:
    staff.set_active(tx, one, True, request.caller.id)
    return "active"


def _second_factor(tx: Tx, request: Request, one: User, given: dict[str, str]) -> str:
    second_factor.reset(tx, one, request.caller.id)
    return "second-factor"


def _proxy_ended(tx: Tx, request: Request, one: User, given: dict[str, str]) -> str:
    end_proxy(tx, given.get("proxy", ""), one.patient, request.caller.id)
    return "proxy"


async def _changed(request: Request, change: Change) -> str:
    """Does it in one unit with its audit row, seen from the person as it is inside that unit."""
    given = await asked.fields(request, ("roles", "proxy")) if change is not _roles else await _asked_roles(request)
    id = request.params["id"]
    return await request.site.database.write(lambda tx: change(tx, request, staff.by_id(tx, id), given))


async def _asked_roles(request: Request) -> dict[str, str]:
    return {"roles": " ".join((await _with_roles(request))[1])}


def _page_of(change: Change) -> Callable[[Request], Any]:
    async def changed_page(request: Request) -> Response:
        try:
            said = await _changed(request, change)
        except (Invalid, Conflict) as error:
            return await _person(request, error)
        return pages.see(f"/people/{request.params['id']}?said={said}")

    return changed_page


def _json_of(change: Change, name: str, summary: str) -> Callable[[Request], Any]:
    async def changed_json(request: Request) -> Response:
        said: Changed = {"said": await _changed(request, change)}
        return pages.as_json(said)

    changed_json.__name__, changed_json.__doc__ = f"{name}_json", summary
    return changed_json


async def _session_ended(request: Request) -> str:
    one, given = person(request), await asked.fields(request, ("session",))
    if given.get("session"):
        await request.site.people.sessions.end_one(one.id, given["session"], request.caller.id)
        return "session"
    await request.site.people.sessions.end_all(one.id, request.caller.id)
    return "sessions"


async def end_session_page(request: Request) -> Response:
    """Ends one session of the person, or all."""
    return pages.see(f"/people/{request.params['id']}?said={await _session_ended(request)}")


async def end_session_json(request: Request) -> Response:
    """Ends one session of a person, or all when none is named."""
    return pages.as_json({"said": await _session_ended(request)})


async def _taken_back(request: Request) -> str:
    given, invitations = await asked.fields(request, ("invitation",)), request.site.people.invitations
    id = given.get("invitation", "")
    await request.site.database.write(lambda tx: invitations.end(tx, id, request.caller.id))
    return "taken-back"


async def take_back_page(request: Request) -> Response:
    """Takes an invitation back."""
    try:
        return pages.see(f"/people?said={await _taken_back(request)}")
    except Conflict as error:
        return await _people(request, error)


async def take_back_json(request: Request) -> Response:
    """Takes an invitation back."""
    return pages.as_json({"said": await _taken_back(request)})


async def list_json(request: Request) -> Response:
    """People, and invitations nobody has accepted yet."""
    given = dict(asked.checked(request.pairs(), FILTERS))
    show = asked.choice(given, "show", ("staff", "patients"))
    async with request.site.interactions.access(request.caller, "list", "Person", query=show):
        return pages.as_json(people_view(request, show == "patients", given.get("text", "")))


async def person_json(request: Request) -> Response:
    """One person with second factors, sessions and proxies."""
    one = person(request)
    async with request.site.interactions.access(request.caller, "read", "Person", one.id):
        return pages.as_json(person_view(request, one))


_CHANGES: tuple[tuple[str, Change, str, dict[str, str]], ...] = (
    ("roles", _roles, "Gives a person other roles.", {"roles": f"some of {', '.join(ROLES)}, with blanks between"}),
    ("deactivate", _deactivated, "The person can't sign in any more.", {}),
    ("activate", _activated, "The person can sign in again.", {}),
    ("second-factor", _second_factor, "Takes all second factors away; the next sign-in sets up a new one.", {}),
    ("proxy", _proxy_ended, "Somebody stands in for this patient no longer.", {"proxy": "id of the grant"}),
)
_MANAGE = "people.manage"
_NEW = {"login": "name to sign in with", "name": "name to show", "roles": f"some of {', '.join(STAFF_ROLES)}"}
_SESSION = {"session": "its id; empty for all"}
_INVITED = {"invitation": "its id"}


def _routes() -> list[Route]:
    made = [
        Route("GET", "/people", people_page, _MANAGE, query=FILTERS),
        Route("GET", "/people/{id}", person_page, _MANAGE),
        Route("POST", "/people/invite", invite_staff_page, _MANAGE, fields=_NEW),
        Route("POST", "/people/invite-patient", invite_patient_page, _MANAGE, fields=PATIENT_FIELDS),
        Route("POST", "/people/invite-proxy", invite_proxy_page, _MANAGE, fields=PROXY_FIELDS),
        Route("POST", "/people/take-back", take_back_page, _MANAGE, fields=_INVITED),
        Route("POST", "/people/{id}/password", reset_page, _MANAGE),
        Route("POST", "/people/{id}/sessions", end_session_page, _MANAGE, fields=_SESSION),
        Route("GET", "/api/people", list_json, _MANAGE, query=FILTERS, answer=PeopleView),
        Route("GET", "/api/people/{id}", person_json, _MANAGE, answer=PersonView),
        Route("POST", "/api/people/invite", invite_staff_json, _MANAGE, fields=_NEW, answer=Invited),
        Route(
            "POST", "/api/people/invite-patient", invite_patient_json, _MANAGE, fields=PATIENT_FIELDS, answer=Invited
        ),
        Route("POST", "/api/people/invite-proxy", invite_proxy_json, _MANAGE, fields=PROXY_FIELDS, answer=Invited),
        Route("POST", "/api/people/take-back", take_back_json, _MANAGE, fields=_INVITED, answer=Changed),
        Route("POST", "/api/people/{id}/password", reset_json, _MANAGE, answer=Invited),
        Route("POST", "/api/people/{id}/sessions", end_session_json, _MANAGE, fields=_SESSION, answer=Changed),
    ]
    for name, change, summary, fields in _CHANGES:
        handler = _json_of(change, name.replace("-", "_"), summary)
        made.append(Route("POST", f"/people/{{id}}/{name}", _page_of(change), _MANAGE, fields=fields))
        made.append(Route("POST", f"/api/people/{{id}}/{name}", handler, _MANAGE, fields=fields, answer=Changed))
    return made


ROUTES = _routes()
