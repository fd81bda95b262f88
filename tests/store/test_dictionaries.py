"""Dictionaries are trained beside the writing; every body stays readable, with whichever it was packed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from suture.store import dictionaries, resources
from suture.store.connection import Tx
from suture.store.database import Database
from suture.store.shared import WINDOW
from tests.stores import database


def observation(number: int) -> bytes:
    value = (
        '{"resourceType":"Observation","status":"final","code":{"coding":[{"system":"http://loinc.org","code":"%d-4",'
        '"display":"Something measured"}]},"subject":{"reference":"Patient/%d"},"valueQuantity":{"value":%d.5,'
        '"unit":"mmol/L","system":"http://unitsofmeasure.org","code":"mmol/L"}}'
    )
    return (value % (number * 7919 % 9999, number % 97, number)).encode()


def fill(store: Database, first: int, last: int) -> None:
    def unit(tx: Tx) -> None:
        for number in range(first, last):
            resources.put(tx, "Observation", f"o{number}", observation(number))

    store.write_now(unit)


def test_a_dictionary_is_trained_once_there_is_enough_and_old_rows_stay_readable(tmp_path: Path) -> None:
    store = database(tmp_path)
    fill(store, 0, dictionaries.FIRST)
    store.close()  # waits for the training
    store = database(tmp_path)
    fill(store, dictionaries.FIRST, dictionaries.FIRST + 100)
    kinds = dict(store.read.all("SELECT zd, count(*) FROM res GROUP BY zd"))
    assert kinds == {0: dictionaries.FIRST, 1: 100}
    plain = store.read.one("SELECT avg(length(body)) FROM res WHERE zd = 0")
    trained = store.read.one("SELECT avg(length(body)) FROM res WHERE zd = 1")
    assert plain
    assert trained
    assert trained[0] < plain[0] / 2
    for number in (0, 250, dictionaries.FIRST, dictionaries.FIRST + 99):
        row = resources.read(store.read, "Observation", f"o{number}")
        assert row is not None
        assert row.body.endswith(observation(number)[len('{"resourceType":"Observation"') :])
    store.close()


def test_a_handful_of_rows_trains_nothing(tmp_path: Path) -> None:
    store = database(tmp_path)
    fill(store, 0, 50)
    store.close()
    store = database(tmp_path)
    assert store.read.all("SELECT * FROM dictionary") == []
    store.close()


def test_rows_of_another_kind_than_before_make_a_new_dictionary(tmp_path: Path) -> None:
    """Not more rows alone: a second system that sends its own, which the dictionary has never seen."""
    store = database(tmp_path)
    shared = store.shared
    shared.packed["resource"], shared.trained["resource"] = 30_000, 20_000
    for _ in range(WINDOW):
        shared.fits["resource"].add(1_000, 100)
    assert dictionaries.due(shared) == []
    for _ in range(WINDOW):
        shared.fits["resource"].add(1_000, 126)
    assert dictionaries.due(shared) == ["resource"]
    shared.trained["resource"] = 29_000
    assert dictionaries.due(shared) == []
    store.close()


def test_samples_are_of_all_rows_and_half_of_them_of_the_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dictionaries, "SAMPLES", 40)
    monkeypatch.setattr(dictionaries, "RECENT", 20)
    store = database(tmp_path)
    fill(store, 0, 400)
    found = [int(json.loads(body)["id"][1:]) for body in dictionaries.sample(store.read, "resource")]
    store.close()
    assert found == sorted(set(found))
    assert len([number for number in found if number < 380]) in range(15, 22)  # evenly over all
    assert [number for number in found if number >= 380] == list(range(380, 400))
