"""A mail server that takes mail: real SMTP with TLS and passwords, keeping what came and answering as told."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from tests.certificates import issue

USER, PASSWORD = "suture", "right-password"


@dataclass
class Box:
    """`answer` is given to recipients, `after` to the content."""

    folder: Path
    port: int = 0
    answer: str = "250 OK"
    after: str = "250 OK"
    later: int = 0  # so many recipients are put off first
    drop: bool = False  # hang up instead of answering to the content
    came: list[EmailMessage] = field(default_factory=list)
    encrypted: list[bool] = field(default_factory=list)
    users: list[str] = field(default_factory=list)

    @property
    def ca(self) -> str:
        return str(self.folder / "authority.pem")

    async def until(self, count: int, seconds: float = 30.0) -> None:
        for _ in range(int(seconds / 0.02)):
            if len(self.came) >= count:
                return
            await asyncio.sleep(0.02)
        raise AssertionError(f"{len(self.came)} mails came")

    async def handle_RCPT(self, server: SMTP, session: Session, envelope: Envelope, to: str, options: Any) -> str:
        if self.later:
            self.later -= 1
            return "451 in a while"
        if self.answer.startswith("250"):
            envelope.rcpt_tos.append(to)
        return self.answer

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if self.drop:
            server.transport.abort()
            return "421 gone"
        if self.after.startswith("250"):
            made = message_from_bytes(bytes(envelope.content or b""), policy=policy.default)
            assert isinstance(made, EmailMessage)
            self.came.append(made)
            self.encrypted.append(server.transport.get_extra_info("sslcontext") is not None)
        return self.after

    def sign_in(self, server: Any, session: Any, envelope: Any, mechanism: str, said: Any) -> AuthResult:
        good = isinstance(said, LoginPassword) and (said.login, said.password) == (USER.encode(), PASSWORD.encode())
        self.users.append(said.login.decode())
        return AuthResult(success=good, handled=False)


@asynccontextmanager
async def mailbox(folder: Path, *, tls: bool = False, sign_in: bool = False) -> AsyncIterator[Box]:
    """A started server; STARTTLS unless `tls` begins at once."""
    authority = issue("Authority", ca=True)
    authority.write(folder, "authority")
    certificate, key = issue("localhost", authority).write(folder, "mail")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    box = Box(folder)
    given: dict[str, Any] = {} if tls else {"tls_context": context, "require_starttls": True}
    if sign_in:
        given |= {"authenticator": box.sign_in, "auth_required": True, "auth_require_tls": not tls}
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(box, **given), "127.0.0.1", 0, ssl=context if tls else None)
    box.port = server.sockets[0].getsockname()[1]
    try:
        yield box
    finally:
        server.close()
