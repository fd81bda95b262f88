"""Sends parcels through connectors: one sender per connection, chosen by its kind."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from suture.access.agreements import Agreements, Peer
from suture.clock import Clock
from suture.connectors.connection import Connection, loopback, origin
from suture.connectors.connection_auth import Secret
from suture.connectors.fhir import FhirSender, replaced
from suture.connectors.files import FileSender
from suture.connectors.http import HttpSender, Request, tls_context
from suture.connectors.mllp_sender import Patience
from suture.connectors.mllp_sender import Sender as MllpSender
from suture.engine.delivery import Parcel, Sender, Sent
from suture.engine.project import Project
from suture.engine.walk import Merging
from suture.errors import InvalidSyntax, NotFound, TooLarge
from suture.ports import Answer
from suture.settings import Settings
from suture.standards.fhir import json

KEPT_HEADERS = ("content-type", "etag", "location", "last-modified")


class Senders:
    """`senders(id)` opens a connection's sender; raises NotFound for a connection the project has not."""

    def __init__(
        self, project: Project, secret: Secret, settings: Settings, clock: Clock, agreements: Agreements
    ) -> None:
        self._project = project
        self._agreements = agreements
        self._secret = secret
        self._settings = settings
        self._clock = clock

    def __call__(self, name: str) -> Sender:
        connection = self._project.connections.get(name)
        if connection is None:
            raise NotFound(
                f"no connection named '{name}'",
                where="connections",
                mend=f"Write connections/{name}.yaml; then replay.",
            )
        sender = _KINDS[connection.kind](self, connection)
        sender.partner, sender.here = connection.partner, peer_of(connection).here
        sender.on_ambiguous = str(connection.with_.get("on_ambiguous") or "retry")
        sender.allowed = lambda: self.require_agreement(connection)
        return sender

    def require_agreement(self, connection: Connection) -> None:
        """Raises NoAgreement while nothing may be sent there."""
        self._agreements.require(peer_of(connection))

    def require_agreement_at(self, url: str) -> None:
        """The same for an address that no flow names: it counts as the connection with this origin, else as a stranger's."""
        to = origin(url)
        found = next(
            (one for one in self._project.connections.values() if one.kind != "file" and one.origin == to), None
        )
        here = loopback(urlsplit(to).hostname or "")
        self._agreements.require(peer_of(found) if found else Peer(to, "", "", here))

    def require_agreement_with(self, place: str, partner: str) -> None:
        """The same for a place that belongs to a partner and is no connection, such as an address of mail."""
        self._agreements.require(Peer(place, partner, "", False))

    def http_client(self, connection: Connection) -> HttpSender:
        return HttpSender(connection, self._secret, self._clock, float(self._settings["engine.send_timeout"]))

    def http(self, connection: Connection) -> Sender:
        return _Http(self.http_client(connection))

    def fhir(self, connection: Connection) -> Sender:
        return _Fhir(FhirSender(self.http_client(connection)))

    def mllp(self, connection: Connection) -> Sender:
        given = connection.with_
        patience = Patience(answer=connection.seconds("timeout", float(self._settings["engine.send_timeout"])))
        tls = tls_context(connection, self._secret) if given["tls"] else None
        lines = int(given["connections"])
        sender = MllpSender(str(given["host"]), int(given["port"]), tls=tls, connections=lines, patience=patience)
        return _Mllp(sender, lines)

    def file(self, connection: Connection) -> Sender:
        return _File(FileSender(connection, self._project.folder))


def peer_of(connection: Connection) -> Peer:
    """What a connection file says of the one behind it; who names a partner means somebody else, however near."""
    here = connection.local and not connection.partner
    return Peer(connection.id, connection.partner, connection.environment, here)


class _Http(Sender):
    """http.send."""

    def __init__(self, http: HttpSender) -> None:
        self.concurrency = int(http.connection.with_["concurrency"])
        self._http = http

    async def send(self, parcel: Parcel) -> Sent:
        head = parcel.head
        headers = {str(name): str(value) for name, value in head["headers"].items()}
        if head.get("idempotency_header"):
            headers.setdefault(str(head["idempotency_header"]), parcel.key)
        query = [(str(name), str(value)) for name, value in head["query"]]
        answer = await self._http.send(Request(str(head["method"]), str(head["path"]), query, headers, parcel.body))
        return Sent(output(answer), f"{answer.status}".encode())

    async def close(self) -> None:
        await self._http.close()


def output(answer: Answer) -> dict[str, Any]:
    """An HTTP answer as a step's output: JSON read, anything else as text."""
    headers = {name: answer.headers[name] for name in KEPT_HEADERS if name in answer.headers}
    body: Any = answer.body.decode("utf-8", "replace")
    if answer.body and "json" in headers.get("content-type", ""):
        with suppress(InvalidSyntax, TooLarge):
            body = json.read(answer.body)
    return {"status": answer.status, "headers": headers, "body": body}


class _Fhir(Sender):
    """fhir.search and fhir.write on another server."""

    def __init__(self, fhir: FhirSender) -> None:
        self.concurrency = int(fhir.http.connection.with_["concurrency"])
        self._fhir = fhir

    async def send(self, parcel: Parcel) -> Sent:
        return await _FHIR[parcel.kind](self._fhir, parcel)

    async def close(self) -> None:
        await self._fhir.close()


async def _search(fhir: FhirSender, parcel: Parcel) -> Sent:
    head = parcel.head
    pairs = [(str(name), str(value)) for name, value in head["search"]]
    return Sent(await fhir.search(str(head["type"]), pairs, int(head["pages"])))


async def _write(fhir: FhirSender, parcel: Parcel) -> Sent:
    merges = parcel.head.get("merges")
    return Sent(await fhir.write(json.read(parcel.body), replaced if merges is None else Merging(merges)))


_FHIR: Mapping[str, Callable[[FhirSender, Parcel], Awaitable[Sent]]] = {"fhir.search": _search, "fhir.write": _write}


class _Mllp(Sender):
    """mllp.send."""

    def __init__(self, mllp: MllpSender, connections: int) -> None:
        self.concurrency = connections
        self._mllp = mllp

    async def send(self, parcel: Parcel) -> Sent:
        answer = await self._mllp.send(parcel.body)
        return Sent({"code": answer.code}, answer.raw)

    async def close(self) -> None:
        await self._mllp.close()


class _File(Sender):
    """file.write."""

    concurrency = 4

    def __init__(self, files: FileSender) -> None:
        self._files = files

    async def send(self, parcel: Parcel) -> Sent:
        return Sent({"name": await self._files.send(str(parcel.head["name"]), parcel.body)})

    async def close(self) -> None:
        await self._files.close()


_KINDS: Mapping[str, Callable[[Senders, Connection], Sender]] = {
    "http": Senders.http,
    "fhir": Senders.fhir,
    "file": Senders.file,
    "mllp": Senders.mllp,
}
