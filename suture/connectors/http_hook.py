"""Decides whether a webhook call is genuine: an HMAC-SHA256 signature or a bearer secret, and fresh if it says when it was sent.

https://www.rfc-editor.org/rfc/rfc2104
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from suture.component import seconds
from suture.errors import Unauthenticated


def check(door: Mapping[str, Any], headers: Mapping[str, str], body: bytes, secret: str, now: float) -> str:
    """Raises Unauthenticated when the proof is missing, wrong or too old; `headers` have small names.

    Returns what a signature with a time counts once by, however it is written; '' for proofs that may come again.
    """
    if door["proof"] == "bearer":
        _bearer(headers.get("authorization", ""), secret)
        return ""
    sent = headers.get(str(door["timestamp_header"]).lower(), "")
    given = headers.get(str(door["signature_header"]).lower(), "")
    if not given:
        raise Unauthenticated(
            "the signature is missing", where=str(door["signature_header"]), mend="Sign the body with HMAC-SHA256."
        )
    if sent and abs(now - _time(sent)) > seconds(door["max_age"]):
        raise Unauthenticated(
            "the signed time is too old",
            where=str(door["timestamp_header"]),
            mend="Sign each call when it is sent; check the clock.",
        )
    signed = sent.encode() + b"." + body if sent else body
    if not any(hmac.compare_digest(right, given.strip().encode()) for right in signatures(secret, signed)):
        raise Unauthenticated(
            "the signature does not fit",
            where=str(door["signature_header"]),
            mend="Sign TIME.BODY when the time header is sent, else BODY, with the shared secret.",
        )
    return hashlib.sha256(signed).hexdigest() if sent else ""


def signatures(secret: str, signed: bytes) -> list[bytes]:
    """The ways a right signature may be written."""
    digest = hmac.new(secret.encode(), signed, hashlib.sha256)
    plain = [digest.hexdigest(), digest.hexdigest().upper(), base64.b64encode(digest.digest()).decode()]
    return [text.encode() for plain_text in plain for text in (plain_text, f"sha256={plain_text}")]


def _bearer(given: str, secret: str) -> None:
    scheme, _, token = given.partition(" ")
    if scheme.lower() != "bearer" or not hmac.compare_digest(token.strip().encode(), secret.encode()):
        raise Unauthenticated(
            "the bearer secret is missing or wrong", where="Authorization", mend="Send Authorization: Bearer SECRET."
        )


def _time(text: str) -> float:
    """Seconds since 1970 of a whole number (seconds or milliseconds) or an ISO 8601 time; 0 when it is neither."""
    if text.isascii() and text.isdigit():
        return float(text) / 1000 if len(text) > 11 else float(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return 0.0
    return moment.timestamp() if moment.tzinfo else 0.0
