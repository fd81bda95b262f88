"""What has not come to its end: runs that wait, deliveries that are tried again, and those whose outcome is not known."""

from __future__ import annotations

from suture.message import DeliveryState, RunState
from suture.server.admin import pages, rows
from suture.server.admin.shapes import WaitingDelivery, WaitingView
from suture.server.route import Request, Response, Route
from suture.store.connection import Connection
from suture.store.queue import deliveries, runs
from suture.store.queue.deliveries import Delivery

MOST = 100


def view(request: Request) -> WaitingView:
    """The newest of each."""
    read = request.site.database.read
    return {
        "runs": [rows.run(one) for one in runs.find(read, state=RunState.WAITING, count=MOST)],
        "retrying": [_row(read, one) for one in deliveries.find(read, state=DeliveryState.RETRYING, count=MOST)],
        "ambiguous": [_row(read, one) for one in deliveries.find(read, state=DeliveryState.AMBIGUOUS, count=MOST)],
    }


def _row(read: Connection, one: Delivery) -> WaitingDelivery:
    run = runs.get(read, one.run)
    return {
        "id": one.id,
        "run": run.id if run else "",
        "flow": run.flow if run else "",
        "step": one.step,
        "connection": one.connection,
        "state": str(one.state),
        "attempts": one.attempts,
        "created": rows.when(one.created),
        "next": rows.when(one.next_at),
        "error": one.error,
    }


async def waiting_page(request: Request) -> Response:
    """All three lists."""
    async with request.site.interactions.access(request.caller, "list", "Run", query="waiting"):
        return pages.page(request, "waiting.html", **view(request), most=MOST)


async def waiting_json(request: Request) -> Response:
    """Runs that wait, deliveries that are tried again or whose outcome is not known."""
    async with request.site.interactions.access(request.caller, "list", "Run", query="waiting"):
        return pages.as_json(view(request))


ROUTES = [
    Route("GET", "/waiting", waiting_page, "console.see"),
    Route("GET", "/api/waiting", waiting_json, "console.see", answer=WaitingView),
]
