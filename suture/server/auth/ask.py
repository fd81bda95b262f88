"""What a person is asked on the way of an app: sign in again, whose record, which visit, and whether the app may.

Every step seals what is known so far; nothing is decided by what a form says but by what the sealed request allows.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from urllib.parse import quote, urlsplit

from suture.access.oauth import authorize, codes, consent, granted, kinds, who
from suture.access.oauth.authorize import Asked, SentBack, back
from suture.access.oauth.clients import OAuthClient
from suture.access.oauth.codes import Allowed
from suture.access.oauth.errors import OAuthRefused
from suture.errors import Forbidden
from suture.server.admin import pages
from suture.server.auth import choose, person
from suture.server.auth.authorize import sent_back
from suture.server.auth.discovery import STYLE_PATH
from suture.server.auth.person import Person
from suture.server.route import LARGEST_FORM, Request, Response, Route, form
from suture.store import launches

PAGE = "consent page"
MICROS = 1_000_000


async def go_on(request: Request) -> Response:
    """The next thing there is to ask; at last the consent page."""
    sealed = dict(request.pairs()).get("request", "")
    try:
        return await _next(request, authorize.opened(request.site.authority, sealed))
    except SentBack as refused:
        return await sent_back(request, refused)


async def _next(request: Request, asked: Asked) -> Response:
    client, one = _client(request, asked), _person(request, asked)
    if _again(request, asked, one):
        to = f"/auth/continue?request={authorize.sealed(request.site.authority, asked)}"
        return pages.see(f"/sign-in?to={quote(to, safe='')}")
    asked = _launched(request, asked, one)
    words = _words(asked, client, one)
    if granted.opens_patient(words) or not one.staff:
        asked = _own(request, asked, one)
        if not asked.patient:
            return await choose.patients(request, asked, client, one)
    if granted.LAUNCH_ENCOUNTER in words and asked.patient and not (asked.encounter or asked.looked):
        page = await choose.encounters(request, asked, client, one)
        if page is not None:
            return page
    return await _consent(request, asked, client, one, words)


def _client(request: Request, asked: Asked) -> OAuthClient:
    """The app, as it is registered now; raises OAuthRefused for the person when it is not any more."""
    client = request.site.authority.clients.get(asked.client)
    if client is None or not client.approved or asked.redirect not in client.redirect_uris:
        raise OAuthRefused("invalid_client", "this app is not let in any more", mend="Close this page.")
    return client


def _person(request: Request, asked: Asked) -> Person:
    try:
        return person.of(request)
    except Forbidden as error:
        raise SentBack(asked, "access_denied", error.text) from None


def _again(request: Request, asked: Asked, one: Person) -> bool:
    """Whether the app wants the person to sign in anew: always after it asked, or when that was too long ago."""
    if {"login", "select_account"} & set(asked.prompt.split()):
        return one.session.created < asked.at
    age = request.site.clock.micros() - one.session.created
    return asked.max_age >= 0 and one.session.created < asked.at and age > asked.max_age * MICROS


def _launched(request: Request, asked: Asked, one: Person) -> Asked:
    """With what was open when the app was opened, for the person who opened it only."""
    if not asked.launch:
        return asked
    authority = request.site.authority
    late = int(authority.settings["oauth.request_life"] * MICROS)
    found = launches.find(authority.database.read, asked.launch, authority.clock.micros() - late)
    if found is None or found.client != asked.client or found.user != one.user.id:
        raise SentBack(asked, "access_denied", "this launch was used, or somebody else opened the app")
    return replace(
        asked,
        patient=asked.patient or str(found.context.get("patient", "")),
        encounter=asked.encounter or str(found.context.get("encounter", "")),
    )


def _words(asked: Asked, client: OAuthClient, one: Person) -> tuple[str, ...]:
    """What can be granted; raises SentBack when that is nothing."""
    words = granted.grantable(asked.words(), client.scopes, who.may(one.user))
    if not who.fhir_user(one.user):
        words = tuple(word for word in words if word != granted.FHIR_USER)
    if not any(granted.resource(word) for word in words) and granted.OPENID not in words:
        raise SentBack(asked, "invalid_scope", "nothing of this can be granted to this app by this person")
    return words


def _own(request: Request, asked: Asked, one: Person) -> Asked:
    """For patients and proxies: the only record there is, or the one chosen while it is open to them."""
    if one.staff:
        return asked
    site = request.site
    found = who.records(site.database.read, one.user, site.clock.micros())
    if not found or (asked.patient and asked.patient not in found):
        raise SentBack(asked, "access_denied", "no record is open to this person")
    return replace(asked, patient=found[0]) if len(found) == 1 else asked


async def _consent(
    request: Request, asked: Asked, client: OAuthClient, one: Person, words: tuple[str, ...]
) -> Response:
    try:
        whose = await person.named(request, one, asked.patient) if asked.patient else ""
    except Forbidden as error:
        raise SentBack(asked, "access_denied", error.text) from None
    content = {"asked": asdict(asked), "session": one.session.hash.hex(), "words": list(words)}
    page = pages.page(
        request,
        "consent.html",
        app=client,
        host=urlsplit(asked.redirect).netloc or asked.redirect.partition(":")[0],
        whose=whose,
        person=one.user.name,
        offers=consent.offers(words),
        keep=consent.KEEP if granted.OFFLINE in words and "refresh_token" in client.grant_types else "",
        days=int(request.site.settings["oauth.offline_life"] // 86_400),
        identity=[kinds.IDENTITY[word] for word in words if word in kinds.IDENTITY],
        sealed=request.site.authority.sealer.seal(PAGE, content),
    )
    return choose.with_forms_to(page, asked.redirect)


async def decide(request: Request) -> Response:
    """The person's yes or no."""
    given = form(await request.body(LARGEST_FORM))
    authority, one = request.site.authority, person.of(request)
    kept = authority.sealer.open(PAGE, dict(given).get("request", ""))
    if kept["session"] != one.session.hash.hex():
        raise Forbidden("another person opened this page", mend="Go back to the app and begin again.")
    asked = Asked(**kept["asked"])
    client = _client(request, asked)
    try:
        location = await _decided(request, asked, client, one, kept["words"], given)
    except SentBack as refused:
        return await sent_back(request, refused)
    return pages.see(location)


async def _decided(
    request: Request, asked: Asked, client: OAuthClient, one: Person, words: list[str], given: list[tuple[str, str]]
) -> str:
    if dict(given).get("decision") != "allow":
        raise SentBack(asked, "access_denied", "the person said no")
    ticks = {value for name, value in given if name == "tick"}
    left = granted.grantable(consent.chosen(words, ticks), client.scopes, who.may(one.user))
    if any(granted.resource(word) for word in words) and not any(granted.resource(word) for word in left):
        raise SentBack(asked, "access_denied", "the person allowed none of it")
    try:
        asked = _own(request, asked, one)
        if asked.patient:
            await person.named(request, one, asked.patient)
        allowed = Allowed(one.user, one.session, left, _context(request, asked, one), request.remote)
        code = await codes.give(request.site.authority, asked, allowed)
    except OAuthRefused as error:
        raise SentBack(asked, error.error, error.text) from None
    except Forbidden as error:
        raise SentBack(asked, "access_denied", error.text) from None
    return back(asked, code=code)


def _context(request: Request, asked: Asked, one: Person) -> dict[str, object]:
    """Launch context for the token answer; of an app opened from here also what was open then, and how we look."""
    found: dict[str, object] = {}
    if asked.launch:
        authority = request.site.authority
        late = int(authority.settings["oauth.request_life"] * MICROS)
        launch = launches.find(authority.database.read, asked.launch, authority.clock.micros() - late)
        if launch is None:
            raise SentBack(asked, "access_denied", "this launch was used already")
        found = {name: value for name, value in launch.context.items() if name != "patient"}
        found["smart_style_url"] = authority.address(STYLE_PATH)
    if asked.encounter:
        found["encounter"] = asked.encounter
    return found


async def chosen(request: Request) -> Response:
    """Whose record, which visit; or the search for one."""
    given = dict(form(await request.body(LARGEST_FORM)))
    authority = request.site.authority
    asked = authorize.opened(authority, given.get("request", ""))
    try:
        client, one = _client(request, asked), _person(request, asked)
        made = await choose.taken(request, asked, client, one, given)
    except SentBack as refused:
        return await sent_back(request, refused)
    if isinstance(made, Response):
        return made
    return pages.see(f"/auth/continue?request={authorize.sealed(authority, made)}")


ROUTES = [
    Route("GET", "/auth/continue", go_on, access="caller"),
    Route("POST", "/auth/choose", chosen, access="caller"),
    Route("POST", "/auth/decide", decide, access="caller"),
]
