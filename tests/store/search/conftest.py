"""Our small world, loaded once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.store.search.people import WORLD
from tests.store.search.worlds import World
from tests.stores import database


@pytest.fixture(scope="session")
def people(tmp_path_factory: pytest.TempPathFactory, backend: str) -> Iterator[World]:
    store = database(tmp_path_factory.mktemp("people"))
    yield World(store, WORLD)
    store.close()
