"""Connects only to addresses that were checked: a name is resolved once and the socket goes to what was judged.

The certificate is still checked for the name, so neither DNS rebinding nor a look-alike helps (RFC 9110, 4.3.4).
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpcore
import httpx

from suture.connectors import networks
from suture.connectors.allowed import Allowed
from suture.connectors.networks import Address
from suture.connectors.target import target

Resolve = Callable[[str], Awaitable[list[str]]]  # a host name -> the addresses it stands for; raises OSError

_ASKING = ThreadPoolExecutor(
    8, thread_name_prefix="names"
)  # names that hang must not hold up other work of the process


async def system_resolve(host: str) -> list[str]:
    """What the system's resolver says, in its order."""
    loop = asyncio.get_running_loop()
    found = await loop.run_in_executor(_ASKING, lambda: socket.getaddrinfo(host, None, type=socket.SOCK_STREAM))
    return list(dict.fromkeys(str(row[4][0]) for row in found))


async def addresses(host: str, port: int, allowed: Allowed, resolve: Resolve) -> list[Address]:
    """Every address of a host, each one judged: one that is refused refuses the host. Raises OSError without any."""
    literal = networks.read(host)
    answers = [host] if literal else await resolve(host)
    found = [address for text in answers if (address := networks.read(text.partition("%")[0]))]
    if not found:
        raise OSError("no address")
    for address in found:
        allowed.reach(host, port, address)
    return found


class Gate(httpcore.AsyncNetworkBackend):
    """httpcore's way to the network."""

    def __init__(self, allowed: Allowed, resolve: Resolve) -> None:
        self._allowed = allowed
        self._resolve = resolve
        self._network = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's signature
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        try:
            async with asyncio.timeout(timeout):
                found = await addresses(host, port, self._allowed, self._resolve)
        except TimeoutError as error:
            raise httpcore.ConnectTimeout from error
        except OSError as error:
            raise httpcore.ConnectError("the name leads nowhere") from error
        for address in found[:-1]:
            try:
                return await self._network.connect_tcp(str(address), port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue
        return await self._network.connect_tcp(str(found[-1]), port, timeout, local_address, socket_options)

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's signature
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        raise httpcore.ConnectError("no socket files")

    async def sleep(self, seconds: float) -> None:
        await self._network.sleep(seconds)


class Transport(httpx.AsyncHTTPTransport):
    """httpx's transport behind the gate: each request's URL is read and judged once more, whatever built it."""

    def __init__(
        self,
        allowed: Allowed,
        tls: ssl.SSLContext,
        resolve: Resolve = system_resolve,
        *,
        connections: int = 4,
        purpose: str = "connection",
    ) -> None:
        super().__init__(verify=tls, trust_env=False)
        self._allowed = allowed
        self._purpose = purpose
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=tls,
            max_connections=connections,
            max_keepalive_connections=connections,
            keepalive_expiry=15.0,
            network_backend=Gate(allowed, resolve),
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        purpose = str(request.extensions.get("purpose") or self._purpose)
        self._allowed.permit(target(str(request.url), purpose), purpose)
        return await super().handle_async_request(request)
