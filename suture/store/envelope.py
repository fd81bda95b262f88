"""The envelope beside the database: its data key, wrapped by the key file's key (NIST SP 800-57, key wrapping).

The database is encrypted with a data key that never leaves this process; `FILE.envelope` holds it sealed under the
key file's key, so that another key file is a re-wrap of 60 bytes and not of the whole database.
"""

from __future__ import annotations

import base64
import json
import os
from dataclasses import dataclass
from pathlib import Path
from threading import get_ident

from suture import crypto
from suture.errors import Unstartable

KIND = "envelope/1"


@dataclass(frozen=True, slots=True)
class Envelope:
    """The opened envelope: which database it belongs to and the key that opens its pages."""

    database: str
    key: bytes

    def derive(self, purpose: str) -> bytes:
        """A key for one purpose only (vault, audit anchor); never the page key itself."""
        return crypto.derive(self.key, f"suture {purpose}")


def path_of(database: Path) -> Path:
    return database.with_name(database.name + ".envelope")


def fresh(identity: str) -> Envelope:
    """A new data key."""
    return Envelope(identity, crypto.new_key())


def create(database: Path, key: bytes, identity: str) -> Envelope:
    """A new data key, sealed and synced to disk before the database is made."""
    envelope = fresh(identity)
    write(path_of(database), sealed(envelope, key))
    return envelope


def sealed(envelope: Envelope, key: bytes) -> bytes:
    """The envelope as text, its data key wrapped by `key`."""
    wrapped = crypto.seal(key, envelope.key, _context(envelope.database))
    text = {"suture": KIND, "database": envelope.database, "wrapped": base64.b64encode(wrapped).decode()}
    return (json.dumps(text) + "\n").encode()


def opened(raw: bytes, key: bytes, where: str) -> Envelope:
    """The envelope read from its text; raises Unstartable for a wrong key or a file that is none."""
    try:
        text = json.loads(raw)
        if text["suture"] != KIND:
            raise ValueError(text["suture"])
        identity, wrapped = str(text["database"]), base64.b64decode(text["wrapped"], validate=True)
    except (ValueError, KeyError, TypeError) as error:
        raise Unstartable(
            "this is not the envelope of a Suture database", where=where, mend="Restore it from a backup."
        ) from error
    return Envelope(identity, crypto.unseal(key, wrapped, _context(identity)))


def read(database: Path, key: bytes) -> Envelope:
    file = path_of(database)
    return opened(file.read_bytes(), key, str(file))


def write(file: Path, raw: bytes) -> None:
    """Replaces `file` in one step: written beside it, synced, renamed, the folder synced."""
    beside = file.with_name(f"{file.name}.{os.getpid()}-{get_ident()}.new")  # several may write at once
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as out:
        out.write(raw)
        out.flush()
        os.fsync(out.fileno())
    beside.replace(file)
    sync_folder(file.parent)


def sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _context(identity: str) -> bytes:
    return f"suture-{KIND} {identity}".encode()
