"""The rooms of access in a folder of their own, with a clock that tests set, and people to sign in."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyotp
import pytest

from suture.access import people
from suture.access.people import People
from suture.access.refusals import SecondFactorNeeded
from suture.access.second_factor import Answer
from suture.access.sessions import From
from suture.clock import SetClock
from suture.store import audit
from suture.store.accounts import User
from suture.store.database import Database
from tests.stores import settings

PASSWORD = "correct horse battery"
HERE = From("192.0.2.1", "Mozilla/5.0 (X11; Linux x86_64) Chrome/140.0")


class House:
    def __init__(self, folder: Path, **values: Any) -> None:
        self.clock = SetClock(datetime(2026, 11, 25, tzinfo=UTC))
        self.settings = settings(folder).with_values(**values)
        self.database = Database.open(self.settings, self.clock)
        self.people = People(self.database, self.clock, self.settings)

    def add(self, login: str, roles: Sequence[str]) -> User:
        return people.add_user(self.database, login, login.title(), PASSWORD, roles)

    async def step(self, login: str, address: str = HERE.address) -> SecondFactorNeeded:
        """Signs in as far as the second proof."""
        with pytest.raises(SecondFactorNeeded) as caught:
            await self.people.sign_in(login, PASSWORD, address)
        return caught.value

    async def app(self, user: User) -> tuple[pyotp.TOTP, list[str]]:
        """Sets up an authenticator app for a person who has none; its codes and the recovery codes."""
        offer = await self.people.second.offer(user)
        made = pyotp.TOTP(offer.secret)
        codes = await self.people.second.add_app(user, offer.token, self.code(made), "", first=True)
        self.clock.advance(30)
        return made, codes

    def code(self, app: pyotp.TOTP, steps: int = 0) -> str:
        return app.at(self.clock.micros() // 1_000_000 + 30 * steps)

    async def session(self, login: str, app: pyotp.TOTP) -> str:
        """A whole sign-in."""
        needed = await self.step(login)
        made = await self.people.second.finish(needed.step, Answer("totp", self.code(app)), HERE)
        self.clock.advance(30)
        return made

    def trail(self, what: str) -> list[audit.AuditRow]:
        return [entry.row for entry in reversed(audit.find(self.database.read, what=what, count=1000))]
