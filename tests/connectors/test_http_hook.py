"""Webhooks: a call is taken only with a fitting, fresh proof."""

from __future__ import annotations

import hashlib
import hmac

import pytest

from suture.connectors import http_hook
from suture.errors import Unauthenticated

DOOR = {"proof": "hmac", "signature_header": "X-Signature", "timestamp_header": "X-Timestamp", "max_age": "5m"}
BODY, SECRET, NOW = b'{"a":1}', "s3cret", 1_790_000_000.0


def sign(body: bytes, secret: str = SECRET) -> str:
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def check(headers: dict[str, str], door: dict[str, str] = DOOR) -> str:
    return http_hook.check(door, headers, BODY, SECRET, NOW)


def test_a_right_signature_opens_in_every_usual_spelling() -> None:
    for written in (sign(BODY), f"sha256={sign(BODY)}", sign(BODY).upper()):
        assert check({"x-signature": written}) == ""
    for time in (str(int(NOW) - 60), str(int(NOW * 1000)), "2026-09-21T14:13:20Z"):
        proof = sign(time.encode() + b"." + BODY)
        assert check({"x-timestamp": time, "x-signature": proof}) == check(
            {"x-timestamp": time, "x-signature": f"sha256={proof.upper()}"}
        )


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ({}, "signature is missing"),
        ({"x-signature": "00"}, "does not fit"),
        ({"x-signature": sign(BODY, "other")}, "does not fit"),
        ({"x-signature": sign(BODY + b" ")}, "does not fit"),
        ({"x-signature": sign(BODY), "x-timestamp": str(int(NOW))}, "does not fit"),
        ({"x-signature": sign(b"1." + BODY), "x-timestamp": "1"}, "too old"),
        ({"x-signature": sign(b"nan." + BODY), "x-timestamp": "nan"}, "too old"),
        ({"x-signature": sign(b"." + BODY), "x-timestamp": "soon"}, "too old"),
        ({"x-signature": "é"}, "does not fit"),
    ],
)
def test_a_wrong_missing_or_old_proof_is_refused(headers: dict[str, str], said: str) -> None:
    with pytest.raises(Unauthenticated, match=said):
        check(headers)


def test_a_bearer_secret_opens_and_nothing_else() -> None:
    door = {**DOOR, "proof": "bearer"}
    check({"authorization": "Bearer s3cret"}, door)
    for wrong in ("", "Bearer", "Bearer x", "Basic s3cret", "s3cret"):
        with pytest.raises(Unauthenticated, match="bearer secret"):
            check({"authorization": wrong}, door)
