"""Certificates from an ACME authority: asked for, proved over port 80, renewed in time, put where the listeners read them.

RFC 8555; needs the extra `acme`. The listeners take new files by themselves (tls.py).
"""

from __future__ import annotations

import asyncio
import logging
import os
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from suture.clock import Clock
from suture.errors import SutureError, Unstartable
from suture.settings import Settings

log = logging.getLogger("suture.acme")
CHALLENGE = "/.well-known/acme-challenge/"
LOOK = 6 * 3600.0  # seconds between two looks at the days a certificate has left
AGAIN = 3600.0  # after one that failed
PATIENCE = timedelta(seconds=120)
LONGEST_HEAD = 4096


class Refused(SutureError):
    """The authority gave no certificate."""

    code, status, issue, retry = "certificate-refused", 502, "processing", True


@dataclass(frozen=True, slots=True)
class Order:
    """What is asked for, where, and where it is put."""

    directory: str
    domains: tuple[str, ...]
    email: str
    certificate: Path
    key: Path
    trust: str = ""  # PEM file of the authority's own TLS; empty: the machine's

    @property
    def account(self) -> Path:
        """The account's key stands beside the certificate's."""
        return self.key.with_suffix(".account")


def order_of(settings: Settings) -> Order | None:
    """The order the settings describe, None without domains; raises Unstartable when something is missing."""
    domains = tuple(str(settings["acme.domains"]).split())
    if not domains:
        return None
    if not settings["acme.accept_terms"]:
        raise Unstartable(
            "an ACME authority gives certificates only to who accepts its terms",
            where="acme.accept_terms",
            mend="Read them, then set acme.accept_terms = true.",
        )
    if not (settings["http.tls_certificate"] and settings["http.tls_key"]):
        raise Unstartable(
            "nothing says where certificates are put",
            where="http.tls_certificate",
            mend="Set http.tls_certificate and http.tls_key to two files in a folder only this user can read.",
        )
    files = Path(settings["http.tls_certificate"]), Path(settings["http.tls_key"])
    return Order(
        str(settings["acme.directory"]), domains, str(settings["acme.email"]), *files, str(settings["acme.ca"])
    )


def bridge(order: Order, now: datetime) -> None:
    """A certificate of its own until the first one comes, so that the listener can begin."""
    if order.certificate.exists() and order.key.exists():
        return
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, order.domains[0][:64])])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(one) for one in order.domains]), critical=False)
        .sign(key, hashes.SHA256())
    )
    _put(order, made.public_bytes(serialization.Encoding.PEM), key)


def due(order: Order, now: datetime, before: float) -> bool:
    """Whether the certificate ends within `before` seconds, is its own bridge, or names other domains."""
    try:
        found = x509.load_pem_x509_certificate(order.certificate.read_bytes())
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (OSError, ValueError, x509.ExtensionNotFound):
        return True
    others = set(names.get_values_for_type(x509.DNSName)) != set(order.domains)
    return others or found.issuer == found.subject or found.not_valid_after_utc - now < timedelta(seconds=before)


@dataclass(slots=True)
class Proofs:
    """The listener on port 80: answers the authority's challenges, and sends everybody else to https."""

    host: str
    port: int
    elsewhere: str
    tokens: dict[str, str] = field(default_factory=dict)
    server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listens; raises Unstartable when the port is taken."""
        try:
            self.server = await asyncio.start_server(self._answer, self.host, self.port, limit=LONGEST_HEAD)
        except OSError as error:
            raise Unstartable(
                f"can't listen on {self.host}:{self.port} ({error.strerror})",
                where="acme.port",
                mend="The authority asks on port 80: free it, or lead it to acme.port.",
            ) from error
        self.port = self.server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Listens no more."""
        if self.server is not None:
            self.server.close()
            await self.server.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(10):
                line = await reader.readline()
                writer.write(self._said(line.decode("latin-1").split(" ")))
                await writer.drain()
        except (TimeoutError, ValueError, OSError):
            pass  # a caller of port 80 who says nothing sensible gets nothing
        finally:
            writer.close()

    def _said(self, words: list[str]) -> bytes:
        path = words[1] if len(words) == 3 and words[0] == "GET" else ""
        proof = self.tokens.get(path.removeprefix(CHALLENGE)) if path.startswith(CHALLENGE) else None
        if proof is None:
            return f"HTTP/1.1 301 Moved\r\nlocation: {self.elsewhere}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".encode()
        head = f"HTTP/1.1 200 OK\r\ncontent-type: application/octet-stream\r\ncontent-length: {len(proof)}\r\n"
        return f"{head}connection: close\r\n\r\n{proof}".encode()


class Acme:
    """A part of a serving process: keeps the certificate valid."""

    def __init__(self, order: Order, settings: Settings, clock: Clock) -> None:
        bridge(order, clock.now())
        self.order = order
        elsewhere = str(settings["http.base_url"]).rstrip("/") + "/"
        self.proofs = Proofs(str(settings["acme.host"]), int(settings["acme.port"]), elsewhere)
        self._before = float(settings["acme.renew"])
        self._clock = clock
        self._turning: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begins to answer challenges and to look at the days left."""
        await self.proofs.start()
        self._turning = asyncio.create_task(self._turn())

    async def stop(self) -> None:
        """Looks no more."""
        if self._turning is not None:
            self._turning.cancel()
            with suppress(asyncio.CancelledError):
                await self._turning
        await self.proofs.stop()

    async def _turn(self) -> None:
        while True:
            wait = LOOK
            if due(self.order, self._clock.now(), self._before):
                try:
                    await asyncio.to_thread(fetch, self.order, self.proofs)
                    log.info("a new certificate came")
                except Refused as error:
                    log.error("no certificate: %s", error.text)
                    wait = AGAIN
            await asyncio.sleep(wait)


def fetch(order: Order, proofs: Proofs) -> None:
    """Asks for a certificate, proves the domains, puts certificate and key in place; raises Refused."""
    try:
        import josepy
        import requests
        from acme import challenges, client, errors, messages
    except ImportError as error:
        raise Refused("the extra is not installed", mend="Run: pip install 'suture[acme]'") from error

    key = ec.generate_private_key(ec.SECP256R1())
    try:
        talk = _client(order, client, josepy, messages, errors)
        found = talk.new_order(_request(order, key))
        for one in found.authorizations:
            chosen = next(c for c in one.body.challenges if isinstance(c.chall, challenges.HTTP01))
            answer, proof = chosen.response_and_validation(talk.net.key)
            proofs.tokens[chosen.chall.encode("token")] = proof
            talk.answer_challenge(chosen, answer)
        done = talk.poll_and_finalize(found, datetime.now() + PATIENCE)  # the library reckons in local time
    except (errors.Error, messages.Error, requests.RequestException, StopIteration, ValueError) as error:
        raise Refused(f"the authority gave none ({_why(error)})", where=order.directory) from error
    finally:
        proofs.tokens.clear()
    _put(order, done.fullchain_pem.encode(), key)


def _client(order: Order, client: Any, josepy: Any, messages: Any, errors: Any) -> Any:
    net = client.ClientNetwork(josepy.JWKEC(key=_account(order)), alg=josepy.ES256, user_agent="suture", timeout=30)
    if order.trust:
        net.session.verify = order.trust
        net.verify_ssl = order.trust
    talk = client.ClientV2(client.ClientV2.get_directory(order.directory, net), net=net)
    wanted = messages.NewRegistration.from_data(email=order.email or None, terms_of_service_agreed=True)
    try:
        talk.new_account(wanted)
    except errors.ConflictError as known:
        net.account = talk.query_registration(messages.RegistrationResource(uri=known.location, body=wanted))
    return talk


def _account(order: Order) -> ec.EllipticCurvePrivateKey:
    if not order.account.exists():
        _write(order.account, _pem(ec.generate_private_key(ec.SECP256R1())))
    found = serialization.load_pem_private_key(order.account.read_bytes(), None)
    if not isinstance(found, ec.EllipticCurvePrivateKey):
        raise ValueError("the account's key is of another kind")
    return found


def _request(order: Order, key: ec.EllipticCurvePrivateKey) -> bytes:
    names = x509.SubjectAlternativeName([x509.DNSName(one) for one in order.domains])
    made = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).add_extension(names, critical=False)
    return made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _why(error: Exception) -> str:
    """The kind of an authority's error, such as `rateLimited`; its text may name anything."""
    return str(getattr(error, "code", "") or type(error).__name__)


def _put(order: Order, chain: bytes, key: ec.EllipticCurvePrivateKey) -> None:
    _write(order.key, _pem(key))
    _write(order.certificate, chain)


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    kind = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, kind, serialization.NoEncryption())


def _write(file: Path, content: bytes) -> None:
    """In one step, readable by this user alone."""
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    beside = file.with_name(file.name + ".new")
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as out:
        out.write(content)
        out.flush()
        os.fsync(out.fileno())
    beside.replace(file)
