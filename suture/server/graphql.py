"""The HTTP face of $graphql (https://hl7.org/fhir/R4/graphql.html, https://graphql.github.io/graphql-over-http/)."""

from __future__ import annotations

from typing import Any

from suture.errors import Invalid, InvalidSyntax
from suture.server import fhir
from suture.server.route import JSON, Request, Response, Route, WrongType
from suture.services.graphql import question
from suture.standards.fhir import json

GRAPHQL = "application/graphql"


async def asked(request: Request) -> Response:
    """GET with the query in the URL, or POST with it as JSON or text."""
    values = await _posted(request) if request.method == "POST" else _of_url(request)
    made = question.Question.read(values, request.params.get("type", ""), request.params.get("id", ""))
    found = await question.answer(request.site.interactions.chart, request.caller, made)
    return Response(found.status, found.body, JSON)


def _of_url(request: Request) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, value in fhir.pairs_of(request):
        if name in values or name not in ("query", "operationName", "variables"):
            raise Invalid(
                "$graphql has no such parameter, or has it once",
                where=name[:100],
                mend="It knows query, operationName, variables.",
            )
        values[name] = value
    if "variables" in values:
        values["variables"] = json.read(values["variables"].encode())
    return values


async def _posted(request: Request) -> dict[str, Any]:
    kind = request.header(b"content-type").split(";")[0].strip().lower()
    body = await request.body()
    if kind == "application/json":
        return {**_of_url(request), **json.read(body)}
    if kind != GRAPHQL:
        raise WrongType("not a kind of query", where="Content-Type", mend=f"Send application/json or {GRAPHQL}.")
    try:
        return {**_of_url(request), "query": body.decode()}
    except UnicodeDecodeError:
        raise InvalidSyntax("the query is not UTF-8", where="query") from None


_SCOPE = "r and s of every type that is asked for"
ROUTES = [
    Route(method, pattern, asked, scope=_SCOPE)
    for method in ("GET", "POST")
    for pattern in ("/fhir/$graphql", "/fhir/{type}/{id}/$graphql")
]
