"""A trust community for tests: an authority, one below it, members and strangers, with certificates of their own."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from joserfc import jws
from joserfc.jwk import ECKey, RSAKey

from tests.access.oauth.proofs import b64

BORN = datetime(2026, 1, 1, tzinfo=UTC)
APP = "https://registry.example/udap"
Private = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


@dataclass(frozen=True)
class Member:
    """A certificate with its key and those above it."""

    certificate: x509.Certificate
    key: Private
    above: tuple[x509.Certificate, ...] = ()

    @property
    def x5c(self) -> list[str]:
        return [der(one) for one in (self.certificate, *self.above)]

    def jose(self) -> RSAKey | ECKey:
        text = self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return RSAKey.import_key(text) if isinstance(self.key, rsa.RSAPrivateKey) else ECKey.import_key(text)

    def signed(self, said: Mapping[str, Any], **header: Any) -> str:
        """A compact JWS with the chain; a header given as None is left out."""
        key = self.jose()
        algorithm = header.get("alg") or ("RS256" if key.key_type == "RSA" else "ES256")
        full = {"alg": algorithm, "x5c": self.x5c, **header}
        given = f"{b64({k: v for k, v in full.items() if v is not None})}.{b64(dict(said))}"
        return f"{given}.{b64(jws.JWSRegistry.algorithms[algorithm].sign(given.encode(), key))}"


def der(certificate: x509.Certificate) -> str:
    return base64.b64encode(certificate.public_bytes(Encoding.DER)).decode()


@cache
def key(name: str, kind: str = "rsa") -> Private:
    return rsa.generate_private_key(65537, 2048) if kind == "rsa" else ec.generate_private_key(ec.SECP256R1())


def made(
    name: str,
    by: Member | None,
    *,
    uri: str = "",
    authority: bool = False,
    kind: str = "rsa",
    days: tuple[int, int] = (0, 3650),
) -> Member:
    """A certificate signed by `by`, or by itself."""
    own = key(name, kind)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by.certificate.subject if by else subject)
        .public_key(own.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(BORN + timedelta(days=days[0]))
        .not_valid_after(BORN + timedelta(days=days[1]))
        .add_extension(x509.BasicConstraints(authority, None), critical=True)
        .add_extension(
            x509.KeyUsage(not authority, False, False, False, False, authority, authority, False, False), critical=True
        )
    )
    ski = x509.SubjectKeyIdentifier.from_public_key(own.public_key())
    aki = x509.AuthorityKeyIdentifier.from_issuer_public_key((by.key if by else own).public_key())
    builder = builder.add_extension(ski, False).add_extension(aki, False)
    if uri:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri)]), False)
    certificate = builder.sign((by.key if by else own), hashes.SHA256())
    return Member(certificate, own, (by.certificate, *by.above) if by and by.above else (by.certificate,) if by else ())


@cache
def root() -> Member:
    return made("Community root", None, authority=True)


@cache
def below() -> Member:
    return made("Community issuer", root(), authority=True)


@cache
def member(uri: str = APP, kind: str = "rsa") -> Member:
    return made(f"Member {uri} {kind}", below(), uri=uri, kind=kind)


def settle(folder: Path, base: str) -> dict[str, str]:
    """The settings of a server at `base` that is in the community."""
    own = made(f"Server {base}", below(), uri=f"{base}/fhir")
    files = {
        "certificate": b"".join(one.public_bytes(Encoding.PEM) for one in (own.certificate, below().certificate)),
        "key": own.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        "anchors": root().certificate.public_bytes(Encoding.PEM),
    }
    for name, content in files.items():
        (folder / f"udap-{name}.pem").write_bytes(content)
    named = {f"udap__{name}": str(folder / f"udap-{name}.pem") for name in files}
    return {**named, "http__base_url": base, "login__second_factor": "privileged"}
