"""An endpoint that takes notifications: a real HTTP server that keeps what came and answers as told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from suture.connectors.outbound import Outbound

BACKPORT = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/"
TOPICS = "https://suture.health/fhir/SubscriptionTopic/"


@dataclass
class Hook:
    """`status` answers the next calls; `wait` makes it slow."""

    port: int = 0
    status: int = 200
    wait: float = 0.0
    came: list[tuple[dict[str, str], dict[str, Any]]] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)
    calls: list[tuple[str, dict[str, str], bytes]] = field(
        default_factory=list
    )  # of searches: first line, headers, body

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/notify"

    @property
    def bundles(self) -> list[dict[str, Any]]:
        return [bundle for _, bundle in self.came]

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [bundle for bundle in self.bundles if told(bundle)["type"] == kind]

    def numbers(self) -> list[int]:
        """The event numbers in the order in which they came."""
        return [number for bundle in self.of("event-notification") for number in numbers(bundle)]

    async def until(self, enough: Callable[[], bool], seconds: float = 30.0) -> None:
        for _ in range(int(seconds / 0.02)):
            if enough():
                return
            await asyncio.sleep(0.02)
        raise AssertionError(f"it did not come: {self.bundles}")

    def _took(self, line: str, headers: dict[str, str], body: bytes) -> None:
        made = json.loads(body) if headers.get("content-type", "").endswith("json") else {}
        if made.get("resourceType") == "Bundle":
            self.came.append((headers, made))
        else:
            self.calls.append((line.removesuffix(" HTTP/1.1"), headers, body))

    def paths(self, starting: str) -> list[str]:
        """METHOD and path of the calls to one place, in order."""
        return [line for line, _, _ in self.calls if line.partition(" ")[2].startswith(starting)]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                lines = head.decode("latin-1").split("\r\n")[1:-2]
                headers = dict(line.split(": ", 1) for line in lines)
                small = {name.lower(): value for name, value in headers.items()}
                body = await reader.readexactly(int(small.get("content-length", "0")))
                self.raw.append(head)
                status = self.status
                if 200 <= status < 300:
                    self._took(head.split(b"\r\n")[0].decode(), small, body)
                await asyncio.sleep(self.wait)
                writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n".encode())
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def hook() -> AsyncIterator[Hook]:
    made = Hook()
    server = await asyncio.start_server(made._serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()


def searching(url: str, criteria: str, payload: str = "", **channel: Any) -> dict[str, Any]:
    """One whose criteria is a search."""
    made: dict[str, Any] = {"type": "rest-hook", "endpoint": url} | ({"payload": payload} if payload else {}) | channel
    return {
        "resourceType": "Subscription", "status": "requested", "reason": "tests", "criteria": criteria, "channel": made,
    }  # fmt: skip


def let(outbound: Outbound, hooked: Hook) -> None:
    """A further endpoint may be contacted by a server that runs already."""
    outbound._allowed._add(f"http://127.0.0.1:{hooked.port}")
    outbound._allowed._places.add(("127.0.0.1", hooked.port))


def told(bundle: dict[str, Any]) -> dict[str, Any]:
    """The simple values of the status."""
    rows = bundle["entry"][0]["resource"]["parameter"]
    return {
        row["name"]: next(value for key, value in row.items() if key.startswith("value"))
        for row in rows
        if "part" not in row
    }


def happened(bundle: dict[str, Any]) -> list[dict[str, list[Any]]]:
    """The events of a notification: name -> values."""
    found = []
    for row in bundle["entry"][0]["resource"]["parameter"]:
        if row["name"] == "notification-event":
            event: dict[str, list[Any]] = {}
            for part in row["part"]:
                event.setdefault(part["name"], []).append(next(v for k, v in part.items() if k.startswith("value")))
            found.append(event)
    return found


def numbers(bundle: dict[str, Any]) -> list[int]:
    return [int(event["event-number"][0]) for event in happened(bundle)]


def subscription(
    url: str, topic: str = "patient-changed", content: str = "id-only", filters: tuple[str, ...] = (), **more: Any
) -> dict[str, Any]:
    """A topic-based subscription; `more`: heartbeat, timeout, most, header, end, status."""
    extensions = [("backport-heartbeat-period", "valueUnsignedInt", more.get("heartbeat"))]
    extensions += [("backport-timeout", "valueUnsignedInt", more.get("timeout"))]
    extensions += [("backport-max-count", "valuePositiveInt", more.get("most"))]
    channel: dict[str, Any] = {
        "type": "rest-hook",
        "endpoint": url,
        "payload": "application/fhir+json",
        "_payload": {"extension": [{"url": BACKPORT + "backport-payload-content", "valueCode": content}]},
    }
    channel["extension"] = [{"url": BACKPORT + name, kind: value} for name, kind, value in extensions if value]
    if not channel["extension"]:
        del channel["extension"]
    if more.get("header"):
        channel["header"] = more["header"]
    made: dict[str, Any] = {
        "resourceType": "Subscription", "meta": {"profile": [BACKPORT + "backport-subscription"]}, "status": "requested",
        "reason": "tests", "criteria": topic if ":" in topic else TOPICS + topic, "channel": channel,
    }  # fmt: skip
    if filters:
        made["_criteria"] = {
            "extension": [{"url": BACKPORT + "backport-filter-criteria", "valueString": one} for one in filters]
        }
    return made | {key: more[key] for key in ("end", "status") if key in more}
