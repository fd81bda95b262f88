"""The addresses of FHIR's operations, made from their table (https://hl7.org/fhir/R4/operations.html)."""

from __future__ import annotations

from collections.abc import Iterable

import suture.services.operations.call as call
from suture.server import fhir
from suture.server.route import Handler, Request, Response, Route
from suture.services.interactions.rules import Preferences
from suture.services.operations.operation import Operation
from suture.services.operations.table import TABLE
from suture.standards.fhir import json


def routes(table: Iterable[Operation]) -> list[Route]:
    """A GET and a POST for every address; POST alone for what changes something."""
    made = []
    for operation in table:
        if operation.run is None:
            continue
        handler = _handler(operation)
        for pattern in operation.patterns:
            for method in ("POST",) if operation.changes else ("GET", "POST"):
                made.append(Route(method, f"/fhir{pattern}", handler, scope=operation.scope))
    return made


def _handler(operation: Operation) -> Handler:
    async def called(request: Request) -> Response:
        kind = fhir.format_of(request)
        body = json.read(await fhir.sent(request)) if request.method == "POST" and await request.body() else {}
        type = request.params.get("type", "") or _type(request.path)
        asked = call.Call(
            operation.name,
            type,
            request.params.get("id", ""),
            fhir.pairs_of(request),
            body if request.method == "POST" else None,
            Preferences.read(request.header(b"prefer")).lenient,
        )
        chart = request.site.interactions.chart
        return fhir.answered(await call.run_one(operation, chart, request.caller, asked), kind)

    called.__doc__ = operation.says
    return called


def _type(path: str) -> str:
    """The type when it is written out in the pattern."""
    first = path.removeprefix("/fhir/").partition("/")[0]
    return "" if first.startswith("$") else first


ROUTES = routes(TABLE)
