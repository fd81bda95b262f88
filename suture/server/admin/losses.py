"""The loss report: which source fields of which flow no row of a map reads, and how often they come."""

from __future__ import annotations

from suture.engine import losses
from suture.engine.losses import Loss
from suture.server.admin import pages
from suture.server.admin.rooms import engine
from suture.server.admin.shapes import FeedLoss, LossView
from suture.server.route import Request, Response, Route

LAST = 100  # runs of each flow


async def view(request: Request) -> LossView:
    """Every active flow that maps, by its last runs."""
    versions, read = engine(request).versions, request.site.database.read
    found = [
        (await losses.of_flow(read, flow, versions, LAST), version.flow.title)
        for flow, version in versions.active.items()
        if version.maps
    ]
    return {"feeds": [_feed(loss, title) for loss, title in found]}


def _feed(loss: Loss, title: str) -> FeedLoss:
    fields = sorted(loss.fields.items(), key=lambda one: (-one[1], one[0]))
    return {
        "flow": loss.flow,
        "title": title,
        "looked": loss.looked,
        "fields": [
            {"field": name, "count": count, "share": round(count / loss.looked, 4), "run": loss.newest[name]}
            for name, count in fields
        ],
    }


async def losses_page(request: Request) -> Response:
    """The report."""
    async with request.site.interactions.access(request.caller, "list", "Loss"):
        return pages.page(request, "losses.html", **await view(request), last=LAST)


async def losses_json(request: Request) -> Response:
    """Source fields that no row of a map reads, by flow, over its last runs."""
    async with request.site.interactions.access(request.caller, "list", "Loss"):
        return pages.as_json(await view(request))


ROUTES = [
    Route("GET", "/losses", losses_page, "console.see"),
    Route("GET", "/api/losses", losses_json, "console.see", answer=LossView),
]
