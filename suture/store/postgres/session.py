"""One session with a PostgreSQL server: how it is opened, how values go to and fro, what its errors mean here.

https://www.psycopg.org/psycopg3/docs/ · https://www.postgresql.org/docs/current/errcodes-appendix.html
"""

from __future__ import annotations

import select
import struct
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import psycopg
from psycopg import pq
from psycopg.adapt import AdaptersMap, Dumper
from psycopg.types.numeric import Int8BinaryDumper, NumericBinaryLoader
from psycopg.types.string import BytesBinaryDumper

from suture.errors import Conflict, SutureError, TooCostly, TooLarge, Unavailable, Unstartable
from suture.store.bodies import DamagedPage, UnreadablePage
from suture.store.connection import Busy
from suture.store.ids import TextId

CONNECT_SECONDS = 10
OLDEST = 150_000
STATEMENTS = 500
GIVES = pq.ExecStatus.TUPLES_OK
# one round trip at the beginning; a command that ends in the middle of a transaction must not keep the lock for ever
SETTINGS = (
    "SET synchronous_commit = on; SET jit = off; SET client_min_messages = warning; "
    "SET idle_in_transaction_session_timeout = '5min'; SET standard_conforming_strings = on; SET TimeZone = 'UTC'; "
    "SET default_transaction_isolation = 'read committed'"
)
FULL = "the database holds as many rows as have a number (2,147,483,647 resources on PostgreSQL)"
CHANGED = "another process has changed the tables"
_NUL = "\ufffd"  # PostgreSQL's texts hold no NUL


class _Truth(Dumper):
    """Truths are numbers in the store."""

    format, oid = pq.Format.BINARY, 20

    def dump(self, obj: bool) -> bytes:
        return int(obj).to_bytes(8, "big")


def id_bytes(text: str) -> bytes:
    """An id that is no UUID; one of 16 letters is made longer, so that it is never taken for one."""
    found = text.encode()
    return found + b"\0" if len(found) == 16 else found


class _Id(Dumper):
    """Such an id as a value."""

    format, oid = pq.Format.BINARY, 17

    def dump(self, obj: str) -> bytes:
        return id_bytes(obj)


class Numbers(list[int]):
    """A column of whole numbers as one value."""


class Reals(list[float]):
    """A column of numbers as one value."""


class _Array(Dumper):
    """One dimension, no gaps: https://www.postgresql.org/docs/current/arrays.html, array_send"""

    format = pq.Format.BINARY
    of, sign = 20, "q"

    def dump(self, obj: Sequence[Any]) -> bytes:
        count = len(obj)
        values = [8] * (2 * count)
        values[1::2] = obj
        return struct.pack(f">iiIii{f'i{self.sign}' * count}", 1, 0, self.of, count, 1, *values)


class _Numbers(_Array):
    oid = 1016


class _Reals(_Array):
    oid, of, sign = 1022, 701, "d"


class _Plain(Dumper):
    """A text whose type the statement says."""

    def dump(self, obj: str) -> bytes:
        text = obj.encode("utf-8", "replace")
        return text.replace(b"\0", _NUL.encode()) if b"\0" in text else text


class _Number(NumericBinaryLoader):
    """Sums come as numerics."""

    def load(self, data: Any) -> Any:
        found: Decimal = super().load(data)
        return int(found) if found == found.to_integral_value() else float(found)


def _adapters() -> AdaptersMap:
    made = AdaptersMap(psycopg.adapters)
    made.register_dumper(bool, _Truth)
    made.register_dumper(TextId, _Id)
    made.register_dumper(str, _Plain)
    made.register_dumper(Numbers, _Numbers)
    made.register_dumper(Reals, _Reals)
    made.register_dumper(int, Int8BinaryDumper)  # the last for a type of column is the one that COPY takes
    made.register_dumper(bytes, BytesBinaryDumper)
    made.register_loader("numeric", _Number)
    return made


ADAPTERS = _adapters()


class Cursor(psycopg.RawCursor[tuple[Any, ...]]):
    """Gives no rows where there are none to give."""

    def fetchall(self) -> list[tuple[Any, ...]]:
        return super().fetchall() if self.pgresult and self.pgresult.status == GIVES else []


Raw = psycopg.Connection[tuple[Any, ...]]


def connect(address: str, *, reading: bool = False, plans: str = "auto") -> Raw:
    """A session; raises Unstartable with what to do when the server can't be had. No error shows the password."""
    try:
        raw: Raw = psycopg.connect(
            address, autocommit=True, context=ADAPTERS, cursor_factory=Cursor, connect_timeout=CONNECT_SECONDS,
            application_name="suture",
        )  # fmt: skip
        only = "on" if reading else "off"
        raw.execute(f"{SETTINGS}; SET default_transaction_read_only = {only}; SET plan_cache_mode = {plans}".encode())
    except psycopg.Error as error:
        raise Unstartable(
            f"the database server says: {said(error, address)}",
            where=where_of(address),
            mend="See that PostgreSQL runs there, and that SUTURE_DATABASE names host, database, user and password.",
        ) from error
    raw.prepare_threshold = None  # questions.py prepares
    return raw


def where_of(address: str) -> str:
    """The address without user and password."""
    try:
        parts = psycopg.conninfo.conninfo_to_dict(address)
    except psycopg.Error:
        return "postgresql"
    port = f":{parts['port']}" if parts.get("port") else ""
    return f"postgresql://{parts.get('host') or 'localhost'}{port}/{parts.get('dbname') or ''}"


def said(error: psycopg.Error, address: str) -> str:
    """The first line of what the server says, without the password."""
    line = (str(error).strip().splitlines() or [type(error).__name__])[-1].strip()
    try:
        secret = str(psycopg.conninfo.conninfo_to_dict(address).get("password") or "")
    except psycopg.Error:
        return "the address cannot be read"
    return line.replace(secret, "…") if secret else line


def inside(raw: Raw) -> bool:
    """Whether a transaction is under way, sound or not."""
    return raw.info.transaction_status in (pq.TransactionStatus.INTRANS, pq.TransactionStatus.INERROR)


def broken(raw: Raw) -> bool:
    return raw.closed or raw.info.transaction_status == pq.TransactionStatus.UNKNOWN


def spoken(raw: Raw) -> bool:
    """Whether the server has said something unasked, as it does when it ends the session."""
    try:
        return bool(select.select((raw.pgconn.socket,), (), (), 0)[0])
    except (OSError, ValueError, psycopg.Error):
        return True


def translated(error: Exception, where: str) -> SutureError:
    """What PostgreSQL says, in the words of the error tree."""
    if isinstance(error, SutureError):
        return error
    code = getattr(error, "sqlstate", None) or ""
    for begins, make in _MEANINGS:
        if code.startswith(begins):
            return make(where)
    lost = type(error) is psycopg.DatabaseError and not code  # what libpq says of a session that was cut off
    if lost or isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        return Unavailable("the database server cannot be reached", where=where, after=2.0)
    raise error  # a fault of ours, not of the server: it must be seen as one


_MEANINGS = (
    ("23", lambda where: Conflict("another writer was first, or the same row is there already")),
    ("25P02", lambda where: Busy("another question of the same transaction failed", where=where, after=1.0)),
    ("0A000", lambda where: Busy(CHANGED, where=where, after=1.0)),
    ("26000", lambda where: Busy(CHANGED, where=where, after=1.0)),
    ("40", lambda where: Busy("another process keeps the database busy", where=where, after=2.0)),
    ("55P03", lambda where: Busy("another process keeps the database busy", where=where, after=2.0)),
    (
        "57014",
        lambda where: TooCostly(
            "the query ran longer than it may",
            mend="Narrow it: name a patient, a code or a date; leave out _total, :contains and _sort.",
        ),
    ),
    (
        "53100",
        lambda where: Unavailable(
            "the disk is full", where=where, mend="Free space on it; writing goes on by itself.", after=5
        ),
    ),
    ("53", lambda where: Unavailable("the database server has no room for more", where=where, after=5)),
    ("25006", lambda where: Unavailable("the database server takes no writes (a standby?)", where=where, after=5)),
    ("22003", lambda where: Unavailable(FULL, where=where)),
    ("54000", lambda where: TooLarge("a value is longer than the index of PostgreSQL takes", where="resource", mend="Shorten the longest value that is searched by.")),
    ("58030", lambda where: UnreadablePage("the disk below the database failed", where=where, mend="See the server's log", after=5)),
    ("XX001", lambda where: DamagedPage("a page of the database is damaged", where=where, mend="See the server's log", after=30)),
    ("XX002", lambda where: DamagedPage("an index of the database is damaged", where=where, mend="See the server's log", after=30)),
    ("08", lambda where: Unavailable("the database server cannot be reached", where=where, after=2.0)),
    ("57", lambda where: Unavailable("the database server is shutting down or starting", where=where, after=2.0)),
    ("28", lambda where: Unavailable("the database server refuses this user", where=where, after=5)),
    ("3D", lambda where: Unavailable("the database is not there", where=where, after=5)),
)  # fmt: skip
