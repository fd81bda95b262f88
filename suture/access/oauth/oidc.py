"""id_tokens: who signed in, told to the app under a key of ours (OpenID Connect Core 1.0, 2; RFC 7517; RS256 as SMART asks).

Private keys lie in the vault; a new one signs after `oauth.key_life`, the one before stays published while its tokens live.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from joserfc import jwt
from joserfc.jwk import RSAKey

from suture.clock import Clock
from suture.errors import NotFound
from suture.settings import Settings
from suture.store import audit, vault
from suture.store.connection import Connection, Tx
from suture.store.database import Database

NAME, ORIGIN = "id-token-keys", "suture:id-token"
ALGORITHM, BITS = "RS256", 2048
MICROS = 1_000_000
ID_TOKEN_LIFE = 3600  # seconds
_KEPT = 86_400 * MICROS  # a key stays published for so long after the next one signs


@dataclass(frozen=True, slots=True)
class Kept:
    """A key pair and when it began to sign."""

    key: RSAKey
    since: int

    @property
    def kid(self) -> str:
        return str(self.key.kid)


class SigningKeys:
    """The keys of a database; made when they are first needed."""

    def __init__(self, database: Database, clock: Clock, settings: Settings) -> None:
        self._database = database
        self._clock = clock
        self._settings = settings
        self._known: tuple[float, list[Kept]] = (-1.0, [])

    async def signing(self) -> Kept:
        """The key that signs now; a new one when there is none or it is too old."""
        found = self._read()
        if found and not self._old(found[0]):
            return found[0]
        made = await asyncio.to_thread(RSAKey.generate_key, BITS, {"use": "sig", "alg": ALGORITHM}, True, True)
        kept = await self._database.write(lambda tx: self._add(tx, made))
        self._known = (self._until(), kept)
        return kept[0]

    async def published(self) -> dict[str, Any]:
        """The public halves as a JWK Set."""
        await self.signing()
        return {"keys": [one.key.as_dict(private=False) for one in self._read()]}

    def _read(self) -> list[Kept]:
        if self._known[0] < self._clock.monotonic():
            self._known = (self._until(), _kept(self._database.read))
        return self._known[1]

    def _until(self) -> float:
        return self._clock.monotonic() + float(self._settings["session.recheck"])

    def _old(self, one: Kept) -> bool:
        return one.since + int(self._settings["oauth.key_life"] * MICROS) <= self._clock.micros()

    def _add(self, tx: Tx, made: RSAKey) -> list[Kept]:
        """Puts a new key first, unless another process was faster; drops those whose tokens have all ended."""
        found = _kept(tx)
        if found and not self._old(found[0]):
            return found
        kept = [Kept(made, tx.now)]
        for after, one in zip([*kept, *found], found, strict=False):
            if after.since + _KEPT > tx.now:
                kept.append(one)
        rows = [{"since": one.since, "key": one.key.as_dict(private=True)} for one in kept]
        vault.put(tx, NAME, json.dumps(rows), ORIGIN)
        audit.append(tx, audit.AuditRow("system", "new-signing-key", id=kept[0].kid[:64]))
        return kept


def _kept(connection: Connection) -> list[Kept]:
    """The keys in the vault, the newest first."""
    try:
        rows = json.loads(vault.get(connection, NAME, ORIGIN))
    except NotFound:
        return []
    return [Kept(RSAKey.import_key(row["key"]), int(row["since"])) for row in rows]


def id_token(key: Kept, claims: Mapping[str, Any], now: int) -> str:
    """The claims with their times, signed."""
    seconds = now // MICROS
    body = {**claims, "iat": seconds, "exp": seconds + ID_TOKEN_LIFE}
    return jwt.encode({"alg": ALGORITHM, "kid": key.kid, "typ": "JWT"}, body, key.key, algorithms=[ALGORITHM])
