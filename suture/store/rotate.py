"""New keys: the key file is exchanged in a moment (the envelope is wrapped anew), the pages' own key by copy and swap.

NIST SP 800-57 part 1, section 5.3: cryptoperiods. docs/backup.md says what becomes of old backups.
"""

from __future__ import annotations

from pathlib import Path

import apsw

from suture import crypto
from suture.errors import Unstartable
from suture.settings import Settings
from suture.store import anchor, audit, backup, envelope, factors, keys, vault
from suture.store.audit import AuditRow
from suture.store.connection import open_raw
from suture.store.database import Database
from suture.store.file import path_of, serving_lock
from suture.store.postgres import server

PAGES = 2_000  # copied between two looks


def rewrap(settings: Settings) -> Path:
    """Makes a new key file and wraps the database's key with it; the server may go on. Returns where the old key is kept.

    The new key is on the disk before the envelope needs it; `database.py` finishes an exchange that was cut off.
    """
    file = settings.key_file
    if keys.command_of(settings):
        raise Unstartable(
            "the key comes from a key command, which alone can make a new one",
            where="key_command",
            mend="Make it there, then run: suture rotate-key --next-command 'COMMAND THAT PRINTS THE NEW KEY'.",
        )
    opened = envelope.opened(_envelope(settings), keys.read(settings), "envelope")
    new = crypto.unfinished(file)
    new.unlink(missing_ok=True)
    key = crypto.create_key_file(new)
    _keep(settings, envelope.sealed(opened, key))
    return crypto.exchange_key_file(file)


def rewrap_by(settings: Settings, command: str) -> None:
    """Wraps the database's key with the key another command prints; the server may go on.

    From the next start on `key_command` must be that command; the old key then opens nothing but old backups.
    """
    opened = envelope.opened(_envelope(settings), keys.read(settings), "envelope")
    _keep(settings, envelope.sealed(opened, keys.printed(command)))


def _envelope(settings: Settings) -> bytes:
    """The envelope as it stands beside the file, or on the server."""
    address = settings.database
    return (
        server.envelope_of(address) if server.is_address(address) else envelope.path_of(path_of(address)).read_bytes()
    )


def _keep(settings: Settings, sealed: bytes) -> None:
    address = settings.database
    if server.is_address(address):
        server.keep_envelope(address, sealed)
    else:
        envelope.write(envelope.path_of(path_of(address)), sealed)


def renew(settings: Settings) -> Path:
    """Copies the database under a new page key and swaps; the server must be stopped. Returns where the old one is kept."""
    path = path_of(settings.database)
    key = keys.read(settings)
    with serving_lock(path):
        database = Database.open(settings)
        try:
            if not database.upkeep.keeper.sound:
                raise Unstartable("the audit trail is not the one its anchor has seen", mend="Run: suture verify")
            fresh = envelope.Envelope(database.shared.envelope.database, crypto.new_key())
            beside = path.with_name(path.name + ".renewing")
            _copy(database, beside, fresh)
        finally:
            database.close()
        aside = backup.step_aside(path)
        envelope.write(envelope.path_of(path), envelope.sealed(fresh, key))
        beside.replace(path)
        envelope.sync_folder(path.parent)
    _anchor(settings, fresh)
    return aside


def _copy(database: Database, beside: Path, fresh: envelope.Envelope) -> None:
    for ending in ("", "-wal", "-shm"):
        beside.with_name(beside.name + ending).unlink(missing_ok=True)
    target = open_raw(beside, fresh.key, create=True)
    try:
        with target.backup("main", database.read.raw, "main") as copying:
            while not copying.done:
                copying.step(PAGES)
        _reseal(database, target, fresh)
    finally:
        target.close()  # moves the WAL into the file
    beside.chmod(0o600)


def _reseal(database: Database, target: apsw.Connection, fresh: envelope.Envelope) -> None:
    """Secrets are sealed under a key that comes from the page key."""
    old, new = database.shared.envelope.derive(vault.PURPOSE), fresh.derive(vault.PURPOSE)
    for name, origin, sealed in database.read.all("SELECT name, origin, sealed FROM secret"):
        context = vault.context_of(name, origin)
        again = crypto.seal(new, crypto.unseal(old, sealed, context), context)
        target.execute("UPDATE secret SET sealed = ? WHERE name = ?", (again, name))
    factors.reseal(target, database.shared.envelope, fresh)


def _anchor(settings: Settings, fresh: envelope.Envelope) -> None:
    """The anchor's seal is under a key of the envelope too; the trail goes on with a row about it."""
    anchor.path_of(settings, fresh).unlink(missing_ok=True)
    database = Database.open(settings)
    try:
        database.write_now(lambda tx: audit.append(tx, AuditRow("system", "renew-key")))
        database.upkeep.keeper.accept(database.read)
    finally:
        database.close()
