"""The cursor of a next link: the whole query and its place, sealed for one caller and for a while (AES-256-GCM).

So a link holds no search value, works for nobody else, and can't be altered.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Any

import orjson

from suture import crypto
from suture.access import smart
from suture.access.caller import Caller
from suture.errors import InvalidSearch, Unstartable

PARAMETER = "_cursor"
_LONGEST = 8000
_MEND = "Follow the links as they were given, or search again."


@dataclass(frozen=True, slots=True)
class Place:
    """What a cursor says: the parameters of the first page and where the next one begins."""

    pairs: list[tuple[str, str]]
    position: list[Any]


class Cursors:
    """Seals and opens with one key."""

    def __init__(self, key: bytes, life: float) -> None:
        self._key = key
        self._life = life

    def seal(self, caller: Caller, target: str, place: Place, now: int) -> str:
        """`target` is what is paged: a resource type, or the path of a history."""
        plain = orjson.dumps([now + int(self._life * 1e6), place.pairs, place.position])
        return base64.urlsafe_b64encode(crypto.seal(self._key, plain, _context(caller, target))).rstrip(b"=").decode()

    def open(self, caller: Caller, target: str, cursor: str, now: int) -> Place:
        """Raises InvalidSearch when it was altered, given to someone else, made for something else, or is too old."""
        try:
            sealed = base64.b64decode(_padded(cursor), altchars=b"-_", validate=True)
            end, pairs, position = orjson.loads(crypto.unseal(self._key, sealed, _context(caller, target)))
        except (Unstartable, ValueError, binascii.Error):
            raise InvalidSearch(
                "not a cursor that was given to this caller here", where=PARAMETER, mend=_MEND
            ) from None
        if now > end:
            raise InvalidSearch("this cursor is too old", where=PARAMETER, mend=_MEND)
        return Place([(name, value) for name, value in pairs], position)


def _padded(cursor: str) -> bytes:
    if len(cursor) > _LONGEST or not cursor.isascii():
        raise ValueError
    raw = cursor.encode()
    padded = raw + b"=" * (-len(raw) % 4)
    if base64.urlsafe_b64encode(base64.urlsafe_b64decode(padded)) != padded:
        raise ValueError  # unused bits set: another spelling of the same bytes
    return padded


def _context(caller: Caller, target: str) -> bytes:
    own = [caller.id, caller.client, caller.grant, smart.text(caller.scopes), caller.patient, caller.encounter]
    return orjson.dumps(["cursor/2", *own, target])
