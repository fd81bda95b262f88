"""Certificates of a trust community: a chain in a header is worth what the configured anchors say of it (RFC 5280, RFC 7515 4.1.6).

http://hl7.org/fhir/us/udap-security/ (UDAP Security 1.1). Revocation lists are not read: see docs/known-misses.md.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.verification import ExtensionPolicy, PolicyBuilder, Store, VerificationError
from joserfc.jwk import ECKey, RSAKey

from suture.access.oauth.assertions import Unproven
from suture.errors import Unstartable

MOST_CERTIFICATES = 5
LONGEST = 8 * 1024  # characters of one certificate
_SMALLEST_RSA, _LARGEST_RSA = 2048, 8192


class Untrusted(Unproven):
    """No chain from this certificate to an anchor."""


class Trust:
    """The anchors of one community."""

    def __init__(self, anchors: Sequence[x509.Certificate]) -> None:
        self._builder = (
            PolicyBuilder()
            .store(Store(list(anchors)))
            .max_chain_depth(MOST_CERTIFICATES)
            .extension_policies(ca_policy=ExtensionPolicy.webpki_defaults_ca(), ee_policy=ExtensionPolicy.permit_all())
        )

    def leaf(self, chain: object, now: datetime) -> x509.Certificate:
        """The certificate that signs, once it leads to an anchor; raises Untrusted."""
        if not isinstance(chain, list) or not 0 < len(chain) <= MOST_CERTIFICATES:
            raise Untrusted("x5c is not a list of certificates")
        leaf, *others = (_certificate(one) for one in chain)
        _require_leaf(leaf)
        try:
            self._builder.time(now).build_client_verifier().verify(leaf, others)
        except (VerificationError, ValueError):
            raise Untrusted("the certificate leads to no anchor, or is not valid now") from None
        return leaf


def _certificate(text: object) -> x509.Certificate:
    if not isinstance(text, str) or len(text) > LONGEST:
        raise Untrusted("not a certificate")
    try:
        return x509.load_der_x509_certificate(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError):
        raise Untrusted("not a certificate") from None


def _require_leaf(leaf: x509.Certificate) -> None:
    """A certificate that may sign, and is no authority."""
    try:
        found = {extension.oid: extension.value for extension in leaf.extensions}
    except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        raise Untrusted("the certificate's extensions can't be read") from None
    constraints = found.get(x509.BasicConstraints.oid)
    usage = found.get(x509.KeyUsage.oid)
    if isinstance(constraints, x509.BasicConstraints) and constraints.ca:
        raise Untrusted("the certificate is an authority's")
    if isinstance(usage, x509.KeyUsage) and not usage.digital_signature:
        raise Untrusted("the certificate may not sign")


def names(leaf: x509.Certificate) -> list[str]:
    """The URIs a certificate stands for."""
    try:
        found = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return []
    return list(found.value.get_values_for_type(x509.UniformResourceIdentifier))


def key(leaf: x509.Certificate, algorithm: str) -> RSAKey | ECKey:
    """The public key of a certificate, when it is one for the algorithm; raises Untrusted."""
    public = leaf.public_key()
    curves = {"ES256": "secp256r1", "ES384": "secp384r1"}
    sound = (
        _SMALLEST_RSA <= public.key_size <= _LARGEST_RSA and algorithm.startswith("RS")
        if isinstance(public, rsa.RSAPublicKey)
        else isinstance(public, ec.EllipticCurvePublicKey) and public.curve.name == curves.get(algorithm)
    )
    if not sound:
        raise Untrusted("the certificate's key is not for this algorithm")
    text = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return RSAKey.import_key(text) if isinstance(public, rsa.RSAPublicKey) else ECKey.import_key(text)


def read(path: str, where: str) -> list[x509.Certificate]:
    """The certificates of a PEM file; raises Unstartable."""
    try:
        return x509.load_pem_x509_certificates(Path(path).read_bytes())
    except (OSError, ValueError) as error:
        raise Unstartable("no certificates can be read", where=where, mend="Name a PEM file.") from error
