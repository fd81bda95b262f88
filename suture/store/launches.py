"""Launches: an app that was opened from our pages, the person who opened it and what was open then; each counts once.

https://hl7.org/fhir/smart-app-launch/app-launch.html#launch-app-ehr-launch
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from suture.crypto import token_hash
from suture.store.connection import Connection, Tx

MICROS = 1_000_000


@dataclass(frozen=True, slots=True)
class Launch:
    """`context`: patient, encounter, fhirContext, intent, need_patient_banner, as the token answer names them."""

    client: str
    user: str
    context: Mapping[str, Any]


def create(tx: Tx, token: str, launch: Launch, life: float) -> None:
    """Keeps a launch for `life` seconds."""
    tx.execute(
        "INSERT INTO oauth_launch VALUES (?, ?, ?, ?, ?, NULL)",
        (
            token_hash(token), launch.client, launch.user, json.dumps(dict(launch.context)),
            tx.now + int(life * MICROS),
        ),
    )  # fmt: skip


def find(connection: Connection, token: str, now: int) -> Launch | None:
    """The launch, unless it was used or has expired."""
    row = connection.one(
        "SELECT client, uid, context FROM oauth_launch WHERE hash = ? AND used IS NULL AND expires > ?",
        (token_hash(token), now),
    )
    return Launch(row[0], row[1], json.loads(row[2])) if row else None


def use(tx: Tx, token: str, late: float = 0.0) -> bool:
    """Uses the launch up; False when it was used already, or ended more than `late` seconds ago."""
    tx.execute(
        "UPDATE oauth_launch SET used = ? WHERE hash = ? AND used IS NULL AND expires > ?",
        (tx.now, token_hash(token), tx.now - int(late * MICROS)),
    )
    return tx.changes > 0
