"""The listening web side: one uvicorn server inside our loop, started and stopped like every other part.

https://www.uvicorn.org/
"""

from __future__ import annotations

import asyncio
import logging
import socket
from urllib.parse import urlsplit

import uvicorn

from suture.access.sessions import require_policy
from suture.access.sso import require_sound
from suture.connectors.connection import loopback
from suture.connectors.tls import Tls
from suture.errors import Unstartable
from suture.server import subscriptions
from suture.server.http import Shell
from suture.server.log import Lines, Log
from suture.server.protocol import Protocol
from suture.server.routes import TABLE
from suture.server.site import Site
from suture.settings import Settings

LOOK = 0.1  # seconds between two looks while it serves: the date of answers, the lines of the log
ENDING_LOOK = 0.01  # while requests that run are finished
_LOGGER = logging.getLogger("uvicorn.error")


def bind(settings: Settings, *, insecure: bool = False, shared: bool = False) -> socket.socket:
    """The listening socket of the settings; raises Unstartable when the address is taken, not ours, or not safe.

    `shared`: other processes of this user may listen there, too.
    """
    host, port = settings["http.host"], settings["http.port"]
    refuse_open(host, bool(settings["http.tls_certificate"]), insecure)
    require_policy(settings, not _only_here(settings))
    require_sound(settings)
    if not 0 <= port <= 65535:
        raise Unstartable(f"there is no port {port}", where="http.port", mend="Take one from 1 to 65535, or 0 for any.")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        made = socket.socket(family, kind, protocol)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, int(shared))
        made.bind(address)
    except OSError as error:
        raise Unstartable(
            f"can't listen on {host}:{port} ({error.strerror})",
            mend="Another program holds the port, or the address is not this machine's: set http.port or http.host.",
        ) from error
    made.setblocking(False)
    return made


def _only_here(settings: Settings) -> bool:
    """Whether nobody but this machine can reach the web side, by its address or by the one it is known under."""
    known = urlsplit(settings["http.base_url"]).hostname or settings["http.host"]
    return loopback(settings["http.host"]) and loopback(known)


def url_of(settings: Settings, listening: socket.socket | None = None) -> str:
    """The address a browser on this machine takes: of the listening socket, or the one the settings name."""
    scheme = "https" if settings["http.tls_certificate"] else "http"
    host, port = listening.getsockname()[:2] if listening else (settings["http.host"], settings["http.port"])
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"


class Server(uvicorn.Server):
    """uvicorn's, but it ends as soon as nothing runs any more: its own `shutdown` sleeps a tenth of a second at a time, even then."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for listening in (*self.servers, *(sockets or ())):
            listening.close()
        await asyncio.sleep(0)  # who was let in just before is a connection now
        for connection in list(self.server_state.connections):
            connection.shutdown()
        await asyncio.sleep(0)  # those that were idle are gone after this
        try:
            async with asyncio.timeout(self.config.timeout_graceful_shutdown):
                await self._finished()
        except TimeoutError:
            _LOGGER.error("Requests that ran past http.stop_timeout were cut off")
            for task in self.server_state.tasks:
                task.cancel()

    async def _finished(self) -> None:
        while self.server_state.connections or self.server_state.tasks:  # noqa: ASYNC110 - uvicorn tells nobody
            await asyncio.sleep(ENDING_LOOK)
        for server in self.servers:
            await server.wait_closed()


class Web:
    """`start` accepts connections; `stop` ends what runs, then closes."""

    def __init__(self, site: Site, log: Log, listening: socket.socket, tls: Tls | None = None) -> None:
        self._site = site
        self._log = log
        self._listening = listening
        self._tls = tls
        self._server: uvicorn.Server | None = None
        self._turning: asyncio.Task[None] | None = None
        self._ending: asyncio.Future[None] | None = None

    async def start(self) -> None:
        """Accepts connections from now on."""
        _take_over(self._log)
        server = Server(self._config())
        server.lifespan = server.config.lifespan_class(server.config)
        await server.startup(sockets=[self._listening])
        self._server = server
        self._ending = asyncio.get_running_loop().create_future()
        self._turning = asyncio.create_task(self._run(server, self._ending))

    async def stop(self) -> None:
        """No new connections; requests that run are finished; then everything is closed."""
        if self._server is None or self._turning is None or self._ending is None:
            return
        self._server.should_exit = True
        self._ending.set_result(None)
        await self._turning
        self._log.flush()
        self._server = None

    async def _run(self, server: Server, ending: asyncio.Future[None]) -> None:
        while not await server.on_tick(0):
            self._log.flush()
            await asyncio.wait((ending,), timeout=LOOK)
        await server.shutdown(sockets=[self._listening])

    def _config(self) -> uvicorn.Config:
        settings = self._site.settings
        limits = {
            "head_timeout": settings["http.head_timeout"],
            "head_limit": settings["http.max_head"],
            "write_timeout": settings["http.write_timeout"],
        }
        config = uvicorn.Config(
            Shell(self._site, TABLE, self._log),
            http=type("LimitedProtocol", (Protocol,), limits),
            ws="websockets-sansio",
            ws_max_size=subscriptions.LARGEST,
            ws_per_message_deflate=False,
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=settings["http.max_connections"],
            timeout_keep_alive=int(settings["http.idle_timeout"]),
            timeout_graceful_shutdown=int(settings["http.stop_timeout"]),
        )
        config.load()
        config.ssl = self._tls.context if self._tls else None
        return config


def _take_over(log: Log) -> None:
    """What uvicorn reports goes into our log, as JSON like the rest."""
    logger = logging.getLogger("uvicorn")
    logger.handlers, logger.propagate = [Lines(log)], False


def refuse_open(host: str, tls: bool, insecure: bool) -> None:
    """Raises Unstartable for an address others can reach without TLS, unless that was asked for by name."""
    if tls or insecure or loopback(host):
        return
    raise Unstartable(
        f"{host} can be reached by other machines and there is no TLS certificate",
        mend="Set http.tls_certificate and http.tls_key, or say --insecure when something before Suture ends TLS.",
    )
