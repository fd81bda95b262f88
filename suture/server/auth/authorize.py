"""/auth/authorize: takes an app's request by GET or POST, and sends the browser on to the person's pages with it, sealed.

https://hl7.org/fhir/smart-app-launch/app-launch.html#obtain-authorization-code
"""

from __future__ import annotations

from collections.abc import Sequence

from suture.access.caller import ANONYMOUS
from suture.access.oauth import authorize
from suture.access.oauth.authorize import SentBack
from suture.access.oauth.errors import OAuthRefused
from suture.server.admin import pages
from suture.server.formats import check_form
from suture.server.route import LARGEST_FORM, Request, Response, Route, form

LONGEST = 3_500  # characters of the sealed request, which goes through an address


async def by_get(request: Request) -> Response:
    """The request in the address."""
    return await _taken(request, request.pairs())


async def by_post(request: Request) -> Response:
    """The request in a form, for long scopes; from any site, as any app may ask."""
    check_form(request.header(b"content-type"))
    return await _taken(request, form(await request.body(LARGEST_FORM)))


async def _taken(request: Request, pairs: Sequence[tuple[str, str]]) -> Response:
    try:
        asked = authorize.read(request.site.authority, pairs)
        if "none" in asked.prompt.split():
            raise SentBack(asked, "interaction_required", "a person is always asked here")
        sealed = authorize.sealed(request.site.authority, asked)
        if len(sealed) > LONGEST:
            raise SentBack(asked, "invalid_request", "the request is too long")
    except SentBack as refused:
        return await sent_back(request, refused)
    except OAuthRefused as error:
        await request.site.denied(ANONYMOUS, request.remote, error.status)
        return pages.told(request, error)
    return pages.see(f"/auth/continue?request={sealed}")


async def sent_back(request: Request, refused: SentBack) -> Response:
    """The app hears the refusal, at its registered address."""
    await request.site.denied(request.caller, request.remote, refused.status)
    return pages.see(refused.location)


ROUTES = [
    Route("GET", "/auth/authorize", by_get, access="anonymous"),
    Route("POST", "/auth/authorize", by_post, access="anonymous"),
]
