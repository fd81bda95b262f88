"""The REST face of FHIR: what stands in method, URL and headers becomes a call of interactions, and back.

https://hl7.org/fhir/R4/http.html
"""

from __future__ import annotations

import asyncio
from email.utils import parsedate_to_datetime

import suture.services.interactions.patch as patches
import suture.services.operations.call as call
from suture.clock import http_date
from suture.errors import Issue, NotFound
from suture.server import binary, formats
from suture.server.route import FHIR_XML, LARGEST_FORM, XML, Headers, Request, Response, Route, form
from suture.services.interactions.answer import Answer
from suture.services.interactions.incoming import Translated
from suture.services.interactions.once import Once
from suture.services.interactions.rules import Conditions, Preferences
from suture.services.interactions.write import Outcome
from suture.standards.fhir import json, outcome, xml
from suture.store.resources import Row

_STATELESS = {"_format", "_pretty"}
_DONE = Issue("information", "informational", "the resource is stored")
_OPEN = [(b"access-control-allow-origin", b"*")]


async def metadata(request: Request) -> Response:
    """The CapabilityStatement, for anyone."""
    kind = format_of(request)
    body = await request.site.interactions.capabilities()
    return _shown(body, kind, headers=list(_OPEN))


async def read(request: Request) -> Response:
    native = request.params["type"] == binary.TYPE and binary.native(request)
    kind, pairs = b"" if native else format_of(request), pairs_of(request)
    if request.params["id"].startswith("$"):
        raise call.unknown(request.params["type"])
    row = await request.site.interactions.read(request.caller, request.params["type"], request.params["id"], pairs)
    if native:
        return _unchanged(request, row) or binary.shown(request, row, _stamp(row))
    return _conditional(request, row, kind)


async def vread(request: Request) -> Response:
    kind, pairs = format_of(request), pairs_of(request)
    p = request.params
    row = await request.site.interactions.vread(request.caller, p["type"], p["id"], p["version"], pairs)
    return _conditional(request, row, kind)


async def search(request: Request) -> Response:
    kind, lenient = format_of(request), _preferences(request).lenient
    found = await request.site.interactions.search(request.caller, _type(request), pairs_of(request), lenient=lenient)
    return answered(found, kind)


def _type(request: Request) -> str:
    """The type of the address, none at the base; raises NotFound for an operation that is not there."""
    type = request.params.get("type", "")
    if type.startswith("$"):
        raise call.unknown()
    return type


async def search_form(request: Request) -> Response:
    """POST …/_search: the parameters of the form and of the URL together."""
    kind = format_of(request)
    formats.check_form(request.header(b"content-type"))
    pairs = pairs_of(request) + form(await request.body(LARGEST_FORM))
    return answered(
        await request.site.interactions.search(
            request.caller,
            request.params.get("type", ""),
            [p for p in pairs if p[0] not in _STATELESS],
            lenient=_preferences(request).lenient,
        ),
        kind,
    )


async def search_within(request: Request) -> Response:
    """GET Patient/ID/Observation?… and Patient/ID/*: what is in a compartment."""
    if request.params["kind"].startswith("$"):
        raise call.unknown(request.params["type"], request.params["id"])
    return await _within(request, request.params["kind"], pairs_of(request))


async def search_within_form(request: Request) -> Response:
    """POST …/_search there; without a type, all of them."""
    formats.check_form(request.header(b"content-type"))
    pairs = [p for p in pairs_of(request) + form(await request.body(LARGEST_FORM)) if p[0] not in _STATELESS]
    return await _within(request, request.params.get("kind", "*"), pairs)


async def _within(request: Request, kind: str, pairs: list[tuple[str, str]]) -> Response:
    shown, p = format_of(request), request.params
    lenient = _preferences(request).lenient
    found = await request.site.interactions.search_within(
        request.caller, p["type"], p["id"], kind, pairs, lenient=lenient
    )
    return answered(found, shown)


async def history(request: Request) -> Response:
    kind = format_of(request)
    p = request.params
    answer = await request.site.interactions.history(
        request.caller, p.get("type", ""), p.get("id", ""), pairs_of(request)
    )
    return answered(answer, kind)


async def create(request: Request) -> Response:
    kind = format_of(request)
    body = (request.params["type"] == binary.TYPE and await binary.sent(request)) or await sent(request)
    done = await request.site.interactions.create(
        request.caller, _type(request), body, request.header(b"if-none-exist"), _once(request, body)
    )
    return _written(request, done, kind)


async def update(request: Request) -> Response:
    kind = format_of(request)
    raw = await binary.sent(request, request.params["id"]) if request.params["type"] == binary.TYPE else None
    body = raw or await sent(request)
    done = await request.site.interactions.update(
        request.caller, request.params["type"], request.params["id"], body, _conditions(request)
    )
    return _written(request, done, kind)


async def update_where(request: Request) -> Response:
    """PUT Type?…: update what the search finds, or create."""
    kind = format_of(request)
    body = await sent(request)
    done = await request.site.interactions.update_where(
        request.caller, request.params["type"], pairs_of(request), body, _conditions(request)
    )
    return _written(request, done, kind)


async def patch(request: Request) -> Response:
    """PATCH Type/id: JSON Patch, XML Patch or FHIRPath Patch, as Content-Type says."""
    kind, p = format_of(request), request.params
    change = await _change(request)
    done = await request.site.interactions.patch(
        request.caller, p["type"], p["id"], change, _conditions(request), await _once_sent(request)
    )
    return _written(request, done, kind)


async def patch_where(request: Request) -> Response:
    """PATCH Type?…: the one that the search finds."""
    kind, pairs = format_of(request), pairs_of(request)
    change = await _change(request)
    done = await request.site.interactions.patch_where(
        request.caller, request.params["type"], pairs, change, _conditions(request), await _once_sent(request)
    )
    return _written(request, done, kind)


async def _change(request: Request) -> patches.Change:
    read = {patches.JSON_PATCH: patches.of_json, patches.XML_PATCH: patches.of_xml}.get(
        formats.named(request.header(b"content-type"))
    )
    return read(await request.body()) if read else patches.of_parameters(json.read(await sent(request)))


async def delete(request: Request) -> Response:
    kind = format_of(request)
    done = await request.site.interactions.delete(
        request.caller, request.params["type"], request.params["id"], _conditions(request)
    )
    return _written(request, done, kind)


async def delete_where(request: Request) -> Response:
    """DELETE Type?…: the one that the search finds."""
    kind = format_of(request)
    done = await request.site.interactions.delete_where(
        request.caller, request.params["type"], pairs_of(request), _conditions(request)
    )
    return _written(request, done, kind)


async def bundle(request: Request) -> Response:
    """POST to the base: a batch or a transaction."""
    kind = format_of(request)
    body = await sent(request)
    once = _once(request, body)
    return answered(await request.site.interactions.bundle(request.caller, body, _preferences(request), once), kind)


def _once(request: Request, body: bytes) -> Once | None:
    """The request as one that may come again, when it has an Idempotency-Key."""
    key = request.header(b"idempotency-key")
    if not key:
        return None
    conditions = b"\n".join(request.headers.get(name, b"") for name in (b"if-none-exist", b"if-match", b"prefer"))
    asked = (request.method.encode(), request.raw_path.encode(), request.query_string, conditions, body)
    return Once.read(request.caller, key, asked, request.site.settings["fhir.idempotency_life"])


async def _once_sent(request: Request) -> Once | None:
    return _once(request, await request.body())


def format_of(request: Request) -> bytes:
    """The content type of the answer."""
    named = ""
    if b"_format" in request.query_string:
        named = next((value for name, value in request.pairs() if name == "_format"), "")
    return formats.wanted(request.header(b"accept"), named)


def pairs_of(request: Request) -> list[tuple[str, str]]:
    """The parameters of the URL that are not about its form."""
    if not request.query_string:
        return []
    return [pair for pair in request.pairs() if pair[0] not in _STATELESS]


def _preferences(request: Request) -> Preferences:
    return Preferences.read(request.header(b"prefer"))


def _conditions(request: Request) -> Conditions:
    return Conditions(if_match=request.header(b"if-match"), if_none_match=request.header(b"if-none-match"))


async def sent(request: Request) -> bytes:
    """The resource that was sent: JSON as its bytes, XML read into what JSON would have been."""
    kind = formats.sent(request.header(b"content-type"))
    body = await request.body()
    return await asyncio.to_thread(_as_json, body) if kind == FHIR_XML else body


def _as_json(body: bytes) -> bytes:
    return Translated(json.write(xml.read(body)))


def _shown(body: bytes, kind: bytes, status: int = 200, headers: Headers | None = None) -> Response:
    """An answer in the format that was asked for; what is kept is JSON."""
    if kind in (FHIR_XML, XML):
        body = xml.write(json.read(body))
    return Response(status, body, kind, headers or [])


def answered(answer: Answer, kind: bytes) -> Response:
    """What interactions or operations came to, in the format that was asked for."""
    return _shown(answer.body, kind, answer.status)


def _conditional(request: Request, row: Row, kind: bytes) -> Response:
    """200 with the body, or 304 when the caller has this version."""
    return _unchanged(request, row) or _shown(row.body, kind, 200, _stamp(row))


def _unchanged(request: Request, row: Row) -> Response | None:
    """304 when the caller has this version (RFC 9110, 13.1.2 and 13.1.3)."""
    known = request.header(b"if-none-match")
    if known:
        same = _names(known, row.version)
    else:
        same = b"if-modified-since" in request.headers and row.updated // 1_000_000 <= _moment(request)
    return Response(304, headers=_stamp(row)) if same else None


def _names(known: str, version: int) -> bool:
    tags = {tag.strip().removeprefix("W/").strip('"') for tag in known.split(",")}
    return "*" in tags or str(version) in tags


def _moment(request: Request) -> float:
    """If-Modified-Since in seconds; one that is no date is passed over, as RFC 9110 says."""
    try:
        return parsedate_to_datetime(request.header(b"if-modified-since")).timestamp()
    except (ValueError, TypeError, OverflowError):
        return -1.0


def _stamp(row: Row) -> Headers:
    return [
        (b"etag", b'W/"%d"' % row.version),
        (b"last-modified", http_date(row.updated // 1_000_000).encode()),
    ]


def _written(request: Request, done: Outcome, kind: bytes) -> Response:
    row = done.row
    if row is None or row.deleted:
        return Response(done.status, headers=_stamp(row) if row else [])
    headers = _stamp(row)
    place = f"{request.site.fhir_url}/{row.type}/{row.id}/_history/{row.version}".encode()
    headers += [(b"location", place)] if done.status == 201 else [(b"content-location", place)]
    returns = _preferences(request).returns
    if returns == "minimal":
        return Response(done.status, headers=headers)
    body = row.body if returns == "representation" else json.write(outcome.outcome([_DONE]))
    return _shown(body, kind, done.status, headers)


async def well_known(request: Request) -> Response:
    """What is not there is not pretended."""
    raise NotFound("nothing at this address", where="url")


ROUTES = [
    Route("GET", "/fhir/metadata", metadata, access="anonymous"),
    Route("GET", "/fhir/.well-known/{rest...}", well_known, access="anonymous"),
    Route("POST", "/fhir", bundle, scope="each entry's own"),
    Route("GET", "/fhir", search, scope="s of every type asked for"),
    Route("POST", "/fhir/_search", search_form, scope="s of every type asked for"),
    Route("GET", "/fhir/_history", history, scope="s of every type"),
    Route("GET", "/fhir/{type}", search, scope="s"),
    Route("POST", "/fhir/{type}/_search", search_form, scope="s"),
    Route("POST", "/fhir/{type}", create, scope="c; s too with If-None-Exist"),
    Route("PUT", "/fhir/{type}", update_where, scope="u and s"),
    Route("PATCH", "/fhir/{type}", patch_where, scope="u, r and s"),
    Route("DELETE", "/fhir/{type}", delete_where, scope="d and s"),
    Route("GET", "/fhir/{type}/_history", history, scope="s"),
    Route("GET", "/fhir/{type}/{id}", read, scope="r"),
    Route("PUT", "/fhir/{type}/{id}", update, scope="u"),
    Route("PATCH", "/fhir/{type}/{id}", patch, scope="u and r"),
    Route("DELETE", "/fhir/{type}/{id}", delete, scope="d"),
    Route("GET", "/fhir/{type}/{id}/_history", history, scope="r"),
    Route("GET", "/fhir/{type}/{id}/_history/{version}", vread, scope="r"),
    Route("GET", "/fhir/{type}/{id}/{kind}", search_within, scope="s of the types asked for"),
    Route("POST", "/fhir/{type}/{id}/_search", search_within_form, scope="s of the types asked for"),
    Route("POST", "/fhir/{type}/{id}/{kind}/_search", search_within_form, scope="s of the types asked for"),
]
