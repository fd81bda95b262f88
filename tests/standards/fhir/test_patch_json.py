"""JSON Patch: the public cases, and what a patch may never do."""

from __future__ import annotations

import json
from copy import deepcopy
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suture.errors import Inapplicable, Invalid, TooLarge
from suture.standards.fhir import patch_json
from tests import public

DOC: dict[str, Any] = {"resourceType": "Patient", "name": [{"family": "A", "given": ["B", "C"]}], "active": True}


def test_the_public_cases() -> None:
    cases = json.loads(public.path("fhir-test-cases/r4/patch/json-patch-tests.json").read_text())
    done = 0
    for case in cases:
        if "expected" in case:
            assert patch_json.apply(case["doc"], case["patch"]) == case["expected"], case["comment"]
        else:
            with pytest.raises((Inapplicable, Invalid)):
                patch_json.apply(case["doc"], case["patch"])
        done += 1
    assert done == len(cases) > 10


@pytest.mark.parametrize(
    ("operations", "said"),
    [
        ({}, "patch: a JSON Patch is an array of operations"),
        ([{"op": "frob"}], "[0].op: not an operation"),
        ([{"op": "add", "path": "name"}], "[0].value: this operation needs a value"),
        ([{"op": "add", "path": "name", "value": 1}], "[0].path: not a JSON Pointer"),
        ([{"op": "add", "path": "/a~2b", "value": 1}], "[0].path: a ~ stands alone in the pointer"),
        ([{"op": "remove", "path": "/name/3"}], "[0].path: nothing is at this place"),
        ([{"op": "remove", "path": "/name/01"}], "[0].path: nothing is at this place"),
        ([{"op": "remove", "path": "/active/x"}], "[0].path: nothing is at this place"),
        ([{"op": "remove", "path": ""}], "[0].path: the whole resource can't be removed"),
        ([{"op": "move", "from": "/name", "path": "/name/0"}], "[0].path: a value can't be moved into itself"),
        ([{"op": "test", "path": "/active", "value": 1}], "[0].value: the test fails: another value is there"),
        ([{"op": "replace", "path": "", "value": []}], "patch: the patch leaves no resource"),
        ([{"op": "remove", "path": "/active"}, {"op": "remove", "path": "/active"}], "[1].path: nothing is at this"),
    ],
)
def test_a_wrong_operation_is_placed(operations: Any, said: str) -> None:
    with pytest.raises((Inapplicable, Invalid)) as raised:
        patch_json.apply(DOC, operations)
    assert str(raised.value).startswith(said)


def test_what_came_is_left_as_it_is_and_numbers_keep_their_digits() -> None:
    before = {"value": Decimal("72.50")}
    kept = deepcopy(before)
    after = patch_json.apply(before, [{"op": "copy", "from": "/value", "path": "/other"}])
    assert (before, str(after["other"])) == (kept, "72.50")


def test_copies_of_copies_end_in_a_refusal() -> None:
    double = [{"op": "copy", "from": "/name", "path": "/name/-"} for _ in range(60)]
    with pytest.raises(TooLarge, match=r"\[\d+\]: the patch copies too much"):
        patch_json.apply(DOC, double)


def test_numbers_are_equal_by_value_and_true_is_no_number() -> None:
    assert patch_json.equal(Decimal("1.0"), 1)
    assert not patch_json.equal(True, 1)
    assert not patch_json.equal("1", 1)


POINTERS = st.sampled_from(
    ["", "/", "/name", "/name/0", "/name/0/given/1", "/name/-", "/active", "/x", "/name/0/family", "/~1"]
)
OPERATIONS = st.fixed_dictionaries(
    {"op": st.sampled_from(["add", "remove", "replace", "move", "copy", "test"]), "path": POINTERS},
    optional={"from": POINTERS, "value": st.sampled_from([1, "x", None, [], {}, ["a"], {"a": 1}])},
)


@given(st.lists(OPERATIONS, max_size=6))
def test_any_patch_gives_a_resource_or_a_refusal(operations: list[dict[str, Any]]) -> None:
    before = deepcopy(DOC)
    try:
        assert isinstance(patch_json.apply(DOC, operations), dict)
    except (Inapplicable, Invalid) as error:
        told = str(error)
        assert told
    assert before == DOC
