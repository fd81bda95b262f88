"""What travels through a browser between two pages: sealed, so that nobody can read, change or keep it for long.

The key comes from the database's envelope: every process of an installation opens it, a copy elsewhere does not.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Mapping
from typing import Any

from suture import crypto
from suture.clock import Clock
from suture.errors import Invalid, Unstartable

PATTERN = r"[A-Za-z0-9_-]{40,24000}"
MOST = 64_000  # bytes inside
MICROS = 1_000_000


class TooOld(Invalid):
    """A page that lay open too long, was opened elsewhere, or is none of ours."""

    code = "too-old"


class Sealer:
    """Seals for `life` seconds; `purpose` says what for, and nothing opens under another one."""

    def __init__(self, key: bytes, life: float, clock: Clock) -> None:
        self._key = key
        self._life = life
        self._clock = clock

    def seal(self, purpose: str, content: Mapping[str, Any]) -> str:
        kept = {"until": self._clock.micros() + int(self._life * MICROS), **content}
        packed = zlib.compress(json.dumps(kept).encode())
        return base64.urlsafe_b64encode(crypto.seal(self._key, packed, purpose.encode())).decode().rstrip("=")

    def open(self, purpose: str, text: str) -> dict[str, Any]:
        """What was sealed; raises TooOld."""
        try:
            raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
            packed = zlib.decompressobj().decompress(crypto.unseal(self._key, raw, purpose.encode()), MOST)
            kept: dict[str, Any] = json.loads(packed)
        except (ValueError, Unstartable, zlib.error):
            raise _too_old() from None
        if kept.pop("until") < self._clock.micros():
            raise _too_old()
        return kept


def _too_old() -> TooOld:
    return TooOld("this page is too old or not complete", mend="Go back to the app and begin again.")
