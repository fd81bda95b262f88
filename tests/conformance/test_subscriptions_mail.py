"""Subscriptions by email as the backport guide asks for them, over a real mail server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from email.message import EmailMessage
from typing import Any

import httpx
import pytest
import pytest_asyncio

from suture.standards.fhir import validate
from tests.conformance.checks import check
from tests.mailbox import Box, mailbox
from tests.notified import numbers, searching, subscription, told
from tests.server.people import patient
from tests.server.running import Running, serving

pytestmark = pytest.mark.asyncio(loop_scope="module")
MAIL = "Email"
NURSE = "mailto:nurse@ward.example"
PLAIN, ATTACHED = "text/plain", "text/plain;attach=application/fhir+json"


@dataclass
class Post:
    """A server that sends its mail to a box."""

    server: Running
    box: Box

    async def asked(self, resource: dict[str, Any]) -> httpx.Response:
        return await self.server.http.post("/fhir/Subscription", json=resource)

    async def until(self, id: str, status: str) -> dict[str, Any]:
        for _ in range(600):
            found: dict[str, Any] = (await self.server.http.get(f"/fhir/Subscription/{id}")).json()
            if found["status"] == status:
                return found
            await asyncio.sleep(0.05)
        raise AssertionError(found)

    async def active(self, resource: dict[str, Any]) -> str:
        made = await self.asked(resource)
        assert made.status_code == 201, made.text
        await self.until(made.json()["id"], "active")
        return str(made.json()["id"])

    async def of(self, id: str, count: int) -> list[EmailMessage]:
        """The mails of one subscription, once there are so many."""
        for _ in range(500):
            if len(found := [one for one in self.box.came if id in said(one)]) >= count:
                return found
            await asyncio.sleep(0.02)
        raise AssertionError([said(one) for one in self.box.came])


def said(mail: EmailMessage) -> str:
    """What people read of it."""
    body = mail.get_body(("plain",))
    assert body is not None
    return f"{mail['subject']}\n{body.get_content()}"


def attached(mail: EmailMessage) -> list[dict[str, Any]]:
    return [json.loads(part.get_content()) for part in mail.iter_attachments()]


def wanted(content: str = "id-only", payload: str = ATTACHED, to: str = NURSE, **more: Any) -> dict[str, Any]:
    made = subscription(to, "patient-created", content, **more)
    made["channel"] |= {"type": "email", "payload": payload}
    return made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def post(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Post]:
    async with AsyncExitStack() as stack:
        box = await stack.enter_async_context(mailbox(tmp_path_factory.mktemp("box")))
        server = await stack.enter_async_context(
            serving(
                tmp_path_factory.mktemp("mail"), mail__host="127.0.0.1", mail__port=box.port, mail__ca=box.ca,
                mail__from="suture@ward.example", mail__own="ward.example", mail__pause=0.0,
                mail__partners="lab@partner.example=lakeside", subscriptions__retry_first=0.05, subscriptions__attempts=2,
            )
        )  # fmt: skip
        yield Post(server, box)


@check(MAIL, "a first mail goes out, and the subscription is active once the mail server has taken it")
async def test_the_first_mail(post: Post) -> None:
    id = await post.active(wanted("empty"))
    (first,) = await post.of(id, 1)
    assert (first["to"], first["from"], first["auto-submitted"]) == (
        "nurse@ward.example", "suture@ward.example", "auto-generated",
    )  # fmt: skip
    assert "If nobody here asked for it" in said(first)
    assert post.box.encrypted[-1]


@check(MAIL, "the body is for people and the attachment, when one is asked for, is a valid notification")
async def test_body_and_attachment(post: Post) -> None:
    id = await post.active(wanted())
    await post.server.put(patient("mail1", "Secretname"))
    second = (await post.of(id, 2))[1]
    assert f"/fhir/Subscription/{id}/$events?eventsSinceNumber=1&eventsUntilNumber=1" in said(second)
    assert "/fhir/Patient/mail1" in said(second)
    (bundle,) = attached(second)
    assert (told(bundle)["type"], numbers(bundle)) == ("event-notification", [1])
    assert [i for i in validate.check(bundle["entry"][0]["resource"]) if i.severity == "error"] == []
    assert "Secretname" not in str(second)
    rows = await post.server.disclosed(1, "Patient/mail1")
    assert [row.detail for row in rows] == ["event-notification to ward.example by mail"]


@check(MAIL, "text/plain has no attachment; empty says nothing but numbers and times")
async def test_empty(post: Post) -> None:
    id = await post.active(wanted("empty", PLAIN))
    await post.server.put(patient("mail2", "Secretname"))
    second = (await post.of(id, 2))[1]
    assert attached(second) == []
    assert second["subject"] == "1 event of a subscription"
    assert "mail2" not in str(second)
    assert "Secretname" not in str(second)


@check(MAIL, "a search tells by mail that something fits, and neither what was searched for nor what was found")
async def test_a_search(post: Post) -> None:
    made = searching(NURSE, "Patient?family=Sought", type="email")
    id = await post.active(made)
    await post.server.put(patient("mail3", "Sought"))
    (mail,) = await post.of(id, 1)
    assert all(word not in str(mail) for word in ("Sought", "mail3"))


@check(
    MAIL,
    "whole resources, several addresses, strangers' addresses, headers and other payloads: 422 that names the element",
)
async def test_refused(post: Post) -> None:
    for resource, place in [
        (wanted("full-resource"), "channel.payload.extension"),
        (wanted("full-resource", PLAIN), "channel.payload"),
        (wanted(payload="text/html"), "channel.payload"),
        (wanted(payload="application/fhir+json"), "channel.payload"),
        (wanted(to="mailto:nurse@ward.example,x@evil.example"), "channel.endpoint"),
        (wanted(to="mailto:nurse@ward.example?bcc=x@evil.example"), "channel.endpoint"),
        (wanted(to="mailto:nurse@evil.example"), "channel.endpoint"),
        (wanted(to="https://ward.example"), "channel.endpoint"),
        (wanted(header=["Subject: x"]), "channel.header"),
        (searching(NURSE, "Patient", "application/fhir+json", type="email"), "channel.payload"),
    ]:
        found = await post.asked(resource)
        assert found.status_code == 422, found.text
        assert found.json()["issue"][0]["expression"] == [f"Subscription.{place}"], found.text
    found = await post.asked(wanted(to="mailto:lab@partner.example"))  # of a partner without an agreement
    assert found.status_code in (403, 422, 502), found.text
    assert "no agreement in force with 'lakeside'" in found.text


@check(MAIL, "an address that the mail server says does not exist is an error at once; other faults are tried again")
async def test_faults(post: Post) -> None:
    id = await post.active(wanted())
    post.box.answer = "550 nurse@ward.example is unknown"
    await post.server.put(patient("mail4"))
    found = await post.until(id, "error")
    assert found["error"] == "the mail server answered 550"
    post.box.answer = "250 OK"
    await post.server.http.put(f"/fhir/Subscription/{id}", json=found | {"status": "requested"})
    assert [numbers(attached(mail)[0]) for mail in await post.of(id, 3)] == [[], [], [1]]


@check(MAIL, "a first mail that the mail server can't take just now is tried again")
async def test_later(post: Post) -> None:
    post.box.later = 1
    id = await post.active(wanted())
    assert (post.box.later, len(await post.of(id, 1))) == (0, 1)


@check(
    MAIL, "the CapabilityStatement names the channels that are open, and a server without a mail server refuses email"
)
async def test_named(post: Post, tmp_path_factory: pytest.TempPathFactory) -> None:
    async def named(server: Running) -> str:
        rest = (await server.http.get("/fhir/metadata")).json()["rest"][0]["resource"]
        return str(next(row["documentation"] for row in rest if row["type"] == "Subscription"))

    assert "rest-hook, email, websocket" in await named(post.server)
    async with serving(tmp_path_factory.mktemp("none")) as server:
        assert "email" not in await named(server)
        found = await server.http.post("/fhir/Subscription", json=wanted())
        assert (found.status_code, found.json()["issue"][0]["expression"]) == (422, ["Subscription.channel.type"])
