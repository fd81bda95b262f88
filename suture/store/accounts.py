"""People and programs: users, sessions, one-time links, clients with hashed keys, login back-off (NIST SP 800-63B)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from suture.clock import new_id
from suture.crypto import token_hash
from suture.errors import Conflict, NotFound
from suture.store.connection import Connection, Tx

MICROS = 1_000_000
MOST_FAILURES = 20_000  # names and addresses whose wrong passwords are remembered at once


@dataclass(frozen=True, slots=True)
class User:
    """A person who signs in; `password` is the Argon2id hash."""

    id: str
    login: str
    name: str
    roles: tuple[str, ...]
    password: str
    active: bool
    patient: str
    attributes: dict[str, Any]
    created: int


@dataclass(frozen=True, slots=True)
class Session:
    """A signed-in browser, known by the hash of its token."""

    hash: bytes
    user: str
    created: int
    seen: int
    expires: int
    attributes: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Client:
    """A program that calls us; `attributes` holds what OAuth registration says of it."""

    id: str
    name: str
    scopes: tuple[str, ...]
    active: bool
    attributes: dict[str, Any]
    created: int
    used: int  # when it last came, to the hour; 0 never


_USER = "uid, login, name, roles, password, active, patient, attributes, created"


def _user(row: tuple[Any, ...] | None) -> User | None:
    if row is None:
        return None
    return User(
        row[0],
        row[1],
        row[2],
        tuple(json.loads(row[3])),
        row[4],
        bool(row[5]),
        row[6] or "",
        json.loads(row[7]),
        row[8],
    )


def create_user(
    tx: Tx,
    login: str,
    name: str,
    password: str,
    *,
    roles: Sequence[str] = (),
    patient: str = "",
    attributes: Mapping[str, Any] | None = None,
) -> User:
    """A new person; raises Conflict when the login name is taken."""
    if tx.one("SELECT 1 FROM user WHERE login = ?", (login,)):
        raise Conflict("this login name is taken", where="users")
    id = new_id(tx.shared.clock)
    tx.execute(
        "INSERT INTO user VALUES (?, ?, ?, ?, ?, 1, ?, ?, ?, ?)",
        (id, login, name, json.dumps(list(roles)), password, patient or None, json.dumps(dict(attributes or {})), tx.now, tx.now),
    )  # fmt: skip
    return User(id, login, name, tuple(roles), password, True, patient, dict(attributes or {}), tx.now)


def change_user(
    tx: Tx,
    id: str,
    *,
    name: str | None = None,
    password: str | None = None,
    roles: Sequence[str] | None = None,
    active: bool | None = None,
    attributes: Mapping[str, Any] | None = None,
) -> User:
    """Changes what is given; a new password, other roles or an end of being active ends all sessions."""
    changes: dict[str, Any] = {
        "name": name,
        "password": password,
        "roles": None if roles is None else json.dumps(list(roles)),
        "active": None if active is None else int(active),
        "attributes": None if attributes is None else json.dumps(dict(attributes)),
        "changed": tx.now,
    }
    given = {column: value for column, value in changes.items() if value is not None}
    columns = ", ".join(f"{column} = ?" for column in given)
    tx.execute(f"UPDATE user SET {columns} WHERE uid = ?", (*given.values(), id))
    if password is not None or roles is not None or active is False:
        end_sessions(tx, id)
    if password is not None:
        end_links(tx, "invitation", "user", id)  # other links to set a new one
    found = user(tx, id)
    if found is None:
        raise NotFound("no such user", where="users")
    return found


def change_password(tx: Tx, id: str, hashed: str, but: str) -> None:
    """A person's own new password: all sessions end, but the one with the token `but`."""
    tx.execute("UPDATE user SET password = ?, changed = ? WHERE uid = ?", (hashed, tx.now, id))
    end_sessions(tx, id, but)
    end_links(tx, "invitation", "user", id)


def set_attributes(tx: Tx, id: str, attributes: Mapping[str, Any]) -> User | None:
    """Keeps what else is known of a person; sessions go on."""
    tx.execute("UPDATE user SET attributes = ?, changed = ? WHERE uid = ?", (json.dumps(dict(attributes)), tx.now, id))
    return user(tx, id)


def add_role(tx: Tx, id: str, role: str) -> None:
    """One role more, for somebody who goes on in the session it has."""
    found = user(tx, id)
    if found is not None and role not in found.roles:
        roles = json.dumps([*found.roles, role])
        tx.execute("UPDATE user SET roles = ?, changed = ? WHERE uid = ?", (roles, tx.now, id))


def user(connection: Connection, id: str) -> User | None:
    return _user(connection.one(f"SELECT {_USER} FROM user WHERE uid = ?", (id,)))


def user_by_login(connection: Connection, login: str) -> User | None:
    return _user(connection.one(f"SELECT {_USER} FROM user WHERE login = ?", (login,)))


def users(connection: Connection) -> list[User]:
    rows = connection.all(f"SELECT {_USER} FROM user ORDER BY login")
    return [found for row in rows if (found := _user(row))]


def find_users(connection: Connection, *, own: bool, text: str = "", count: int = 100) -> list[User]:
    """People by a part of their name, of those with a record of their own to see (`own`) or of all others."""
    like = "%" + text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
    portal = "EXISTS (SELECT 1 FROM json_each(roles) WHERE value IN ('patient', 'proxy'))"
    rows = connection.all(
        f"SELECT {_USER} FROM user WHERE {portal if own else f'NOT {portal}'} "
        "AND (name LIKE ? ESCAPE '\\' OR login LIKE ? ESCAPE '\\') ORDER BY active DESC, name LIMIT ?",
        (like, like, count),
    )
    return [found for row in rows if (found := _user(row))]


def create_session(tx: Tx, token: str, user: str, life: float, attributes: Mapping[str, Any] | None = None) -> Session:
    """Keeps the hash of `token` for `life` seconds."""
    made = Session(token_hash(token), user, tx.now, tx.now, tx.now + int(life * MICROS), dict(attributes or {}))
    tx.execute(
        "INSERT INTO session VALUES (?, ?, ?, ?, ?, ?)",
        (made.hash, user, made.created, made.seen, made.expires, json.dumps(made.attributes)),
    )
    return made


def session(connection: Connection, token: str, now: int, idle: float) -> Session | None:
    """The session of a token, unless it has expired or was silent for more than `idle` seconds."""
    row = connection.one(
        "SELECT hash, uid, created, seen, expires, attributes FROM session WHERE hash = ? AND expires > ? AND seen > ?",
        (token_hash(token), now, now - int(idle * MICROS)),
    )
    return None if row is None else Session(row[0], row[1], row[2], row[3], row[4], json.loads(row[5]))


def sessions(connection: Connection, user: str, now: int, idle: float) -> list[Session]:
    """The sessions of a person that are still good, the one used last first."""
    rows = connection.all(
        "SELECT hash, uid, created, seen, expires, attributes FROM session "
        "WHERE uid = ? AND expires > ? AND seen > ? ORDER BY seen DESC",
        (user, now, now - int(idle * MICROS)),
    )
    return [Session(row[0], row[1], row[2], row[3], row[4], json.loads(row[5])) for row in rows]


def change_session(tx: Tx, token: str, attributes: Mapping[str, Any]) -> None:
    tx.execute("UPDATE session SET attributes = ? WHERE hash = ?", (json.dumps(dict(attributes)), token_hash(token)))


def renew_session(tx: Tx, old: str, new: str, attributes: Mapping[str, Any]) -> None:
    """The session goes on under another token; the old one opens nothing any more."""
    tx.execute(
        "UPDATE session SET hash = ?, attributes = ?, seen = ? WHERE hash = ?",
        (token_hash(new), json.dumps(dict(attributes)), tx.now, token_hash(old)),
    )
    tx.execute("UPDATE oauth_grant SET session = ? WHERE session = ?", (token_hash(new), token_hash(old)))


def session_lives(connection: Connection, hash: bytes, now: int) -> bool:
    """Whether a session was neither ended nor outlived, however silent it is."""
    return connection.one("SELECT 1 FROM session WHERE hash = ? AND expires > ?", (hash, now)) is not None


def touch_session(tx: Tx, token: str) -> None:
    """Says that the session is in use; callers do so at most once a minute."""
    tx.execute("UPDATE session SET seen = ? WHERE hash = ?", (tx.now, token_hash(token)))


def end_session(tx: Tx, token: str) -> None:
    tx.execute("DELETE FROM session WHERE hash = ?", (token_hash(token),))


def end_session_of(tx: Tx, user: str, hash: bytes) -> bool:
    """Ends one of a person's sessions by its hash; says whether there was one."""
    tx.execute("DELETE FROM session WHERE hash = ? AND uid = ?", (hash, user))
    return bool(tx.changes)


def end_sessions(tx: Tx, user: str, but: str = "") -> None:
    """Ends all sessions of a person, but the one with this token; and what was begun to become one, or to be set up."""
    tx.execute("DELETE FROM session WHERE uid = ? AND hash <> ?", (user, token_hash(but)))
    tx.execute("DELETE FROM link WHERE purpose <> 'invitation' AND json_extract(attributes, '$.user') = ?", (user,))


def create_link(tx: Tx, token: str, purpose: str, life: float, attributes: Mapping[str, Any] | None = None) -> None:
    """A link that works once within `life` seconds; a new one of the same purpose `first-run` ends the old."""
    if purpose == "first-run":
        tx.execute("DELETE FROM link WHERE purpose = ?", (purpose,))
    tx.execute(
        "INSERT INTO link VALUES (?, ?, ?, NULL, ?)",
        (token_hash(token), purpose, tx.now + int(life * MICROS), json.dumps(dict(attributes or {}))),
    )


def link(connection: Connection, token: str, purpose: str, now: int) -> dict[str, Any] | None:
    """What the link stands for while it works; does not use it up."""
    row = connection.one(
        "SELECT attributes FROM link WHERE hash = ? AND purpose = ? AND used IS NULL AND expires > ?",
        (token_hash(token), purpose, now),
    )
    return None if row is None else dict(json.loads(row[0]))


def use_link(tx: Tx, token: str, purpose: str) -> dict[str, Any] | None:
    """Uses the link up; None when it is unknown, used or expired."""
    found = link(tx, token, purpose, tx.now)
    if found is not None:
        tx.execute("UPDATE link SET used = ? WHERE hash = ?", (tx.now, token_hash(token)))
    return found


class Link(NamedTuple):
    """A link that still works, without its token."""

    hash: bytes
    expires: int
    attributes: dict[str, Any]


def links(connection: Connection, purpose: str, now: int) -> list[Link]:
    """The links of a purpose that still work."""
    rows = connection.all(
        "SELECT hash, expires, attributes FROM link WHERE purpose = ? AND used IS NULL AND expires > ? ORDER BY expires",
        (purpose, now),
    )
    return [Link(row[0], row[1], json.loads(row[2])) for row in rows]


def change_link(tx: Tx, hash: bytes, attributes: Mapping[str, Any]) -> None:
    tx.execute("UPDATE link SET attributes = ? WHERE hash = ?", (json.dumps(dict(attributes)), hash))


def end_link(tx: Tx, hash: bytes) -> None:
    """Nobody can use this link any more."""
    tx.execute("UPDATE link SET used = ? WHERE hash = ? AND used IS NULL", (tx.now, hash))


def end_links(tx: Tx, purpose: str, name: str, value: str) -> int:
    """Ends the links of a purpose one of whose attributes is this; returns how many."""
    tx.execute(
        "UPDATE link SET used = ? WHERE purpose = ? AND used IS NULL AND json_extract(attributes, '$.' || ?) = ?",
        (tx.now, purpose, name, value),
    )
    return tx.changes


def bound_links(tx: Tx, purpose: str, most: int, place: str = "") -> None:
    """Keeps the newest `most` links of a purpose, of all or of those with this `place`: strangers make them."""
    tx.execute(
        "DELETE FROM link WHERE hash IN (SELECT hash FROM link WHERE purpose = ? "
        "AND (? = '' OR json_extract(attributes, '$.place') = ?) ORDER BY expires DESC LIMIT -1 OFFSET ?)",
        (purpose, place, place, most),
    )


_CLIENT = "cid, name, scopes, active, attributes, created, used"


def _client(row: tuple[Any, ...] | None) -> Client | None:
    if row is None:
        return None
    return Client(row[0], row[1], tuple(json.loads(row[2])), bool(row[3]), json.loads(row[4]), row[5], row[6] or 0)


def create_client(
    tx: Tx,
    name: str,
    *,
    key: str = "",
    scopes: Sequence[str] = (),
    attributes: Mapping[str, Any] | None = None,
    id: str = "",
) -> Client:
    """A new program; of its bearer `key` only the hash is kept."""
    cid = id or new_id(tx.shared.clock)
    if tx.one("SELECT 1 FROM client WHERE cid = ?", (cid,)):
        raise Conflict("this client id is taken", where="clients")
    tx.execute(
        "INSERT INTO client VALUES (?, ?, ?, ?, 1, ?, ?, NULL)",
        (cid, name, token_hash(key) if key else None, json.dumps(list(scopes)), json.dumps(dict(attributes or {})), tx.now),
    )  # fmt: skip
    return Client(cid, name, tuple(scopes), True, dict(attributes or {}), tx.now, 0)


def client_by_key(connection: Connection, key: str) -> Client | None:
    """The active client of a bearer key."""
    return _client(connection.one(f"SELECT {_CLIENT} FROM client WHERE hash = ? AND active = 1", (token_hash(key),)))


def client(connection: Connection, id: str) -> Client | None:
    return _client(connection.one(f"SELECT {_CLIENT} FROM client WHERE cid = ?", (id,)))


def clients(connection: Connection) -> list[Client]:
    rows = connection.all(f"SELECT {_CLIENT} FROM client ORDER BY name")
    return [found for row in rows if (found := _client(row))]


def change_client(
    tx: Tx,
    id: str,
    *,
    key: str | None = None,
    scopes: Sequence[str] | None = None,
    active: bool | None = None,
    attributes: Mapping[str, Any] | None = None,
) -> Client:
    """Changes what is given; a new key ends the old one."""
    changes: dict[str, Any] = {
        "hash": None if key is None else token_hash(key),
        "scopes": None if scopes is None else json.dumps(list(scopes)),
        "active": None if active is None else int(active),
        "attributes": None if attributes is None else json.dumps(dict(attributes)),
    }
    given = {column: value for column, value in changes.items() if value is not None}
    for column, value in given.items():
        tx.execute(f"UPDATE client SET {column} = ? WHERE cid = ?", (value, id))
    found = client(tx, id)
    if found is None:
        raise NotFound("no such client", where="clients")
    return found


def blocked_until(connection: Connection, key: str) -> int:
    """Until when logins under `key` (a login name, an address) are refused; 0 when they are not."""
    row = connection.one("SELECT blocked FROM failure WHERE key = ?", (key,))
    return row[0] if row else 0


def login_failed(tx: Tx, key: str, free: int, longest: float = 900.0, forget: float = 0.0) -> int:
    """Counts a failure; after `free` ones each further doubles the wait, from 1 second. Returns the end of the wait.

    With `forget`, failures count no longer once there was none for so many seconds.
    """
    row = tx.one("SELECT count, last FROM failure WHERE key = ?", (key,))
    if row and forget and tx.now - row[1] > forget * MICROS:
        row = None
    count = (row[0] if row else 0) + 1
    wait = min(longest, 2.0 ** min(count - free, 30)) if count >= free else 0.0
    blocked = tx.now + int(wait * MICROS) if wait else 0
    tx.execute("INSERT OR REPLACE INTO failure VALUES (?, ?, ?, ?)", (key, count, tx.now, blocked))
    _bound_failures(tx, free)
    return blocked


def _bound_failures(tx: Tx, free: int) -> None:
    """Whoever invents names fills nothing: past MOST_FAILURES the oldest go, those that nobody waits for first."""
    (there,) = tx.one("SELECT count(*) FROM failure") or (0,)
    if there > MOST_FAILURES:
        tx.execute(
            "DELETE FROM failure WHERE key IN (SELECT key FROM failure ORDER BY blocked > ?, count >= ?, last LIMIT ?)",
            (tx.now, free, there - MOST_FAILURES * 9 // 10),
        )


def login_worked(tx: Tx, key: str) -> None:
    tx.execute("DELETE FROM failure WHERE key = ?", (key,))


def first_time(tx: Tx, key: str, life: float, value: bytes = b"") -> bool:
    """True the first time `key` is seen within `life` seconds (a jti, an Idempotency-Key)."""
    row = tx.one("SELECT expires FROM once WHERE key = ?", (key,))
    if row and row[0] > tx.now:
        return False
    tx.execute("INSERT OR REPLACE INTO once VALUES (?, ?, ?)", (key, tx.now + int(life * MICROS), value or None))
    return True


def value_of(tx: Tx, key: str) -> bytes:
    """What was kept with a `key` that was seen within its life; empty when it was not."""
    row = tx.one("SELECT value FROM once WHERE key = ? AND expires > ?", (key, tx.now))
    return bytes(row[0] or b"") if row else b""


def sweep(tx: Tx) -> int:
    """Deletes what has expired; returns how many rows."""
    gone = 0
    for table in ("session", "link", "once"):
        tx.execute(f"DELETE FROM {table} WHERE expires <= ?", (tx.now,))
        gone += tx.changes
    tx.execute("DELETE FROM failure WHERE blocked <= ? AND last < ?", (tx.now, tx.now - 86_400 * MICROS))
    return gone + tx.changes
