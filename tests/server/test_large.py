"""Large bodies: read and checked beside the loop, so that others go on; bounded in values and in findings."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from suture.services.interactions import write
from suture.standards.fhir import index, xml
from tests.server.people import observation
from tests.server.running import Running, outcome_of, serving
from tests.server.test_bundles import entry, send, statuses

FHIR_XML = {"Content-Type": "application/fhir+xml"}


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """For each resource that is checked and indexed, whether that happened beside the loop."""
    seen: list[bool] = []
    extract, loop = index.extract, threading.current_thread()

    def noting(resource: dict[str, Any], base: str = "") -> index.Rows:
        seen.append(threading.current_thread() is not loop)
        return extract(resource, base)

    monkeypatch.setattr(index, "extract", noting)
    return seen


def large(id: str) -> dict[str, Any]:
    return observation(id, "p1", note=[{"text": "x" * (write.LARGE // 4)}] * 5)


async def test_a_large_resource_is_checked_beside_the_loop_however_it_comes(
    server: Running, threads: list[bool]
) -> None:
    assert (await server.http.put("/fhir/Observation/a", json=large("a"))).status_code == 201
    body = xml.write(large("b"))
    assert (await server.http.put("/fhir/Observation/b", content=body, headers=FHIR_XML)).status_code == 201
    assert statuses(await send(server, "transaction", entry("PUT", "Observation/c", large("c")))) == ["201"]
    assert threads == [True, True, True]


async def test_small_ones_stay_on_the_loop_in_a_large_batch_too(server: Running, threads: list[bool]) -> None:
    assert (await server.http.put("/fhir/Observation/a", json=observation("a", "p1"))).status_code == 201
    small, big = entry("PUT", "Observation/b", observation("b", "p1")), entry("PUT", "Observation/c", large("c"))
    answer = await send(server, "batch", small, big)
    assert statuses(answer) == ["201", "201"]
    assert threads == [False, False, True]
    kept = (await server.http.get("/fhir/Observation/c")).json()
    assert kept["note"] == large("c")["note"]


async def test_a_body_of_too_many_values_is_refused_before_it_is_read(tmp_path: Path) -> None:
    async with serving(tmp_path, fhir__max_values=50) as server:
        few = observation("a", "p1")
        assert (await server.http.put("/fhir/Observation/a", json=few)).status_code == 201
        many = observation("a", "p1", note=[{"text": "x"}] * 51)
        told = (413, "too-long", "The document has more than 50 values.")
        assert outcome_of(await server.http.put("/fhir/Observation/a", json=many)) == told
        for kind in ("batch", "transaction"):
            assert outcome_of(await send(server, kind, entry("PUT", "Observation/a", many))) == told
