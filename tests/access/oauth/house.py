"""A database, a clock and the clients in it."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import pytest

from suture import settings as settings_of
from suture.access.oauth.backend import Backend
from suture.access.oauth.clients import Clients
from suture.access.oauth.errors import OAuthRefused
from suture.clock import SetClock
from suture.crypto import new_token
from suture.ports import Fetch
from suture.store import apps
from suture.store.apps import APPROVED, SYMMETRIC, OAuthClient
from suture.store.database import Database
from tests.access.oauth.proofs import TOKEN_URL, keep

SECRET = new_token()
REFUSED_AT_ALL = ("invalid_client", 401, "client authentication failed")
NOON = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)


class House:
    """Everything the authorization server knows of clients; `fetch` answers for their URLs."""

    def __init__(self, folder: Path, fetch: Fetch | None = None, **values: Any) -> None:
        self.clock = SetClock(NOON)
        self.outside: Any = fetch
        given = {"key_file": str(folder / "keys" / "k.key"), "http__base_url": "https://suture.example", **values}
        self.settings = settings_of.read(folder, {}).with_values(**given)
        self.database = Database.open(self.settings, self.clock)
        self.clients = Clients(self.database, self.clock, self.settings, fetch)
        self.backend = Backend(self.database, self.settings)

    def symmetric(self, **more: Any) -> OAuthClient:
        made = keep(self.database, OAuthClient("web app", "Web", SYMMETRIC, status=APPROVED, **more))
        self.database.write_now(lambda tx: apps.add_secret(tx, made.id, SECRET))
        return made

    async def refusal(self, given: dict[str, str], authorization: str = "") -> tuple[str, int, str]:
        with pytest.raises(OAuthRefused) as refused:
            await self.clients.authenticate(given, authorization, TOKEN_URL)
        return refused.value.error, refused.value.status, refused.value.text


def basic(id: str, secret: str) -> str:
    return "Basic " + base64.b64encode(f"{quote_plus(id)}:{quote_plus(secret)}".encode()).decode()
