"""The second proof: shown when signing in and before changes of privileges, set up by who has none yet (NIST SP 800-63B)."""

from __future__ import annotations

import asyncio
from typing import Any

import segno
from markupsafe import Markup

from suture.access.refusals import TooManyAttempts
from suture.access.second_factor import Answer
from suture.access.sessions import From
from suture.access.webauthn import Party, party
from suture.errors import Invalid, SutureError, Unauthenticated
from suture.server.admin import pages
from suture.server.identify import COOKIE, STEP_COOKIE, cookie, local, require_same_site, set_cookie
from suture.server.route import LARGEST_FORM, Request, Response, Route, form
from suture.server.sign_in import complete, cookies
from suture.store.accounts import User

KINDS = ("totp", "recovery", "passkey")
AGAIN = (*KINDS, "password")  # while signed in, for who has no second factor
ANSWER = {
    "kind": "totp, recovery, passkey",
    "code": "what the app or the list says",
    "credential": "what a passkey signed",
}


def place(request: Request) -> From:
    """Where a request comes from."""
    return From(request.remote, request.header(b"user-agent"))


def at(request: Request) -> Party | None:
    """Under which name passkeys know this server; None where they can't."""
    return party(str(request.site.settings["http.base_url"]), request.header(b"host"))


def answer_of(request: Request, given: dict[str, str], kinds: tuple[str, ...] = KINDS) -> Answer:
    """What a form shows as the proof; raises Invalid for a kind that is not taken here."""
    kind = given.get("kind", "totp")
    if kind not in kinds:
        raise Invalid("no proof of this kind", where="kind", mend=f"One of: {', '.join(kinds)}.")
    text = given.get("credential" if kind == "passkey" else "code", "")
    return Answer(kind, text, at(request))


async def fields(request: Request) -> dict[str, str]:
    """The form of a page of ours; raises Forbidden when another site may have sent it."""
    require_same_site(request)
    return dict(form(await request.body(LARGEST_FORM)))


# --- signing in


async def second_page(request: Request) -> Response:
    """Asks for the second proof."""
    step = request.site.people.sessions.step(cookie(request, STEP_COOKIE))
    return await _ask(request, step.user, "/sign-in/second", "Sign in")


async def second(request: Request) -> Response:
    """Judges it, and signs in."""
    given, token = await fields(request), cookie(request, STEP_COOKIE)
    step = request.site.people.sessions.step(token)
    try:
        session = await request.site.people.second.finish(token, answer_of(request, given), place(request))
    except (Unauthenticated, TooManyAttempts, Invalid) as error:
        request.site.people.sessions.step(token)  # too old: to the start
        return await _ask(request, step.user, "/sign-in/second", "Sign in", error)
    return await complete(request, session, local(step.to))


async def _ask(
    request: Request, user: User, action: str, button: str, error: SutureError | None = None, **more: Any
) -> Response:
    second, here = request.site.people.second, at(request)
    kinds = {one.kind for one in second.of_user(user.id)}
    passkey = await second.passkeys.to_show(user, here) if here and "passkey" in kinds else ""
    shown = {"action": action, "button": button, "app": "totp" in kinds, "passkey": passkey, "to": "", **more}
    shown["provider"] = request.site.people.sso.name if not kinds and button == "Confirm" else ""
    no_way = kinds == {"passkey"} and not here
    return pages.page(
        request, "second.html", error.status if error else 200, error=error, none=not kinds, no_way=no_way, **shown
    )


# --- setting the first one up


async def set_up_page(request: Request) -> Response:
    """Leads who must have a second factor and has none to one."""
    step = request.site.people.sessions.step(cookie(request, STEP_COOKIE))
    if request.site.people.second.of_user(step.user.id):
        return pages.see("/sign-in/second")
    return await offered(request, step.user, "/sign-in/set-up", first=True)


async def offered(
    request: Request, user: User, action: str, *, first: bool, token: str = "", error: SutureError | None = None
) -> Response:
    """The page with a secret to scan, and the way to a passkey."""
    second, here = request.site.people.second, at(request)
    offer = second.offered(user, token) if token else await second.offer(user)
    drawn = await asyncio.to_thread(_drawn, offer.uri)
    grouped = " ".join(offer.secret[n : n + 4] for n in range(0, len(offer.secret), 4))
    passkey = await second.passkeys.to_register(user, here) if here else ""
    return pages.page(
        request, "set_up.html", error.status if error else 200, action=action, first=first, offer=offer, drawn=drawn,
        grouped=grouped, passkey=passkey, error=error,
    )  # fmt: skip


def _drawn(uri: str) -> Markup:
    """The secret as a picture an app can read: a drawing without style or script."""
    return Markup(segno.make(uri, error="m").svg_inline(svgclass="qr", lineclass=None, omitsize=True, border=2))  # noqa: S704


async def add_app(request: Request) -> Response:
    """Keeps the authenticator app, signs in, and shows the recovery codes once."""
    given, token = await fields(request), cookie(request, STEP_COOKIE)
    step = request.site.people.sessions.step(token)
    second = request.site.people.second
    try:
        codes = await second.add_app(
            step.user, given.get("offer", ""), given.get("code", ""), request.remote, first=True
        )
    except Invalid as error:
        return await offered(
            request, step.user, "/sign-in/set-up", first=True, token=given.get("offer", ""), error=error
        )
    return await _set_up(request, token, "totp", codes, step.to)


async def add_passkey(request: Request) -> Response:
    """The same with a passkey."""
    given, token = await fields(request), cookie(request, STEP_COOKIE)
    step, here = request.site.people.sessions.step(token), at(request)
    second = request.site.people.second
    try:
        codes = await second.add_passkey(
            step.user, given.get("credential", ""), given.get("name", ""), required(here), request.remote, first=True
        )
    except Invalid as error:
        return await offered(request, step.user, "/sign-in/set-up", first=True, error=error)
    return await _set_up(request, token, "passkey", codes, step.to)


def required(here: Party | None) -> Party:
    """Raises Invalid where passkeys can't be used."""
    if here is None:
        raise Invalid(
            "passkeys need a name, not an address",
            where="passkey",
            mend="Open this page as http://localhost, or set http.base_url.",
        )
    return here


async def _set_up(request: Request, step: str, kind: str, codes: list[str], to: str) -> Response:
    session = await request.site.people.second.set_up(step, kind, place(request))
    request.caller = await request.site.people.session(session)
    shown = codes_page(request, codes, local(to) or pages.home(request.caller))
    shown.headers += cookies(request, session)
    return shown


def codes_page(request: Request, codes: list[str], to: str) -> Response:
    """New recovery codes, shown this once."""
    return pages.page(request, "codes.html", codes=codes, to=to)


# --- again, for a change of privileges


async def confirm_page(request: Request) -> Response:
    """Asks again who is there."""
    return await _again(request, local(dict(request.pairs()).get("to", "")))


async def _again(request: Request, to: str, error: SutureError | None = None) -> Response:
    _, user = request.site.people.sessions.look(request.session)
    return await _ask(request, user, "/confirm", "Confirm", error, to=to)


async def confirm(request: Request) -> Response:
    """Judges the answer; the session goes on under a new token."""
    given, people = await fields(request), request.site.people
    to = local(given.get("to", ""))
    try:
        shown = answer_of(request, given, AGAIN)
        if shown.kind == "password":
            _require_no_better(request)
            session = await people.confirm(request.session, shown.text, request.remote)
        else:
            session = await people.second.confirm(request.session, shown, request.remote)
    except (Unauthenticated, TooManyAttempts, Invalid) as error:
        people.sessions.look(request.session)
        return await _again(request, to, error)
    answer = pages.see(to or pages.home(request.caller))
    answer.headers.append(set_cookie(request, COOKIE, session, request.site.settings["session.life"]))
    return answer


def _require_no_better(request: Request) -> None:
    """A password is enough only where it is the best proof the person has."""
    _, user = request.site.people.sessions.look(request.session)
    if request.site.people.second.of_user(user.id):
        raise Invalid("a second factor is needed", where="kind", mend="Show your second factor.")


ROUTES = [
    Route("GET", "/sign-in/second", second_page, access="anonymous"),
    Route("POST", "/sign-in/second", second, access="anonymous", fields=ANSWER),
    Route("GET", "/sign-in/set-up", set_up_page, access="anonymous"),
    Route("POST", "/sign-in/set-up/app", add_app, access="anonymous", fields={"offer": "the secret", "code": "a code"}),
    Route("POST", "/sign-in/set-up/passkey", add_passkey, access="anonymous", fields={"credential": "the new passkey"}),
    Route("GET", "/confirm", confirm_page, access="caller", query={"to": "page to go on to"}),
    Route("POST", "/confirm", confirm, access="caller", fields=ANSWER),
]
