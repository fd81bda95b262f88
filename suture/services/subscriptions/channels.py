"""The ways on which a notification goes out by itself: a call of an endpoint, or a mail.

https://hl7.org/fhir/uv/subscriptions-backport/STU1.1/channels.html
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol
from urllib.parse import urlsplit

from suture.clock import Clock
from suture.connectors import mail
from suture.connectors.mail import Mail, Mailer
from suture.connectors.outbound import Outbound
from suture.errors import OutboundRefused, SendFailed
from suture.services.subscriptions.letters import Letter
from suture.settings import Settings
from suture.standards.fhir.subscription import EMAIL, FULL, REST_HOOK, TYPE, Wanted

PURPOSE = "subscription"  # of outbound requests
Permit = Callable[[str], None]  # raises NoAgreement for an endpoint that nothing may be sent to
PermitPartner = Callable[[str, str], None]  # the same, for a place and the partner it belongs to


class Channel(Protocol):
    """One way. `rest`: seconds between two notifications of one subscription."""

    rest: float

    def require_open(self, wanted: Wanted) -> None:
        """Raises OutboundRefused or NoAgreement when nothing may be sent there."""
        ...

    async def send(self, wanted: Wanted, letter: Letter) -> None:
        """Returns when it was taken; raises SendFailed."""
        ...

    def place(self, wanted: Wanted) -> str:
        """Where it goes, for the audit trail: a machine or a domain."""
        ...


Channels = Mapping[str, Channel]  # by Subscription.channel.type


class Hooks:
    """rest-hook: endpoints that take notifications over HTTP."""

    rest = 0.0

    def __init__(self, outbound: Outbound, permit: Permit, timeout: float) -> None:
        self._outbound = outbound
        self._permit = permit
        self._timeout = timeout

    def require_open(self, wanted: Wanted) -> None:
        self._outbound.check(wanted.endpoint, PURPOSE)
        self._permit(wanted.endpoint)

    async def send(self, wanted: Wanted, letter: Letter) -> None:
        self._permit(wanted.endpoint)
        answer = await self._outbound.fetch(
            wanted.endpoint.rstrip("/") + letter.path if letter.path else wanted.endpoint,
            purpose=PURPOSE,
            method=letter.method,
            headers={**dict(wanted.headers), **({"Content-Type": letter.type} if letter.type else {})},
            content=letter.body,
            timeout=float(wanted.timeout or self._timeout),
        )
        if not 200 <= answer.status < 300:
            raise SendFailed(f"the endpoint answered {answer.status}", where=TYPE, answer=str(answer.status))

    def place(self, wanted: Wanted) -> str:
        return str(urlsplit(wanted.endpoint).hostname)


class Mails:
    """email: people and boxes that were let in by name."""

    def __init__(self, mailer: Mailer, permit: PermitPartner, clock: Clock, settings: Settings) -> None:
        self.rest = float(settings["mail.pause"])
        self._mailer = mailer
        self._permit = permit
        self._clock = clock
        self._full = bool(settings["mail.full"])

    def require_open(self, wanted: Wanted) -> None:
        partner = self._mailer.recipients.partner(mail.address(wanted.endpoint))
        if partner:
            self._permit(f"mail:{partner}", partner)
        if wanted.content == FULL and not self._full:
            raise OutboundRefused(
                "whole resources are not mailed here",
                where=f"{TYPE}.channel.payload.extension",
                mend="Write id-only or empty; the setting mail.full would allow it.",
            )

    async def send(self, wanted: Wanted, letter: Letter) -> None:
        self.require_open(wanted)
        made = Mail(
            mail.address(wanted.endpoint), letter.subject, letter.text, letter.id, self._clock.now(),
            letter.body, letter.type,
        )  # fmt: skip
        await self._mailer.send(made, float(wanted.timeout))

    def place(self, wanted: Wanted) -> str:
        return mail.address(wanted.endpoint).partition("@")[2] + " by mail"


def channels(
    outbound: Outbound, permit: Permit, mailer: Mailer | None, permit_partner: PermitPartner, clock: Clock,
    settings: Settings,
) -> Channels:  # fmt: skip
    """Those that this installation has."""
    found: dict[str, Channel] = {REST_HOOK: Hooks(outbound, permit, float(settings["outbound.timeout"]))}
    if mailer is not None:
        found[EMAIL] = Mails(mailer, permit_partner, clock, settings)
    return found
