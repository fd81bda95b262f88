"""A deed of the console is written once: a form is sent on to a page (RFC 9110, 15.4.4), a program gets what was done as JSON."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import wraps
from typing import Any

from suture.server.admin import pages
from suture.server.route import Handler, Request, Response

Deed = Callable[[Request], Awaitable[Mapping[str, Any]]]


def form(deed: Deed, place: str) -> Handler:
    """Does it for a form; `place` is shown next: `/runs/{run}` with what the deed answers."""

    @wraps(deed)
    async def sent(request: Request) -> Response:
        done = await deed(request)
        return pages.see(place.format_map(done))

    return sent


def program(deed: Deed) -> Handler:
    """Does it for a program; the name and first line of the deed are those of the API's description."""

    @wraps(deed)
    async def called(request: Request) -> Response:
        return pages.as_json(await deed(request))

    return called
