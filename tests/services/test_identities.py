"""What identifiers named of late is never anything but what a look-up would find, whoever writes in between."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from suture.access import policy
from suture.clock import SYSTEM, new_id
from suture.errors import PreconditionFailed
from suture.services.interactions.door import Interactions
from suture.standards.fhir import index, json
from suture.store import identities, resources
from suture.store.connection import Tx
from suture.store.database import Database
from suture.store.row import Row
from suture.store.search import by_identifier
from tests.stores import settings

SYSTEMS = ("urn:a", "urn:b")
FLOW = policy.flow_caller("feed")


class Whole:
    """A merge that takes what comes, under the id that is there."""

    def __call__(self, stored: dict[str, Any] | None, coming: dict[str, Any], url: str, /) -> dict[str, Any]:
        return {**stored, **coming} if stored else coming

    def plan(self, url: str, /) -> Any:
        return {}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Database]:
    opened = Database.open(settings(tmp_path, http__base_url="http://127.0.0.1:8080"))
    yield opened
    opened.close()


@pytest.fixture
def chart(store: Database, tmp_path: Path) -> Interactions:
    return Interactions(store, SYSTEM, settings(tmp_path, http__base_url="http://127.0.0.1:8080"), b"k" * 32)


def patient(*values: str, **more: Any) -> dict[str, Any]:
    named = [{"system": system, "value": value} for system, _, value in (text.partition("|") for text in values)]
    return {"resourceType": "Patient", "identifier": named, **more}


def put(resource: dict[str, Any], value: str) -> dict[str, Any]:
    return {"resource": resource, "request": {"method": "PUT", "url": f"Patient?identifier={value}"}}


async def write(chart: Interactions, store: Database, *entries: dict[str, Any]) -> list[str]:
    unit = chart.transaction_unit(FLOW, {"resourceType": "Bundle", "type": "transaction", "entry": [*entries]}, Whole())
    done = await store.write(unit)
    return [entry["response"].get("location", "") for entry in done["entry"]]


def kept(store: Database, value: str) -> identities.Named | None:
    system, _, rest = value.partition("|")
    return store.identities.get(("Patient", system, rest))


async def test_what_was_written_is_known_and_written_again_only_when_it_changes(
    chart: Interactions, store: Database
) -> None:
    first = await write(chart, store, put(patient("urn:a|1", gender="male"), "urn:a|1"))
    assert kept(store, "urn:a|1") is not None
    same = await write(chart, store, put(patient("urn:a|1", gender="male"), "urn:a|1"))
    other = await write(chart, store, put(patient("urn:a|1", gender="female"), "urn:a|1"))
    assert (same, other) == (first, [first[0].replace("/1", "/2")])


async def test_a_decimal_with_another_precision_is_a_change(chart: Interactions, store: Database) -> None:
    def weight(text: str) -> dict[str, Any]:
        resource = json.read(
            b'{"resourceType":"Observation","identifier":[{"system":"urn:a","value":"w"}],"status":"final",'
            b'"code":{"text":"weight"},"valueQuantity":{"value":%b}}' % text.encode()
        )
        return {"resource": resource, "request": {"method": "PUT", "url": "Observation?identifier=urn:a|w"}}

    places = [await write(chart, store, weight(text)) for text in ("72.5", "72.5", "72.50")]
    assert [place[0][-1] for place in places] == ["1", "1", "2"]


async def test_a_second_resource_with_the_identifier_makes_it_ambiguous(chart: Interactions, store: Database) -> None:
    await write(chart, store, put(patient("urn:a|1"), "urn:a|1"))
    await chart.create(policy.SYSTEM, "Patient", patient("urn:a|1", gender="other"))
    with pytest.raises(PreconditionFailed, match="finds more than one resource"):
        await write(chart, store, put(patient("urn:a|1", gender="male"), "urn:a|1"))


async def test_another_connection_that_writes_is_noticed(chart: Interactions, store: Database) -> None:
    place = (await write(chart, store, put(patient("urn:a|1"), "urn:a|1")))[0]
    id = place.split("/")[1]
    body = json.write(patient("urn:a|1", id=id, gender="other"))
    store.write_now(lambda tx: resources.put(tx, "Patient", id, body))
    place = (await write(chart, store, put(patient("urn:a|1", birthDate="1980-01-02"), "urn:a|1")))[0]
    row = resources.read(store.read, "Patient", id)
    assert row is not None
    assert place == f"Patient/{id}/_history/3"
    assert {"gender": "other", "birthDate": "1980-01-02"}.items() <= json.read(row.body).items()


async def test_what_was_rolled_back_is_not_known(chart: Interactions, store: Database) -> None:
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [put(patient("urn:a|1"), "urn:a|1")]}
    unit = chart.transaction_unit(FLOW, bundle, Whole())

    def failing(tx: Tx) -> None:
        unit(tx)
        raise PreconditionFailed("on purpose")

    with pytest.raises(PreconditionFailed, match="on purpose"):
        await store.write(failing)
    assert kept(store, "urn:a|1") is None
    assert (await write(chart, store, put(patient("urn:a|1"), "urn:a|1")))[0].endswith("/1")


def test_only_so_many_are_kept_those_used_last() -> None:
    known = identities.Identities(2)
    keys = [("Patient", "urn:a", str(n)) for n in range(3)]
    rows = [Row(n + 1, "Patient", str(n), 1, 0, "PUT", b"{}") for n in range(3)]
    for n in (0, 1):
        known.keep(keys[n], identities.Named(rows[n]))
    assert known.get(keys[0]) is not None
    known.keep(keys[2], identities.Named(rows[2]))
    assert [known.get(key) is not None for key in keys] == [True, False, True]


@pytest.mark.parametrize("seed", range(6))
async def test_whatever_is_written_what_is_kept_is_what_a_look_up_finds(
    chart: Interactions, store: Database, seed: int
) -> None:
    r, ids = random.Random(seed), [new_id() for _ in range(4)]
    values = [f"{system}|{n}" for system in SYSTEMS for n in range(3)]

    def some() -> dict[str, Any]:
        return patient(*r.sample(values, r.randint(1, 2)), gender=r.choice(["male", "female", "other"]))

    def stored(tx: Tx) -> None:
        id, resource = r.choice(ids), some()
        if r.random() < 0.3:
            resources.delete(tx, "Patient", id)
        else:
            resources.put(tx, "Patient", id, json.write(resource), index.extract(resource))

    async def conditional() -> None:
        chosen = r.sample(values, r.randint(1, 2))
        entries = [put({**some(), "birthDate": f"19{r.randint(10, 99)}-01-01"}, value) for value in chosen]
        if r.random() < 0.3:
            entries.append({"resource": some(), "request": {"method": "POST", "url": "Patient"}})
        try:
            await write(chart, store, *entries)
        except PreconditionFailed as error:
            assert "more than one" in error.text  # noqa: PT017

    for _ in range(120):
        act = r.random()
        if act < 0.6:
            await conditional()
        elif act < 0.85:
            await store.write(stored)
        else:
            store.write_now(stored)
        await store.write(lambda tx: require_true(tx, values))


def require_true(tx: Tx, values: list[str]) -> None:
    for value in values:
        system, _, rest = value.partition("|")
        found = tx.identities.get(("Patient", system, rest))
        if found is not None:
            row = resources.read_rid(tx, found.row.rid)
            assert by_identifier(tx, "Patient", system, rest) == [found.row.rid]
            assert row is not None
            assert (row.version, row.body) == (found.row.version, found.row.body)
            assert found.resource == json.read(row.body)
            assert found.written == json.write(found.resource)
            assert found.rows is None or found.rows == index.extract(json.read(row.body), tx.shared.base)
