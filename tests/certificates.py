"""Certificates for tests: self-made ones, and those an authority of the test signs."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

NO_PASSWORD = serialization.NoEncryption()


@dataclass(frozen=True)
class Pair:
    """A certificate and its key, as objects and as PEM."""

    certificate: x509.Certificate
    key: Any

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        return self.key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, NO_PASSWORD)

    def write(self, folder: Path, name: str) -> tuple[Path, Path]:
        """Both files, as NAME.pem and NAME.key."""
        files = folder / f"{name}.pem", folder / f"{name}.key"
        for file, content in zip(files, (self.pem, self.key_pem), strict=True):
            file.write_bytes(content)
        return files


def issue(
    name: str, by: Pair | None = None, *, days: float = 30, rsa_key: bool = False, ca: bool | None = None
) -> Pair:
    """A certificate for `name`, localhost and 127.0.0.1, signed `by` an authority or by itself."""
    key = rsa.generate_private_key(65537, 2048) if rsa_key else ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    hosts = [x509.DNSName(name), x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by.certificate.subject if by else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName(hosts), critical=False)
        .add_extension(x509.BasicConstraints(ca=ca if ca is not None else by is None, path_length=None), critical=True)
    )
    return Pair(builder.sign(by.key if by else key, hashes.SHA256()), key)
