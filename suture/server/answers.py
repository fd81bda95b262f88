"""Errors as answers: an OperationOutcome on FHIR addresses, a page (or the way to sign in) for a browser, plain JSON elsewhere.

https://hl7.org/fhir/R4/operationoutcome.html
"""

from __future__ import annotations

from urllib.parse import quote

import orjson

from suture.access.refusals import ConfirmationNeeded, LinkEnded
from suture.errors import InvalidToken, SutureError, Unavailable
from suture.server.admin import pages
from suture.server.identify import local, sign_in_address
from suture.server.log import Log
from suture.server.route import FHIR_JSON, JSON, Headers, Request, Response
from suture.server.router import MethodNotOffered
from suture.services.gateway.limits import TooMany
from suture.standards.fhir import json, outcome

FHIR_PREFIXES = ("/fhir", "/bulk/")
JSON_PREFIXES = ("/api/", "/gateway")


class Unexpected(SutureError):
    """A fault of ours; the log has its places under the request's id."""


def from_error(request: Request, error: Exception, log: Log) -> Response:
    """The answer to any error; what nobody foresaw is logged by kind and place and told by the request's id."""
    if not isinstance(error, SutureError):
        log.fault(request.id, error)
        error = Unexpected(f"an unexpected fault, request {request.id}", mend="Its places are in the server's log.")
    if request.path.startswith(FHIR_PREFIXES):
        body, kind = json.write(outcome.from_error(error)), FHIR_JSON
    elif b"text/html" in request.headers.get(b"accept", b"") and not request.path.startswith(JSON_PREFIXES):
        answer = _page(request, error)
        answer.headers += _headers(error)
        return answer
    else:
        body, kind = orjson.dumps(plain(error)), JSON
    return Response(error.status, body, kind, _headers(error))


def _page(request: Request, error: SutureError) -> Response:
    """What a browser is shown: the way to sign in or to confirm, a page that fits the person, or what went wrong."""
    if error.status == 401 and not isinstance(error, LinkEnded):
        return pages.see(sign_in_address(request))
    if isinstance(error, ConfirmationNeeded):
        return pages.see(f"/confirm?to={quote(_back(request), safe='')}")
    if error.status == 403 and request.path == "/" and request.method == "GET" and request.caller.kind == "user":
        return pages.see(pages.home(request.caller))
    return pages.told(request, error)


def _back(request: Request) -> str:
    """The page a form stood on: forms are sent to addresses below it."""
    return local(request.path.rstrip("/").rpartition("/")[0]) or "/"


def plain(error: SutureError) -> dict[str, str]:
    """An error for addresses that don't speak FHIR."""
    return {"error": error.code, "text": error.text, "where": error.where, "mend": error.mend}


def _headers(error: SutureError) -> Headers:
    if error.status == 401:
        wrong = b', error="invalid_token"' if isinstance(error, InvalidToken) else b""
        return [(b"www-authenticate", b'Bearer realm="suture"' + wrong)]
    if isinstance(error, TooMany):
        return list(error.headers)
    if isinstance(error, MethodNotOffered):
        return [(b"allow", ", ".join(error.offered).encode())]
    if isinstance(error, Unavailable) and error.retry:
        return [(b"retry-after", str(max(1, round(error.after))).encode())]
    return []
