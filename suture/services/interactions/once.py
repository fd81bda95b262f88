"""A write with an Idempotency-Key happens once, however often it is sent; later ones get the first one's answer.

https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass

from suture.access.caller import Caller
from suture.errors import Invalid, SutureError
from suture.services.interactions.chart import Access
from suture.services.interactions.write import Outcome
from suture.store import repeatable, resources
from suture.store.connection import Connection, Tx
from suture.store.repeatable import Kept

_KEY = re.compile(r'"?[\x21\x23-\x7e]{1,255}"?', re.ASCII)


class Reused(SutureError):
    """The same key with another request."""

    code, status, issue = "key-reused", 422, "conflict"


@dataclass(frozen=True, slots=True)
class Once:
    """A request that may come again. `who`: digest of caller and key; `asked`: of the request; `life`: microseconds."""

    who: bytes
    asked: bytes
    life: int

    @staticmethod
    def read(caller: Caller, key: str, asked: tuple[bytes, ...], life: float) -> Once | None:
        """From the header; None without one. `asked`: method, address and body."""
        if not key:
            return None
        if not _KEY.fullmatch(key):
            raise Invalid(
                "not a key", where="Idempotency-Key", mend="Send 1 to 255 visible characters, such as a UUID."
            )
        who = _digest(caller.id.encode(), caller.client.encode(), key.strip('"').encode())
        return Once(who, _digest(*asked), int(life * 1_000_000))

    def known(self, connection: Connection, now: int) -> Kept | None:
        """What came of the first request with this key; raises Reused when that was another one."""
        found = repeatable.find(connection, self.who, now - self.life)
        if found is not None and found.asked != self.asked:
            raise Reused("this key was sent with another request", where="Idempotency-Key", mend="Make a new key.")
        return found

    def outcome(self, tx: Tx, access: Access, unit: Callable[[Tx], Outcome]) -> Outcome:
        """What the unit comes to, now or the first time."""
        found = self.known(tx, tx.now)
        if found is not None:
            access.detail = "repeated"
            type, id, version = (found.place or "//").split("/")
            row = resources.vread(tx, type, id, int(version)) if type else None
            return Outcome(found.status, row, found.patients)
        done = unit(tx)
        place = f"{done.row.type}/{done.row.id}/{done.row.version}" if done.row is not None else ""
        self.keep(tx, Kept(self.asked, done.status, place, b"", done.patients))
        return done

    def keep(self, tx: Tx, kept: Kept) -> None:
        """Keeps what came of it, in the same transaction."""
        repeatable.keep(tx, self.who, kept, tx.now - self.life)


def _digest(*parts: bytes) -> bytes:
    found = hashlib.sha256()
    for part in parts:
        found.update(len(part).to_bytes(8, "big") + part)
    return found.digest()
