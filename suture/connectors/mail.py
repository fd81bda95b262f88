"""Sends mail through the organisation's own mail server, over TLS, to addresses that were let in by name and to no others.

SMTP: RFC 5321 · STARTTLS: RFC 3207 · TLS from the start: RFC 8314 · mail that no person wrote: RFC 3834
"""

from __future__ import annotations

import asyncio
import re
import smtplib
import ssl
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP as ON_THE_WIRE
from functools import partial

from suture.connectors.allowed import words
from suture.connectors.connection import loopback
from suture.connectors.outbound import trust
from suture.errors import OutboundRefused, SendAmbiguous, SendFailed, SendUnavailable, SutureError, Unstartable
from suture.settings import Settings

SCHEME = "mailto:"
TLS, STARTTLS, OPEN = "tls", "starttls", "none"
AT_ONCE = 4  # mails under way
MOST_WAITING = 64  # for one of them; a mail server that hangs holds up mail alone
SUBJECT_MOST = 150
_DOMAIN = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)+"
_ADDRESS = re.compile(rf"[a-z0-9_+-]+(\.[a-z0-9_+-]+)*@{_DOMAIN}")
_LISTED = re.compile(rf"([a-z0-9_+-]+(\.[a-z0-9_+-]+)*)?@{_DOMAIN}")
_PARTNER = re.compile(r"[a-z0-9][a-z0-9-]*")
_WIRE = ON_THE_WIRE.clone(cte_type="7bit")


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail to one address; `id` stays the same when it is sent again."""

    to: str
    subject: str
    text: str
    id: str
    at: datetime
    attached: bytes = b""
    type: str = ""  # of what is attached, such as application/fhir+json


def address(endpoint: str) -> str:
    """The one address of a mailto: URL in small letters; empty when it is anything else, or more."""
    found = endpoint.removeprefix(SCHEME).lower() if endpoint.startswith(SCHEME) else ""
    return found if len(found) <= 254 and _ADDRESS.fullmatch(found) else ""


class Recipients:
    """Who may be written to: the organisation's own, and partners', each under the partner's agreement."""

    def __init__(self, own: Iterable[str] = (), partners: Iterable[str] = ()) -> None:
        self._partners = {_listed(one, "mail.own"): "" for one in own}
        for entry in partners:
            place, _, partner = entry.rpartition("=")
            if not _PARTNER.fullmatch(partner):
                raise _unreadable("mail.partners", "Write ADDRESS=PARTNER or @DOMAIN=PARTNER, with a partner's id.")
            self._partners[_listed(place, "mail.partners")] = partner

    def partner(self, to: str) -> str:
        """The partner an address belongs to, empty for our own; raises OutboundRefused for all others."""
        for place in (to, "@" + to.partition("@")[2]):
            if place in self._partners:
                return self._partners[place]
        raise OutboundRefused(
            "this address is not on the list of those that may be written to",
            where="mail",
            mend="Add its domain to the setting mail.own, or ADDRESS=PARTNER to mail.partners.",
        )


def _listed(entry: str, setting: str) -> str:
    found = entry.lower() if "@" in entry else f"@{entry.lower()}"
    if not _LISTED.fullmatch(found):
        raise _unreadable(setting, "Write addresses and domains: it@clinic.example @ward.clinic.example")
    return found


def _unreadable(setting: str, mend: str) -> Unstartable:
    return Unstartable("not an address or a domain", where=setting, mend=mend)


class Mailer:
    """`send` returns when the mail server has taken the mail; each goes over a connection of its own."""

    def __init__(
        self, host: str, port: int, sender: str, recipients: Recipients, *, security: str = STARTTLS,
        authorities: str = "", user: str = "", password: Callable[[], str] = str, timeout: float = 20.0,
    ) -> None:  # fmt: skip
        self.recipients = recipients
        self.timeout = timeout
        self._host, self._port, self._sender = host, port, sender
        self._security, self._authorities = security, authorities
        self._user, self._password = user, password
        self._threads = ThreadPoolExecutor(AT_ONCE, "mail")
        self._trust: ssl.SSLContext | None = None
        self._waiting = 0

    @classmethod
    def of(cls, settings: Settings, secret: Callable[[str, str], str]) -> Mailer | None:
        """As the settings say; None when there is no mail server. `secret` opens the vault."""
        host, port, kind = (
            str(settings["mail.host"]).lower(),
            int(settings["mail.port"]),
            str(settings["mail.security"]),
        )
        if not host:
            return None
        sender, name = str(settings["mail.from"]).lower(), str(settings["mail.secret"])
        if not _ADDRESS.fullmatch(sender):
            raise Unstartable("not an address", where="mail.from", mend="Write suture@clinic.example")
        if bool(settings["mail.user"]) != bool(name):
            raise Unstartable("only one of them is there", where="mail.user, mail.secret", mend="Set both, or neither.")
        _require_safe(kind, host)
        return cls(
            host,
            port,
            sender,
            Recipients(words(settings["mail.own"]), words(settings["mail.partners"])),
            security=kind,
            authorities=str(settings["mail.ca"]),
            user=str(settings["mail.user"]),
            password=partial(secret, name, f"smtp://{host}:{port}") if name else str,
            timeout=float(settings["mail.timeout"]),
        )

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def send(self, mail: Mail, timeout: float = 0.0) -> None:  # noqa: ASYNC109 - of each answer of the server
        """Raises SendUnavailable, SendAmbiguous or SendFailed, whose `answer` is the server's code."""
        self.recipients.partner(mail.to)
        if self._waiting >= MOST_WAITING:
            raise SendUnavailable("the mail server takes mail too slowly; too many wait for it", where="mail")
        work = partial(self._deliver, mail, _password(self._password), timeout or self.timeout)
        self._waiting += 1
        try:
            await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._waiting -= 1

    def _deliver(self, mail: Mail, password: str, timeout: float) -> None:
        content = self._written(mail)
        try:
            smtp = self._open(timeout)
        except smtplib.SMTPResponseException as error:
            raise _said(error.smtp_code) from error
        except (OSError, smtplib.SMTPException) as error:
            raise SendUnavailable(f"the mail server can't be reached ({type(error).__name__})", where="mail") from error
        try:
            self._hand_over(smtp, mail.to, password, content)
        finally:
            with suppress(OSError, smtplib.SMTPException):
                smtp.quit()
            smtp.close()

    def _open(self, timeout: float) -> smtplib.SMTP:
        """A connection, encrypted unless the settings say otherwise; the server's certificate is checked."""
        name = self._sender.partition("@")[2]
        if self._security == TLS:
            return smtplib.SMTP_SSL(self._host, self._port, name, timeout=timeout, context=self._context)
        smtp = smtplib.SMTP(self._host, self._port, name, timeout=timeout)
        if self._security == STARTTLS:
            try:
                smtp.starttls(context=self._context)
            except BaseException:
                smtp.close()
                raise
        return smtp

    @property
    def _context(self) -> ssl.SSLContext:
        if self._trust is None:
            self._trust = trust(self._authorities)
        return self._trust

    def _hand_over(self, smtp: smtplib.SMTP, to: str, password: str, content: bytes) -> None:
        """Until the last step a lost connection means that nothing was sent."""
        try:
            smtp.ehlo_or_helo_if_needed()
            if self._user:
                self._sign_in(smtp, password)
            for code, _ in (smtp.mail(self._sender), smtp.rcpt(to)):
                _require_taken(code)
        except smtplib.SMTPResponseException as error:
            raise _said(error.smtp_code) from error
        except (OSError, smtplib.SMTPException) as error:
            raise SendUnavailable(f"the mail server broke off ({type(error).__name__})", where="mail") from error
        try:
            _require_taken(smtp.data(content)[0])
        except smtplib.SMTPDataError as error:
            raise _said(error.smtp_code) from error
        except (OSError, smtplib.SMTPException) as error:
            raise SendAmbiguous("the mail server did not say whether it took the mail", where="mail") from error

    def _sign_in(self, smtp: smtplib.SMTP, password: str) -> None:
        """Some servers hang up on a wrong password before they say so."""
        try:
            smtp.login(self._user, password)
        except (smtplib.SMTPServerDisconnected, smtplib.SMTPNotSupportedError) as error:
            raise SendFailed("the mail server did not let us sign in", where="mail.secret") from error

    def _written(self, mail: Mail) -> bytes:
        made = EmailMessage()
        made["From"], made["To"] = self._sender, mail.to
        made["Subject"] = "".join(c if c.isprintable() else " " for c in mail.subject)[:SUBJECT_MOST]
        made["Date"] = mail.at
        made["Message-ID"] = f"<{mail.id}@{self._sender.partition('@')[2]}>"
        made["Auto-Submitted"] = "auto-generated"
        made.set_content(mail.text)
        if mail.type:
            main, _, sub = mail.type.partition("/")
            made.add_attachment(mail.attached, maintype=main, subtype=sub, filename="notification.json")
        return made.as_bytes(policy=_WIRE)


def _password(secret: Callable[[], str]) -> str:
    try:
        return secret()
    except SutureError as error:
        raise SendFailed(
            "the password of the mail server is not in the vault", where="mail", mend=error.mend
        ) from error


def _require_safe(kind: str, host: str) -> None:
    if kind not in (TLS, STARTTLS, OPEN):
        raise Unstartable("no such protection", where="mail.security", mend=f"Write {TLS}, {STARTTLS} or {OPEN}.")
    if kind == OPEN and not loopback(host):
        raise Unstartable(
            "mail would leave this machine in the clear", where="mail.security", mend=f"Write {STARTTLS} or {TLS}."
        )


def _require_taken(code: int) -> None:
    if not 200 <= code < 300:
        raise _said(code)


def _said(code: int) -> SendFailed:
    """What a server says is told by its number alone: its words may hold an address."""
    kind = SendUnavailable if 400 <= code < 500 else SendFailed
    return kind(f"the mail server answered {code}", where="mail", answer=str(code))
