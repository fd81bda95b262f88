"""What holds for every test: none is timed (a loaded machine is slow), so Hypothesis sets no deadline either; folders that are slow as a whole."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from hypothesis import settings

from tests import quick, stores
from tests.notified import Hook, hook

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

quick.begin()

HERE = Path(__file__).parent
# each test begins a server, or many: together they are left out of the quick part
SLOW = ("attacks", "conformance", "journeys", "server/test_sso.py", "server/test_udap.py", "server/test_docs_apps.py", "server/test_gateway")  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.relative_to(HERE).as_posix().startswith(SLOW):
            item.add_marker(pytest.mark.slow)


def pytest_collection_finish() -> None:
    quick.collected()


# --- the kinds of databases: what is tested here is tested on each of them

ON_EVERY_DATABASE = (
    "store/test_accounts.py", "store/test_audit.py", "store/test_bulk.py", "store/test_crowds.py", "store/test_dictionaries.py", "store/test_figures.py",
    "store/test_commit.py", "store/test_grants.py", "store/test_index.py", "store/test_messages.py", "store/test_model.py", "store/test_queue.py",
    "store/test_outset.py", "store/test_postings.py", "store/test_reindex.py", "store/test_resources.py", "store/test_retention.py", "store/test_whose.py", "store/search",
    "services", "access", "engine", "server/test_fhir", "server/test_bundles", "server/test_search", "server/test_conformance",
    "server/test_operations", "server/test_patch", "server/test_own_parameters", "server/test_large", "server/test_audit",
    "server/test_compartment", "server/test_hooks", "server/test_withheld", "server/test_cursor", "server/test_sign_in",
    "server/test_register", "server/admin", "server/test_bulk", "server/test_import", "server/test_everything", "server/test_graphql", "server/test_match", "server/test_once",
    "server/test_subscriptions", "server/test_terminology", "server/test_binary", "server/test_shapes",
    "store/test_sound", "server/test_damaged", "cli/test_terminology", "cli/test_import_deleted", "conformance/test_us_core", "server/test_fuzz", "attacks/test_every_parameter", "attacks/test_every_fhir_route",
)  # fmt: skip


# beside the store's own contract, what is run on PostgreSQL each time; all of the list above with SUTURE_POSTGRES=all
EACH_TIME = (
    "store/search/test_against_memory", "store/search/test_pages", "store/search/test_fulltext", "store/search/test_own_parameters",
    "engine/test_engine", "services/test_identities", "server/test_fhir", "server/test_bundles", "server/test_search",
    "server/test_bulk_kinds", "server/test_bulk_damaged", "server/test_fuzz", "cli/test_import_deleted", "attacks/test_every_parameter",
    "attacks/test_every_fhir_route",
)  # fmt: skip
EVERYTHING = os.environ.get("SUTURE_POSTGRES") == "all"


def kinds_of(place: str) -> tuple[str, ...]:
    """The databases a test file is run on: all that what it tests can tell apart."""
    *_, newest = stores.BACKENDS
    contract = place.startswith("store") and not place.startswith("store/search")
    if contract or (EVERYTHING and place.startswith("store")):
        return stores.BACKENDS
    return (stores.SQLITE, newest) if EVERYTHING or place.startswith(EACH_TIME) else (stores.SQLITE,)


@pytest_asyncio.fixture
async def hooked() -> AsyncIterator[Hook]:
    """An endpoint of a subscriber."""
    async with hook() as made:
        yield made


@pytest.fixture(autouse=True, scope="session")
def backend(request: pytest.FixtureRequest) -> Iterator[str]:
    """The kind of database that tests/stores.py gives."""
    name = getattr(request, "param", stores.SQLITE)
    stores.use(name)
    yield name
    stores.use(stores.SQLITE)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    place = Path(metafunc.module.__file__).relative_to(HERE).as_posix()
    name = metafunc.function.__name__
    of_files = "faulty" in metafunc.fixturenames or "_wal_" in name or "_damaged_page_" in name
    if place.startswith(ON_EVERY_DATABASE) and not of_files:
        names = [pytest.param(n, marks=[pytest.mark.slow] if n != stores.SQLITE else []) for n in kinds_of(place)]
        metafunc.parametrize("backend", names, indirect=True, scope="session")
