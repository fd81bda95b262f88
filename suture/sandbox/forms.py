"""Intake forms as a practice's web form sends them: JSON, signed; people from a seed, known to the EHR or new."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import Any

import orjson

from suture.sandbox.people import Person

QUESTIONS = (
    ("reason", "What brings you here?", "Check-up"),
    ("allergies", "Are you allergic to anything?", "Penicillin"),
    ("medication", "Which medicines do you take?", "None"),
)


def form(p: Person, number: int, submitted: str) -> dict[str, Any]:
    """One finished form; `submitted` is a FHIR instant."""
    return {
        "id": f"form-{p.mrn}-{number}",
        "submitted": submitted,
        "patient": {
            "id": f"web-{p.mrn}",
            "family": p.family,
            "given": p.given,
            "birth_date": p.birth.isoformat(),
            "gender": p.gender,
            "email": p.email,
            "phone": p.phone,
        },
        "answers": [{"question": key, "text": text, "answer": answer} for key, text, answer in QUESTIONS],
    }


def signed(content: Mapping[str, Any], secret: str, event: str) -> tuple[bytes, dict[str, str]]:
    """Body and headers of a webhook call: HMAC-SHA256 over the body, and the sender's own id of the event."""
    body = orjson.dumps(content)
    signature = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return body, {"Content-Type": "application/json", "X-Signature": f"sha256={signature}", "Idempotency-Key": event}
