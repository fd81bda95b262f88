"""Resources against a plain model: any order of put, delete, failing units and restarts gives the same reads and history."""

from __future__ import annotations

import json
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from suture.standards.fhir.index import extract
from suture.store import bulk, resources
from suture.store.connection import Tx
from suture.store.resources import NEWEST, Place
from suture.store.verify import verify
from tests.stores import database

IDS = st.sampled_from(["a", "b", "0197f6f0-8c5e-7cc3-9a0c-0242ac120002"])
TYPES = st.sampled_from(["Patient", "Observation"])
BODIES = st.sampled_from(["one", "two", "three"])
Version = tuple[int, str, str]  # version, method, marker


POINTS_TO = {"one": "a", "two": "never-there", "three": "0197f6f0-8c5e-7cc3-9a0c-0242ac120002"}


def body_of(type: str, marker: str) -> bytes:
    """A resource that refers to another, which may come later, never, or be itself."""
    reference = {"reference": f"Patient/{POINTS_TO[marker]}"}
    link = {"link": [{"other": reference}]} if type == "Patient" else {"subject": reference}
    return json.dumps({"resourceType": type, "language": marker, **link}, separators=(",", ":")).encode()


class Store(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.store = database(self.folder)
        self.model: dict[tuple[str, str], list[Version]] = {}
        self.order: list[tuple[str, str, int]] = []

    def _put(self, tx: Tx, type: str, id: str, marker: str) -> resources.Row:
        return resources.put(tx, type, id, body_of(type, marker))

    def _record(self, type: str, id: str, method: str, marker: str) -> None:
        versions = self.model.setdefault((type, id), [])
        versions.append((len(versions) + 1, method, marker))
        self.order.append((type, id, len(versions)))

    @rule(type=TYPES, id=IDS, marker=BODIES)
    def put(self, type: str, id: str, marker: str) -> None:
        row = self.store.write_now(lambda tx: self._put(tx, type, id, marker))
        versions = self.model.get((type, id), [])
        if versions and versions[-1][1:] == ("PUT", marker):
            assert (row.change, row.version) == ("unchanged", len(versions))
            return
        created = not versions or versions[-1][1] == "DELETE"
        assert (row.change, row.version) == ("created" if created else "updated", len(versions) + 1)
        self._record(type, id, "PUT", marker)

    @rule(type=TYPES, id=IDS)
    def delete(self, type: str, id: str) -> None:
        row = self.store.write_now(lambda tx: resources.delete(tx, type, id))
        versions = self.model.get((type, id), [])
        assert (row is None) == (not versions)
        if versions and versions[-1][1] != "DELETE":
            self._record(type, id, "DELETE", "")

    @rule(type=TYPES, id=IDS, marker=BODIES)
    def fail(self, type: str, id: str, marker: str) -> None:
        def unit(tx: Tx) -> None:
            self._put(tx, type, id, marker)
            resources.delete(tx, type, id)
            raise ValueError

        with suppress(ValueError):
            self.store.write_now(unit)

    @rule(entries=st.lists(st.tuples(TYPES, IDS, BODIES), min_size=1, max_size=5))
    def load(self, entries: list[tuple[str, str, str]]) -> None:
        items = [bulk.Item(t, i, body_of(t, m), extract(json.loads(body_of(t, m)), "")) for t, i, m in entries]
        bulk.load(self.store, items)
        for type, id, marker in entries:
            if self.model.get((type, id), [(0, "", "")])[-1][1:] != ("PUT", marker):
                self._record(type, id, "PUT", marker)

    @rule()
    def restart(self) -> None:
        self.store.close()
        self.store = database(self.folder)

    @rule(count=st.integers(1, 4), type=st.sampled_from(["", "Patient"]))
    def page_through_history(self, count: int, type: str) -> None:
        seen: list[tuple[str, str, int]] = []
        place = NEWEST
        while page := resources.history(self.store.read, type, after=place, count=count):
            assert len(page) <= count
            seen += [(row.type, row.id, row.version) for row in page]
            place = Place(page[-1].updated, page[-1].rid, page[-1].version)
        wanted = [entry for entry in self.order if not type or entry[0] == type]
        assert sorted(seen) == sorted(wanted)
        assert [one[2] for one in seen if one[:2] == ("Patient", "a")] == sorted(
            (one[2] for one in wanted if one[:2] == ("Patient", "a")), reverse=True
        )

    @invariant()
    def reads_agree(self) -> None:
        for (type, id), versions in self.model.items():
            history = resources.history(self.store.read, type, id)
            assert [(r.version, r.method) for r in reversed(history)] == [v[:2] for v in versions]
            for version, method, marker in versions:
                row = resources.vread(self.store.read, type, id, version)
                assert row is not None
                assert row.method == method
                assert (f'"language":"{marker}"'.encode() in row.body) == (method == "PUT")
            current = resources.read(self.store.read, type, id)
            assert current is not None
            assert current.version == len(versions)

    def teardown(self) -> None:
        assert [finding for finding in verify(self.store) if not finding.good] == []
        self.store.close()
        shutil.rmtree(self.folder)


TestStore = pytest.mark.slow(Store.TestCase)
TestStore.settings = settings(
    max_examples=12, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
