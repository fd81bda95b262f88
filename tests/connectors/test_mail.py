"""Mail over a real mail server: encrypted, signed in, to listed addresses only; every answer becomes the right error."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from suture import settings as settings_of
from suture.connectors.mail import STARTTLS, TLS, Mail, Mailer, Recipients, address
from suture.errors import OutboundRefused, SendAmbiguous, SendFailed, SendUnavailable, Unstartable
from tests.mailbox import PASSWORD, USER, Box, mailbox

MAIL = Mail(
    "nurse@clinic.example", "3 events", "It häppened.\n.\n", "s1.2", datetime(2026, 1, 2, tzinfo=UTC), b'{"a":1}',
    "application/fhir+json",
)  # fmt: skip
module = pytest.mark.asyncio(loop_scope="module")
OWN = Recipients(["clinic.example"], ["lab@partner.example=lakeside", "@other.example=other"])


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def box(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Box]:
    async with mailbox(tmp_path_factory.mktemp("mail"), sign_in=True) as made:
        yield made


@pytest.fixture
def ready(box: Box) -> Box:
    box.answer = box.after = "250 OK"
    box.drop = False
    box.came.clear()
    return box


def mailer(box: Box, **more: Any) -> Mailer:
    given = {"authorities": box.ca, "user": USER, "password": lambda: PASSWORD, "timeout": 5.0, **more}
    return Mailer("127.0.0.1", box.port, "suture@clinic.example", OWN, **given)


@module
@pytest.mark.usefixtures("ready")
async def test_a_mail_goes_out_encrypted_and_signed_in(box: Box) -> None:
    sender = mailer(box)
    await sender.send(MAIL)
    sender.close()
    (came,) = box.came
    assert (box.encrypted[-1], box.users[-1]) == (True, USER)
    assert (came["from"], came["to"], came["subject"]) == ("suture@clinic.example", MAIL.to, MAIL.subject)
    assert (came["message-id"], came["auto-submitted"]) == ("<s1.2@clinic.example>", "auto-generated")
    text, attached = came.iter_parts()
    assert text.get_content().replace("\r\n", "\n") == MAIL.text
    assert (attached.get_content_type(), attached.get_content()) == ("application/fhir+json", b'{"a":1}')


@module
async def test_tls_from_the_start(tmp_path: Path) -> None:
    async with mailbox(tmp_path, tls=True) as box:
        sender = mailer(box, security=TLS, user="")
        await sender.send(replace(MAIL, type=""))
        assert box.encrypted == [True]
        assert not box.came[0].is_multipart()
        with pytest.raises(SendUnavailable, match="can't be reached"):  # a server nobody vouches for
            await mailer(box, security=TLS, authorities="", user="").send(MAIL)
        assert len(box.came) == 1


@module
@pytest.mark.usefixtures("ready")
async def test_every_answer_is_the_right_error(box: Box) -> None:
    for answer, kind in (("550 nurse@clinic.example unknown", SendFailed), ("451 later", SendUnavailable)):
        box.answer = answer
        with pytest.raises(kind, match=f"answered {answer[:3]}") as refused:
            await mailer(box).send(MAIL)
        assert (type(refused.value), refused.value.answer) == (kind, answer[:3])
        assert "nurse" not in refused.value.text
    box.answer, box.after = "250 OK", "554 no"
    with pytest.raises(SendFailed, match="answered 554"):
        await mailer(box).send(MAIL)
    box.drop = True
    with pytest.raises(SendAmbiguous, match="did not say"):
        await mailer(box, timeout=0.5).send(MAIL)
    with pytest.raises(SendFailed, match="answered 535"):
        await mailer(box, password=lambda: "wrong").send(MAIL)
    with pytest.raises(SendUnavailable, match="can't be reached"):
        await Mailer("127.0.0.1", 1, "suture@clinic.example", OWN).send(MAIL)
    assert not box.came


@module
@pytest.mark.usefixtures("ready")
async def test_who_is_not_listed_gets_nothing(box: Box) -> None:
    for to in ("nurse@sub.clinic.example", "it@partner.example", "nurse@clinic.example.evil.example"):
        with pytest.raises(OutboundRefused, match="not on the list") as refused:
            await mailer(box).send(replace(MAIL, to=to))
        assert "mail.own" in refused.value.mend
    assert [OWN.partner(to) for to in ("a@clinic.example", "lab@partner.example", "b@other.example")] == [
        "", "lakeside", "other",
    ]  # fmt: skip
    assert not box.came


@module
@pytest.mark.usefixtures("ready")
async def test_only_so_many_wait_for_a_slow_server(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("suture.connectors.mail.MOST_WAITING", 3)
    sender = mailer(box)
    found = await asyncio.gather(*(sender.send(MAIL) for _ in range(8)), return_exceptions=True)
    assert [str(one) for one in found if one is not None] == [
        "mail: the mail server takes mail too slowly; too many wait for it"
    ] * 5
    await sender.send(MAIL)
    assert len(box.came) == 4


@module
@pytest.mark.usefixtures("ready")
async def test_a_subject_is_one_line(box: Box) -> None:
    await mailer(box).send(replace(MAIL, subject="a\r\nBcc: evil@x.example\n" + "x" * 500))
    assert box.came[0]["bcc"] is None
    assert len(box.came[0]["subject"]) == 150


@given(st.text(max_size=40))
def test_an_address_is_exactly_one(text: str) -> None:
    found = address("mailto:" + text)
    assert found == "" or (found == text.lower() and found.count("@") == 1)
    assert not set(found) & set(' ,;<>"?&\r\n%')


@pytest.mark.parametrize(
    "endpoint",
    ["mailto:a@b.example,c@d.example", "mailto:a@b.example?bcc=c@d.example", "a@b.example", "mailto:a@b", "mailto:.a@b.example"],
)  # fmt: skip
def test_what_is_no_address(endpoint: str) -> None:
    assert address(endpoint) == ""


@pytest.mark.parametrize(
    ("values", "where"),
    [
        ({"mail__from": ""}, "mail.from"),
        ({"mail__user": "suture"}, "mail.user, mail.secret"),
        ({"mail__security": "ssl"}, "mail.security"),
        ({"mail__security": "none"}, "mail.security"),
        ({"mail__own": "not a domain!"}, "mail.own"),
        ({"mail__partners": "lab@partner.example"}, "mail.partners"),
        ({"mail__partners": "lab=lakeside"}, "mail.partners"),
    ],
)
def test_settings_that_cannot_be_kept_stop_the_start(tmp_path: Path, values: dict[str, Any], where: str) -> None:
    given = {"mail__host": "mail.clinic.example", "mail__from": "suture@clinic.example", **values}
    with pytest.raises(Unstartable) as refused:
        Mailer.of(settings_of.read(tmp_path, {}).with_values(**given), lambda name, origin: "")
    assert refused.value.where == where


def test_without_a_mail_server_there_is_none(tmp_path: Path) -> None:
    assert Mailer.of(settings_of.read(tmp_path, {}), lambda name, origin: "") is None
    here = settings_of.read(tmp_path, {}).with_values(
        mail__host="localhost", mail__from="suture@clinic.example", mail__security="none"
    )
    assert Mailer.of(here, lambda name, origin: "") is not None
    assert STARTTLS == "starttls"
