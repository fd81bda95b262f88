"""What a map made meets what is stored: absent stays, a value replaces, null deletes, guards keep."""

from __future__ import annotations

import copy
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suture.mapping.merge import merge

STORED: dict[str, Any] = {
    "resourceType": "Patient",
    "id": "p1",
    "meta": {"versionId": "3", "tag": [{"code": "a"}]},
    "active": True,
    "identifier": [{"system": "s", "value": "1"}, {"system": "other", "value": "9"}],
    "name": [{"family": "Doe"}],
    "telecom": [
        {"system": "phone", "value": "1", "use": "home"},
        {"system": "phone", "value": "2", "use": "work"},
    ],
    "birthDate": "1980-01-31",
    "_birthDate": {"extension": [{"url": "u", "valueDateTime": "1980-01-31T10:00:00Z"}]},
    "deceasedBoolean": False,
    "maritalStatus": {"coding": [{"code": "S"}], "text": "single"},
}


def merged(mapped: dict[str, Any], **plan: Any) -> dict[str, Any]:
    before = copy.deepcopy(STORED)
    found = merge(STORED, {"resourceType": "Patient", **mapped}, plan)
    assert before == STORED
    assert found is not None
    return found


def test_nothing_stored_takes_what_comes() -> None:
    assert merge(None, {"resourceType": "Patient"}) == {"resourceType": "Patient"}


def test_absent_stays() -> None:
    assert merged({}) == STORED


def test_a_value_replaces_and_a_structure_replaces_as_a_whole() -> None:
    found = merged({"active": False, "maritalStatus": {"coding": [{"code": "M"}]}})
    assert found["active"] is False
    assert found["maritalStatus"] == {"coding": [{"code": "M"}]}


def test_identifiers_are_united_by_system_and_value_only() -> None:
    found = merged({"identifier": [{"system": "s", "value": "1", "use": "old"}, {"system": "t", "value": "1"}]})
    assert found["identifier"] == [
        {"system": "s", "value": "1", "use": "old"},
        {"system": "other", "value": "9"},
        {"system": "t", "value": "1"},
    ]


def test_what_is_equal_takes_the_form_that_comes() -> None:
    stored = {"resourceType": "Observation", "component": [{"valueQuantity": {"value": Decimal("72.50")}}]}
    found = merge(stored, {"resourceType": "Observation", "component": [{"valueQuantity": {"value": Decimal("72.5")}}]})
    assert found is not None
    assert str(found["component"][0]["valueQuantity"]["value"]) == "72.5"


def test_a_snapshot_list_replaces() -> None:
    assert merged({"name": [{"family": "Roe"}]}, snapshot=["name"])["name"] == [{"family": "Roe"}]
    assert merged({}, snapshot=["name"])["name"] == STORED["name"]


def test_deletes() -> None:
    assert "birthDate" not in merged({}, deletes=[{"path": "birthDate", "matching": {}}])
    assert "_birthDate" not in merged({}, deletes=[{"path": "birthDate", "matching": {}}])
    assert "telecom" not in merged({}, deletes=[{"path": "telecom"}])
    home = merged({}, deletes=[{"path": "telecom", "matching": {"use": "home"}}])
    assert [t["use"] for t in home["telecom"]] == ["work"]
    assert merged({}, deletes=[{"path": "maritalStatus.text"}])["maritalStatus"] == {"coding": [{"code": "S"}]}


def test_a_delete_and_new_items_leave_the_new_ones() -> None:
    new = [{"system": "phone", "value": "3", "use": "home"}]
    found = merged({"telecom": new}, deletes=[{"path": "telecom", "matching": {"use": "home"}}])
    assert [t["value"] for t in found["telecom"]] == ["2", "3"]


def test_of_a_choice_only_one_stays() -> None:
    found = merged({"deceasedDateTime": "2026-01-01"})
    assert "deceasedBoolean" not in found


def test_an_extension_of_the_old_value_goes_with_it() -> None:
    assert "_birthDate" in merged({"birthDate": "1980-01-31"})
    assert "_birthDate" not in merged({"birthDate": "1980-02-01"})


def test_id_stays_and_meta_is_united() -> None:
    found = merged({"id": "x", "meta": {"tag": [{"code": "b"}]}})
    assert found["id"] == "p1"
    assert found["meta"] == {"versionId": "3", "tag": [{"code": "a"}, {"code": "b"}]}


FINAL = {"resourceType": "Observation", "id": "o", "status": "final", "valueString": "x"}


@pytest.mark.parametrize(("status", "stays"), [("preliminary", True), ("corrected", False), ("final", False)])
def test_a_late_preliminary_never_overwrites_a_final(status: str, stays: bool) -> None:
    plan = {"keep": [{"if": "status = 'final' and %new.status = 'preliminary'", "elements": []}]}
    found = merge(FINAL, {"resourceType": "Observation", "status": status, "valueString": "y"}, plan)
    assert (found is None) is stays


def test_an_update_never_undoes_a_merge() -> None:
    link = [{"other": {"reference": "Patient/2"}, "type": "replaced-by"}]
    stored = {"resourceType": "Patient", "id": "1", "active": False, "link": link, "name": [{"family": "A"}]}
    plan = {
        "keep": [{"if": "link.where(type = 'replaced-by').exists()", "elements": ["active", "link"]}],
        "snapshot": ["name"],
    }
    found = merge(stored, {"resourceType": "Patient", "active": True, "name": [{"family": "B"}]}, plan)
    assert found == {**stored, "name": [{"family": "B"}]}


def test_a_period_is_united() -> None:
    stored = {"resourceType": "Encounter", "id": "1", "status": "in-progress", "period": {"start": "2026-01-01"}}
    found = merge(stored, {"resourceType": "Encounter", "status": "finished", "period": {"end": "2026-01-02"}})
    assert found is not None
    assert found["period"] == {"start": "2026-01-01", "end": "2026-01-02"}


@pytest.mark.parametrize("start", ["2026-02-01", "2026-01-20T10:00:00-06:00", "2026-01-20T08:00:01+00:00"])
def test_a_period_that_would_start_after_its_end_is_the_new_one(start: str) -> None:
    stored = {
        "resourceType": "Encounter",
        "id": "1",
        "period": {"start": "2026-01-01", "end": "2026-01-20T09:00:00+01:00"},
    }
    found = merge(stored, {"resourceType": "Encounter", "period": {"start": start}})
    assert found is not None
    assert found["period"] == {"start": start}


def test_contained_resources_without_a_reference_go() -> None:
    old = {"resourceType": "Practitioner", "id": "practitioner-1", "name": [{"family": "A"}]}
    new = {"resourceType": "Practitioner", "id": "practitioner-2", "name": [{"family": "B"}]}
    stored = {
        "resourceType": "Observation",
        "id": "1",
        "contained": [old],
        "performer": [{"reference": "#practitioner-1"}],
    }
    mapped = {"resourceType": "Observation", "contained": [new], "performer": [{"reference": "#practitioner-2"}]}
    united = merge(stored, mapped)
    replaced = merge(stored, mapped, {"snapshot": ["performer"]})
    assert united is not None
    assert united["contained"] == [old, new]
    assert replaced is not None
    assert replaced["contained"] == [new]


def test_very_long_lists_are_united_in_one_pass() -> None:
    old = [{"system": "s", "value": str(n)} for n in range(30_000)]
    new = [{"system": "s", "value": str(n), "use": "old"} for n in range(15_000, 45_000)]
    found = merge({**STORED, "identifier": old}, {"resourceType": "Patient", "identifier": new})
    assert found is not None
    assert len(found["identifier"]) == 45_000
    assert sum("use" in item for item in found["identifier"]) == 30_000


NAMES = st.lists(st.fixed_dictionaries({"family": st.sampled_from("ABC")}), min_size=1, max_size=3)
PATIENTS = st.fixed_dictionaries(
    {"resourceType": st.just("Patient"), "name": NAMES}, optional={"gender": st.sampled_from(["male", "female"])}
)


@given(PATIENTS, PATIENTS, st.booleans())
def test_the_same_message_twice_changes_nothing_more(
    stored: dict[str, Any], mapped: dict[str, Any], whole: bool
) -> None:
    plan = {"snapshot": ["name"] if whole else []}
    once = merge(stored, mapped, plan)
    assert once is not None
    assert merge(once, mapped, plan) == once
