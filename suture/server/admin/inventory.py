"""The inventory: what this installation is made of, which doors are open, whom it talks to, which certificates end when."""

from __future__ import annotations

from urllib.parse import urlsplit

from suture.engine import inventory
from suture.engine.engine import Engine
from suture.engine.inventory import InventoryView, PortView
from suture.server.admin import pages
from suture.server.admin.rooms import engine
from suture.server.route import JSON, Request, Response, Route


def view(request: Request) -> InventoryView:
    """All of it, as it is now."""
    running, settings = engine(request), request.site.settings
    found = inventory.programs()
    return {
        "suture": found["suture"],
        "python": found["python"],
        "sqlite": found["sqlite"],
        "system": found["system"],
        "components": inventory.components(),
        "ports": [_web(request), *_mllp(request, running)],
        "peers": [
            *inventory.peers(running.project.connections.values(), running.agreements),
            *inventory.mail(settings),
        ],
        "flows": [inventory.data_flow(version.flow) for version in running.versions.active.values()],
        "certificates": inventory.certificates(settings, running.project.connections, request.site.clock.now()),
    }


def _web(request: Request) -> PortView:
    settings = request.site.settings
    host, port = settings["http.host"], settings["http.port"] or urlsplit(settings["http.base_url"]).port or 0
    return {"protocol": "HTTP", "host": host, "port": port, "tls": bool(settings["http.tls_certificate"]), "flows": []}


def _mllp(request: Request, running: Engine) -> list[PortView]:
    tls, flows = bool(request.site.settings["mllp.tls_certificate"]), running.accept.doors.flows
    return [
        {
            "protocol": "MLLP",
            "host": one.host,
            "port": one.port,
            "tls": tls,
            "flows": [version.flow.id for version in flows.get(one.source, ())],
        }
        for one in running.listeners
    ]


async def inventory_page(request: Request) -> Response:
    """Everything on one page."""
    async with request.site.interactions.access(request.caller, "list", "Inventory"):
        return pages.page(request, "inventory.html", **view(request))


async def inventory_json(request: Request) -> Response:
    """Components, versions, open ports, peers, data flows, certificates."""
    async with request.site.interactions.access(request.caller, "list", "Inventory"):
        return pages.as_json(view(request))


async def bill_json(request: Request) -> Response:
    """The bill of materials of this release (CycloneDX 1.6)."""
    async with request.site.interactions.access(request.caller, "read", "Inventory", "sbom"):
        return Response(200, inventory.bill(), JSON)


ROUTES = [
    Route("GET", "/inventory", inventory_page, "inventory.read"),
    Route("GET", "/api/inventory", inventory_json, "inventory.read", answer=InventoryView),
    Route("GET", "/api/sbom", bill_json, "inventory.read"),
]
