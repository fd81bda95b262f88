"""Gives each module of checks one server with a small chart."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.conformance.bulk import Bulk, opened
from tests.conformance.smart import Kit, kit
from tests.conformance.subscriptions import Kit as Subscribed
from tests.conformance.subscriptions import opened as subscribing


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def smart(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Kit]:
    async with kit(tmp_path_factory.mktemp("smart")) as made:
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bulk(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Bulk]:
    async with opened(tmp_path_factory.mktemp("bulk")) as made:
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def subscribed(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Subscribed]:
    async with subscribing(tmp_path_factory.mktemp("subscriptions")) as made:
        yield made
