"""The websocket channel as the backport guide describes it, with a real client."""

from __future__ import annotations

from datetime import datetime

import pytest
from websockets.asyncio.client import connect

from tests.conformance.checks import check
from tests.conformance.subscriptions import Kit
from tests.notified import happened, numbers, told
from tests.server.test_subscriptions_websocket import active, bound, said, token

pytestmark = pytest.mark.asyncio(loop_scope="module")
GROUP = "Websocket"


@check(
    GROUP,
    "$get-ws-binding-token of one and of the type: token, expiration ahead, the subscriptions it is for, websocket-url",
)
async def test_token(subscribed: Kit) -> None:
    id = await active(subscribed.server)
    for path in (f"/{id}", ""):
        found = await token(subscribed.server.http, path)
        assert {"token", "expiration", "subscription", "websocket-url"} <= set(found)
        assert found["subscription"] == id
        assert found["websocket-url"].startswith(("ws://", "wss://"))
        assert datetime.fromisoformat(found["expiration"]) > datetime.now().astimezone()
    await subscribed.server.http.delete(f"/fhir/Subscription/{id}")


@check(
    GROUP,
    "bind-with-token is answered with a handshake for each subscription of the token, then events come as they happen",
)
async def test_bind(subscribed: Kit) -> None:
    id = await active(subscribed.server, topic="patient-created", content="id-only")
    async with bound(subscribed.server, f"/{id}") as line:
        who = await subscribed.patient()
        bundle = await said(line)
        assert (bundle["type"], told(bundle)["type"], numbers(bundle)) == ("history", "event-notification", [1])
        assert happened(bundle)[0]["focus"][0]["reference"].endswith(f"/Patient/{who}")
    assert (await subscribed.status(id))["events-since-subscription-start"] == "1"


@check(GROUP, "a further token binds further subscriptions on the same connection")
async def test_two_tokens(subscribed: Kit) -> None:
    first, second = await active(subscribed.server), await active(subscribed.server)
    url = (await token(subscribed.server.http, f"/{first}"))["websocket-url"]
    async with connect(url) as line:
        for id in (first, second):
            await line.send(f"bind-with-token: {(await token(subscribed.server.http, f'/{id}'))['token']}")
            assert told(await said(line))["subscription"]["reference"].endswith(f"/{id}")
