"""Gives each test a server with a small chart."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from tests.conformance.smart import Kit, kit


@pytest_asyncio.fixture
async def smart(tmp_path: Path) -> AsyncIterator[Kit]:
    async with kit(tmp_path) as made:
        yield made
