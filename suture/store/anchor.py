"""The anchor: count and head of the audit trail, sealed in a file outside the database (NIST SP 800-92, section 5).

Who exchanges the database for an older copy, or cuts the end of its trail off, leaves the anchor behind as a witness.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from pathlib import Path

from suture.errors import Unstartable
from suture.settings import Settings
from suture.store.audit import Head, head
from suture.store.connection import Connection, Tx
from suture.store.envelope import Envelope, write

KIND = "anchor/1"
FACT = "anchored"  # stands in the database once an anchor was written: from then on one that is gone is a sign


def path_of(settings: Settings, envelope: Envelope) -> Path:
    """Beside the key file, apart from the data folder, unless told otherwise."""
    if settings["audit.anchor"]:
        return settings.folder / str(settings["audit.anchor"])
    return settings.key_file.with_name(f"{envelope.database}.anchor")


def keep(file: Path, envelope: Envelope, at: Head) -> None:
    """Writes where the trail ends."""
    text = {"suture": KIND, "database": envelope.database, "count": at.n, "head": at.hash.hex()}
    write(file, (json.dumps({**text, "seal": _seal(envelope, text)}) + "\n").encode())


def read(file: Path, envelope: Envelope) -> Head | None:
    """What the anchor has seen; None when there is none. Raises Unstartable when it was not written by this database."""
    if not file.exists():
        return None
    try:
        text = json.loads(file.read_bytes())
        seal = text.pop("seal")
        found = Head(int(text["count"]), bytes.fromhex(text["head"]))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _broken(file, "cannot be read") from error
    if not hmac.compare_digest(seal, _seal(envelope, text)):
        raise _broken(file, "was not written by this database")
    return found


def known(connection: Connection) -> bool:
    """Whether this database has ever had an anchor."""
    return connection.one("SELECT 1 FROM fact WHERE name = ?", (FACT,)) is not None


def note(tx: Tx) -> None:
    """Says in the database that it has an anchor."""
    tx.execute("INSERT OR REPLACE INTO fact VALUES (?, ?)", (FACT, str(tx.now)))


def holds(connection: Connection, seen: Head | None) -> bool:
    """Whether the trail still reaches what the anchor has seen and has the same row there."""
    if seen is None or seen.n == 0:
        return True
    row = connection.one("SELECT hash FROM audit WHERE n = ?", (seen.n,))
    return row is not None and row[0] == seen.hash


class Keeper:
    """Moves the anchor on while the database is open; never over one that speaks against the database."""

    def __init__(self, file: Path, envelope: Envelope, connection: Connection) -> None:
        self.file = file
        self._envelope = envelope
        try:
            self.sound = self._witness(connection)
        except Unstartable:  # a broken anchor must not keep a hospital from starting; verify tells it
            self.sound = False

    def _witness(self, connection: Connection) -> bool:
        """Whether the anchor is there if it ever was, and the trail still is what it has seen."""
        seen = read(self.file, self._envelope)
        return holds(connection, seen) and (seen is not None or not known(connection))

    def move(self, connection: Connection) -> bool:
        """Writes the present head when it is further than the file; returns whether this was the first time.

        Looks first whether the trail still is what the file has seen: another process may have put an older copy there.
        """
        if not self.sound:
            return False
        self.sound = self._witness(connection)
        seen, now = read(self.file, self._envelope), head(connection)
        if self.sound and now.n > (seen.n if seen else 0):
            keep(self.file, self._envelope, now)
            return not known(connection)
        return False

    def accept(self, connection: Connection) -> None:
        """Somebody has looked into it: the present head is what counts from now on."""
        keep(self.file, self._envelope, head(connection))
        self.sound = True


def _seal(envelope: Envelope, text: dict[str, object]) -> str:
    return hmac.new(
        envelope.derive("audit anchor"), json.dumps(text, sort_keys=True).encode(), hashlib.sha256
    ).hexdigest()


def _broken(file: Path, text: str) -> Unstartable:
    return Unstartable(
        f"the audit anchor {text}",
        where=str(file),
        mend="Somebody or something changed it. Move it away and run: suture verify",
    )
