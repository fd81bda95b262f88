"""A whole server with gateway routes to upstreams on real sockets, and keys for their callers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from suture.services.gateway import bounds, callers
from suture.services.gateway.gateway import Gateway
from suture.store import audit, gateway_keys
from tests.connectors.site import Got, Say
from tests.server.running import Running, serving

ALL = "to: lab\nmethods: [GET, HEAD, OPTIONS, POST, PUT, PATCH, DELETE]"


def echo(got: Got) -> Say:
    return Say(200, {"method": got.method, "target": got.target, "body": got.body.decode("latin-1")})


@dataclass
class Gate:
    """`key` makes one; `raw` sends bytes and returns what came back until the connection closed."""

    server: Running
    http: httpx.AsyncClient  # without any credential

    @property
    def gateway(self) -> Gateway:
        found = self.server.app.gateway
        assert found is not None
        return found

    def key(self, *routes: str, limits: str = "", expires: int = 0, **more: Any) -> dict[str, str]:
        value = callers.new_key()
        attributes = {"routes": routes, "limits": bounds.words(limits).numbers, **more}
        name = f"k{len(gateway_keys.listing(self.server.app.database.read))}"
        self.server.app.database.write_now(lambda tx: gateway_keys.add(tx, name, value, attributes, expires))
        return {"X-API-Key": value}

    def trail(self) -> list[tuple[str, str, str, int]]:
        """The gateway's rows of the audit trail: who, route, method, outcome."""
        rows = [entry.row for entry in reversed(audit.find(self.server.app.database.read, count=1000))]
        return [(row.who.partition(":")[0], row.type, row.query, row.outcome) for row in rows if row.what == "gateway"]

    async def raw(self, sent: bytes, wait: float = 5.0) -> bytes:
        host, _, port = self.server.url.partition("://")[2].partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(sent)
        try:
            async with asyncio.timeout(wait):
                return await reader.read()
        finally:
            writer.close()


@asynccontextmanager
async def gate(folder: Path, routes: dict[str, str], bases: dict[str, str], **values: Any) -> AsyncIterator[Gate]:
    """`routes`: id -> the rest of its file; `bases`: connection id -> base, and whatever its file says more."""
    for name, text in routes.items():
        file = folder / "routes" / f"{name}.yaml"
        file.parent.mkdir(exist_ok=True)
        file.write_text(text if text.startswith("suture:") else f"suture: route/1\nid: {name}\n{text}\n")
    for name, base in bases.items():
        file = folder / "connections" / f"{name}.yaml"
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"suture: connection/1\nid: {name}\nuses: http\nbase: {base}\n")
    async with serving(folder, **values) as server, httpx.AsyncClient(base_url=server.url, timeout=20) as http:
        yield Gate(server, http)
