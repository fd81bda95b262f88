"""What `suture doctor` looks at on a PostgreSQL server: whether a commit is on disk, the way there, pages, backups, space.

https://www.postgresql.org/docs/current/runtime-config-wal.html
"""

from __future__ import annotations

from collections.abc import Iterator

from suture.store.connection import Connection
from suture.store.findings import Finding

DURABLE = {
    "fsync": "a power cut may destroy the database",
    "full_page_writes": "a power cut may leave torn pages",
    "synchronous_commit": "what was acknowledged may be lost",
}


def look(connection: Connection) -> Iterator[Finding]:
    """Every finding about the server."""
    yield _version(connection)
    yield _durable(connection)
    yield _checksums(connection)
    yield _way(connection)
    yield _sessions(connection)
    yield _size(connection)
    yield Finding(
        "volume", "warning",
        "bodies, messages and secrets are sealed; columns that rows are found by are not, and a server does not tell what it lies on",
        "Keep the server's volume, its WAL archive and its backups encrypted (LUKS, or your provider's).",
    )  # fmt: skip
    yield Finding(
        "backup", "warning", "the server's backups are its own: Suture can't see them",
        "Have pg_basebackup with a WAL archive, or pg_dump, run and be tried; keep the key file apart from them.",
    )  # fmt: skip


def setting(connection: Connection, name: str) -> str:
    row = connection.one("SELECT current_setting(?)", (name,))
    return str(row[0]) if row else ""


def _version(connection: Connection) -> Finding:
    return Finding("PostgreSQL", "good", setting(connection, "server_version"))


def _durable(connection: Connection) -> Finding:
    wrong = [f"{name} is off: {why}" for name, why in DURABLE.items() if setting(connection, name) in ("off", "local")]
    if wrong:
        return Finding("commits", "bad", "; ".join(wrong), "Turn it on in postgresql.conf and restart the server.")
    return Finding(
        "commits", "good", "on disk before they are acknowledged (fsync, full_page_writes, synchronous_commit)"
    )


def _checksums(connection: Connection) -> Finding:
    if setting(connection, "data_checksums") == "on":
        return Finding("page checksums", "good", "on")
    mend = "Turn them on with the server stopped: pg_checksums --enable"
    return Finding("page checksums", "warning", "off: a page that the disk damages may not be seen", mend)


def _way(connection: Connection) -> Finding:
    row = connection.one(
        "SELECT inet_server_addr() IS NULL OR inet_server_addr() <<= '127.0.0.0/8' OR inet_server_addr() = '::1', "
        "(SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid())"
    )
    near, sealed = row or (False, False)
    if sealed:
        return Finding("way to the server", "good", "TLS")
    if near:
        return Finding("way to the server", "good", "on this machine")
    return Finding(
        "way to the server", "bad", "over the network without TLS", "Add sslmode=verify-full to SUTURE_DATABASE."
    )


def _sessions(connection: Connection) -> Finding:
    row = connection.one(
        "SELECT count(*), (SELECT count(*) FROM pg_stat_activity WHERE application_name = 'suture' "
        "AND datname = current_database()) FROM pg_stat_activity WHERE backend_type = 'client backend'"
    )
    used, ours = row or (0, 0)
    most = int(setting(connection, "max_connections"))
    text = f"{used} of {most} in use, {ours} of them by Suture"
    if used > most * 0.8:
        return Finding("sessions", "warning", text, "Raise max_connections, or find who holds them.")
    return Finding("sessions", "good", text)


def _size(connection: Connection) -> Finding:
    row = connection.one("SELECT pg_size_pretty(pg_database_size(current_database()))")
    return Finding("size", "good", str(row[0]) if row else "")
