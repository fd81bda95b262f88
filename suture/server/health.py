"""Is it alive, is it ready: two addresses that need no caller and tell nothing else."""

from __future__ import annotations

import orjson

from suture.errors import Unavailable
from suture.server.route import Request, Response, Route


async def live(request: Request) -> Response:
    """The loop turns."""
    return Response(body=b'{"status":"live"}')


async def ready(request: Request) -> Response:
    """The database can be read and written."""
    try:
        request.site.database.require_writable()
    except Unavailable as error:
        return Response(503, orjson.dumps({"status": "not ready", "text": error.text}))
    return Response(body=b'{"status":"ready"}')


ROUTES = [
    Route("GET", "/health/live", live, access="anonymous"),
    Route("GET", "/health/ready", ready, access="anonymous"),
]
