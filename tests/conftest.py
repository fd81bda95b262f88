"""What holds for every test: none is timed (a loaded machine is slow), so Hypothesis sets no deadline either; folders that are slow as a whole."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

HERE = Path(__file__).parent
# each test begins a server, or many: together they are left out of the quick part
SLOW = ("attacks", "conformance", "journeys", "server/test_sso.py", "server/test_udap.py", "server/test_docs_apps.py", "server/test_gateway")  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.relative_to(HERE).as_posix().startswith(SLOW):
            item.add_marker(pytest.mark.slow)
