"""The person in front of the browser, while an app asks to be let in: account, session, and the patient's record it is about."""

from __future__ import annotations

from dataclasses import dataclass, replace

from suture.access.caller import Caller
from suture.access.oauth import who
from suture.errors import Forbidden, NotFound, SutureError
from suture.server.route import Request
from suture.standards.fhir import json
from suture.store import accounts
from suture.store.accounts import Session, User

MAY_USE_APPS = frozenset({"chart.use", "own.use"})


@dataclass(frozen=True, slots=True)
class Person:
    """Who is signed in. `caller` acts as the session does."""

    user: User
    session: Session
    caller: Caller

    @property
    def staff(self) -> bool:
        return not who.one_record(self.user)

    def about(self, patient: str) -> Caller:
        """The caller who looks at one patient's record."""
        return self.caller if self.staff else replace(self.caller, patient=patient)


def of(request: Request) -> Person:
    """The person of the request's session; raises Forbidden for a program's key or a person who may use no apps."""
    site = request.site
    session = None
    if request.session:
        idle = float(site.settings["session.idle"])
        session = accounts.session(site.database.read, request.session, site.clock.micros(), idle)
    user = accounts.user(site.database.read, session.user) if session else None
    if session is None or user is None:
        raise Forbidden("a person must sign in here", mend="Open this page in a browser.")
    if not request.caller.permissions & MAY_USE_APPS:
        raise Forbidden("your role may not open the chart, so no app can for you", mend="Ask an administrator.")
    return Person(user, session, request.caller)


async def named(request: Request, person: Person, patient: str) -> str:
    """Name and birth date of a patient the person may see; raises Forbidden for any other."""
    try:
        row = await request.site.interactions.read(person.about(patient), "Patient", patient)
    except NotFound:
        raise _closed() from None
    except SutureError as error:
        raise _closed() if error.status in (403, 410) else error from None
    return title(json.read(row.body))


def _closed() -> Forbidden:
    return Forbidden("this record is not open to you", mend="Choose another one.")


def title(patient: dict[str, object]) -> str:
    """A patient as a line to read."""
    names = patient.get("name")
    first = names[0] if isinstance(names, list) and names and isinstance(names[0], dict) else {}
    given = first.get("given") if isinstance(first.get("given"), list) else []
    parts = [*(str(one) for one in given or [] if isinstance(one, str)), str(first.get("family") or "")]
    said = " ".join(part for part in parts if part) or str(first.get("text") or "no name")
    born = patient.get("birthDate")
    return f"{said}, born {born}" if born else said
