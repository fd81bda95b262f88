"""Webhooks: a flow's http.listen source at /hooks/{flow}; 202 with the message's id only after the message is on disk."""

from __future__ import annotations

import orjson

from suture.errors import InvalidSyntax, Unavailable
from suture.server.route import Request, Response, Route


async def hook(request: Request) -> Response:
    """Takes one event; the flow's own secret is its proof."""
    engine = request.site.engine
    if engine is None:
        raise Unavailable("no flows run here")
    flow = request.params["flow"]
    most = engine.hook_size(flow)
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in request.headers.items()}
    receipt = await engine.hook(flow, headers, await request.body(most))
    if receipt.rejected:
        raise InvalidSyntax("the body is not a JSON object", where="body", mend="Send one {…}. It is kept and listed.")
    return Response(202, orjson.dumps({"id": receipt.message_id, "duplicate": receipt.duplicate}))


ROUTES = [Route("POST", "/hooks/{flow}", hook, access="anonymous", scope="the secret of the flow's source")]
