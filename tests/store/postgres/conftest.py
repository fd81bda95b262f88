"""A fresh database on each server that is here, and sessions beside it that Suture knows nothing of."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from suture.store.database import Database
from suture.store.postgres import session
from tests import stores

Stranger = Callable[[], session.Raw]


@pytest.fixture(params=stores.BACKENDS[1:])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    stores.use(request.param)
    opened = stores.database(tmp_path)
    yield opened
    opened.close()
    stores.use(stores.SQLITE)


@pytest.fixture
def stranger(store: Database, tmp_path: Path) -> Iterator[Stranger]:
    """Opens a session of somebody else."""
    with ExitStack() as opened:
        yield lambda: opened.enter_context(session.connect(stores.address(tmp_path)))
