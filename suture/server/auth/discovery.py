"""Where an app finds everything: the two well-known documents, the public keys, the style; for anyone, from any origin.

https://hl7.org/fhir/smart-app-launch/conformance.html
"""

from __future__ import annotations

import hashlib
from typing import Any

import orjson

from suture.access.oauth import discovery
from suture.errors import NotFound
from suture.server.route import JSON, Request, Response, Route

OPEN = [(b"access-control-allow-origin", b"*"), (b"cache-control", b"public, max-age=300")]
# How our own pages look, for apps that can look alike (SMART, styling).
STYLE = orjson.dumps(
    {
        "color_background": "#f5f7f8",
        "color_error": "#a8231b",
        "color_highlight": "#0b6b5e",
        "color_modal_backdrop": "rgba(27, 37, 48, 0.5)",
        "color_success": "#19703a",
        "color_text": "#1b2530",
        "dim_border_radius": "8px",
        "dim_font_size": "15px",
        "dim_spacing_size": "16px",
        "font_family_body": "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif",
        "font_family_heading": "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif",
    }
)
_VERSION = hashlib.sha256(STYLE).hexdigest()[:16]
STYLE_PATH = f"/auth/style/{_VERSION}.json"


def _base(request: Request) -> str:
    return str(request.site.settings["http.base_url"]).rstrip("/")


def more(request: Request) -> dict[str, str]:
    """Further endpoints that are there when a setting says so, by their name in the documents."""
    return {"registration_endpoint": "/auth/register"} if request.site.settings["oauth.register"] else {}


def _brands(request: Request) -> dict[str, Any]:
    """Where this house's names are, and which of them is the first."""
    found = request.site.brands
    if found is None:
        return {}
    return {
        "user_access_brand_bundle": f"{_base(request)}/brands",
        "user_access_brand_identifier": dict(found.identifier),
    }


async def smart_configuration(request: Request) -> Response:
    told = discovery.smart(_base(request), more(request)) | _brands(request)
    return Response(200, orjson.dumps(told), JSON, list(OPEN))


async def openid_configuration(request: Request) -> Response:
    return Response(200, orjson.dumps(discovery.openid(_base(request), more(request))), JSON, list(OPEN))


async def jwks(request: Request) -> Response:
    """The public halves of the keys that sign id_tokens (RFC 7517)."""
    return Response(200, orjson.dumps(await request.site.authority.keys.published()), JSON, list(OPEN))


async def style(request: Request) -> Response:
    """The address is the version: it changes with the content."""
    if request.params["name"] != f"{_VERSION}.json":
        raise NotFound("nothing at this address")
    return Response(200, STYLE, JSON, list(OPEN))


ROUTES = [
    Route("GET", "/fhir/.well-known/smart-configuration", smart_configuration, access="anonymous"),
    Route("GET", "/fhir/.well-known/openid-configuration", openid_configuration, access="anonymous"),
    Route("GET", "/auth/jwks", jwks, access="anonymous"),
    Route("GET", "/auth/style/{name}", style, access="anonymous"),
]
