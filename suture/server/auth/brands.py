"""The names and addresses of this house for anyone, from any origin (SMART App Launch 2.2, User-Access Brands).

https://hl7.org/fhir/smart-app-launch/brands.html
"""

from __future__ import annotations

from suture.errors import NotFound
from suture.server.route import FHIR_JSON, Request, Response, Route


async def bundle(request: Request) -> Response:
    """The bundle, or 304 when the app has it."""
    brands = request.site.brands
    if brands is None:
        raise NotFound(
            "no brands are published here", mend="Write brands.yaml in the project folder; see docs/apps.md."
        )
    headers = [
        (b"access-control-allow-origin", b"*"),
        (b"access-control-expose-headers", b"etag"),
        (b"cache-control", b"public, max-age=300"),
        (b"etag", brands.etag),
    ]
    asked = [one.strip().removeprefix("W/") for one in request.header(b"if-none-match").split(",")]
    if brands.etag.decode().removeprefix("W/") in asked or "*" in asked:
        return Response(304, headers=headers)
    return Response(200, brands.body, FHIR_JSON, headers)


ROUTES = [Route("GET", "/brands", bundle, access="anonymous")]
