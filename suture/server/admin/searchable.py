"""The search parameters of the site's own, and how far the index of each is."""

from __future__ import annotations

from typing import TypedDict

from suture.server.admin import pages
from suture.server.route import Request, Response, Route
from suture.store import parameters


class ParameterView(TypedDict):
    """One of them; `done` of `all` row numbers are looked through."""

    code: str
    url: str
    types: list[str]
    state: str
    done: int
    all: int


class ParametersView(TypedDict):
    parameters: list[ParameterView]


def view(request: Request) -> ParametersView:
    """All of them, in the order in which they came."""
    found = parameters.standings(request.site.database.read)
    return {
        "parameters": [
            {"code": s.code, "url": s.url, "types": list(s.types), "state": s.state, "done": s.done, "all": s.all}
            for s in found
        ]
    }


async def parameters_json(request: Request) -> Response:
    """Search parameters of one's own: waiting, building, on or leaving."""
    async with request.site.interactions.access(request.caller, "list", "SearchParameter"):
        return pages.as_json(view(request))


ROUTES = [Route("GET", "/api/search-parameters", parameters_json, "inventory.read", answer=ParametersView)]
