"""The websocket of subscriptions: a client binds with a token, or to a search's by its id; then it is sent what happens.

https://hl7.org/fhir/R4/subscription.html · https://hl7.org/fhir/uv/subscriptions-backport/STU1.1/channels.html#websockets · RFC 6455
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any

from suture.access.caller import Caller
from suture.errors import SutureError, Unauthenticated
from suture.services.subscriptions.letters import Letter
from suture.services.subscriptions.sockets import MOST_OPEN, Line, Sockets
from suture.store.subscriptions import Subscription

BIND, BIND_ONE = "bind-with-token", "bind "
LARGEST = 4096  # bytes of a message from a client
LOOK = 0.2  # seconds between two looks at what is owed
PATIENCE = 10.0  # seconds until a client must have bound, and for it to take a message
POLICY, FULL, LEFT = 1008, 1013, 1001  # RFC 6455, 7.4.1

Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]


async def serve(sockets: Sockets, receive: Receive, send: Send, caller: Caller | None = None) -> None:
    """One connection, from its opening, by `caller`, to its end; errors end it, and say nothing of what they held."""
    await receive()
    if sockets.open >= MOST_OPEN:
        await send({"type": "websocket.close", "code": FULL})
        return
    sockets.open += 1
    try:
        await send({"type": "websocket.accept"})
        await _talk(sockets.line(caller), receive, send)
    finally:
        sockets.open -= 1


async def _talk(line: Line, receive: Receive, send: Send) -> None:
    told = asyncio.create_task(_tell(line, send))
    heard = asyncio.create_task(_hear(line, receive, send))
    try:
        await asyncio.wait({told, heard}, return_when=asyncio.FIRST_COMPLETED)
        code = POLICY if heard.done() and isinstance(heard.exception(), Unauthenticated) else LEFT
    finally:
        for task in (told, heard):
            task.cancel()
        await asyncio.gather(told, heard, return_exceptions=True)
    with suppress(Exception):  # it may be closed already
        await send({"type": "websocket.close", "code": code})


async def _hear(line: Line, receive: Receive, send: Send) -> None:
    """Reads what the client says: nothing but what it is to be bound to."""
    while True:
        async with asyncio.timeout(None if line.places else PATIENCE):
            said = await receive()
        if said["type"] == "websocket.disconnect":
            return
        for kept, letter in await _bound(line, str(said.get("text") or "")):
            await _put(send, letter)
            await line.gone(kept, letter)
        if not line.places:
            raise Unauthenticated("none of these subscriptions is active", mend="Look at their $status.")


async def _bound(line: Line, text: str) -> list[tuple[Subscription, Letter]]:
    word, _, token = text.partition(":")
    if text.startswith(BIND_ONE) and text.removeprefix(BIND_ONE).strip():
        return await line.bind_one(text.removeprefix(BIND_ONE).strip())
    if word.strip() != BIND or not token.strip():
        raise Unauthenticated("this is not understood", mend=f"Send {BIND}: TOKEN")
    return await line.bind(token.strip())


async def _tell(line: Line, send: Send) -> None:
    """Sends what is owed; a client that takes nothing for long is let go, and gets it when it binds again."""
    while True:
        bound = bool(line.places)
        with suppress(SutureError):  # of one look; the next one comes
            async for kept, letter in line.owed():
                await _put(send, letter)
                await line.gone(kept, letter)
        if bound and not line.places:
            return
        await asyncio.sleep(LOOK)


async def _put(send: Send, letter: Letter) -> None:
    async with asyncio.timeout(PATIENCE):
        for _ in range(letter.times):
            await send({"type": "websocket.send", "text": letter.body.decode()})
