"""The OpenAPI document of /api, made from the table of routes: what is not in the table is not in the document.

https://spec.openapis.org/oas/v3.1.0
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
import orjson

from suture import __version__
from suture.server.route import JSON, Request, Response, Route

PREFIX = "/api/"
ERROR = {"$ref": "#/components/schemas/Error"}
_PARAMETER = re.compile(r"\{(\w+)\}")


def document(table: Iterable[Route]) -> dict[str, Any]:
    """The document for the routes under /api."""
    routes = [route for route in table if route.pattern.startswith(PREFIX)]
    shapes = list({route.answer for route in routes if route.answer is not None})
    schemas = msgspec.json.schema_components(shapes, ref_template="#/components/schemas/{name}")[1]
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.pattern, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Suture console and administration",
            "version": __version__,
            "description": "For sessions whose person has the permission that stands with each address. Every look leaves an audit row; "
            "contents are masked until they are revealed for a reason.",
        },
        "paths": paths,
        "components": {
            "schemas": {**schemas, "Error": _error()},
            "securitySchemes": {"session": {"type": "apiKey", "in": "cookie", "name": "suture_session"}},
        },
        "security": [{"session": []}],
    }


def _operation(route: Route) -> dict[str, Any]:
    made: dict[str, Any] = {
        "operationId": f"{route.handler.__module__.rpartition('.')[2]}_{route.handler.__name__.removesuffix('_json')}",
        "summary": (route.handler.__doc__ or "").strip().split("\n")[0],
        "parameters": [_in("path", name, "", True) for name in _PARAMETER.findall(route.pattern)]
        + [_in("query", name, help, False) for name, help in route.query.items()],
        "responses": {
            "200": {"description": "done", "content": {"application/json": {"schema": _shape(route.answer)}}},
            "default": {"description": "an error", "content": {"application/json": {"schema": ERROR}}},
        },
    }
    if route.fields:
        schema = {"type": "object", "properties": _texts(route.fields), "additionalProperties": False}
        made["requestBody"] = {
            "content": {kind: {"schema": schema} for kind in ("application/json", "application/x-www-form-urlencoded")}
        }
    return made


def _in(place: str, name: str, help: str, required: bool) -> dict[str, Any]:
    said = {"description": help} if help else {}
    return {"name": name, "in": place, "required": required, **said, "schema": {"type": "string"}}


def _texts(fields: Mapping[str, str]) -> dict[str, Any]:
    return {name: {"type": "string", "description": help} for name, help in fields.items()}


def _shape(answer: Any) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{answer.__name__}"} if answer is not None else {"type": "object"}


def _error() -> dict[str, Any]:
    return {"type": "object", "properties": _texts({"error": "code", "text": "what", "where": "place", "mend": "mend"})}


def routes(table: Iterable[Route]) -> list[Route]:
    """The route that answers the document of a table, itself included."""
    made: list[Route] = []
    kept: list[bytes] = []

    async def described(request: Request) -> Response:
        """This document."""
        if not kept:
            kept.append(orjson.dumps(document([*table, *made])))
        return Response(200, kept[0], JSON)

    made.append(Route("GET", "/api/openapi.json", described, "console.see"))
    return made
