"""FHIRPath Patch: the public cases, lists of primitives with extensions, and every refusal."""

from __future__ import annotations

from copy import deepcopy
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suture.errors import Inapplicable, Invalid, SutureError
from suture.standards.fhir import patch_path, xml
from tests import public

DOC: dict[str, Any] = {
    "resourceType": "Patient",
    "birthDate": "1920-01-01",
    "name": [
        {"use": "official", "family": "A", "given": ["B", "C"], "_given": [None, {"id": "c"}]},
        {"use": "usual", "family": "D"},
    ],
    "deceasedBoolean": False,
    "extension": [{"url": "http://x/a", "valueString": "1"}, {"url": "http://x/b", "valueString": "2"}],
}


def change(type: str, path: str, **parts: Any) -> dict[str, Any]:
    rows: list[dict[str, Any]] = [{"name": "type", "valueCode": type}, {"name": "path", "valueString": path}]
    for name, part in parts.items():
        rows.append({"name": name, **(part if isinstance(part, dict) else {f"value{'Integer' if isinstance(part, int) else 'String'}": part})})  # fmt: skip
    return {"name": "operation", "part": rows}


def patched(*operations: dict[str, Any]) -> dict[str, Any]:
    return patch_path.apply(DOC, {"resourceType": "Parameters", "parameter": list(operations)})


def test_the_public_cases() -> None:
    text = public.path("fhir-test-cases/r4/patch/fhir-patch-tests.xml").read_text(encoding="utf-8")
    ElementTree.register_namespace("", xml.FHIR)
    done = 0
    for case in ElementTree.fromstring(text).iter("case"):
        read = {
            part: xml.read(ElementTree.tostring(case.find(part)[0]))  # type: ignore[index]
            for part in ("input", "diff", "output")
            if case.find(part) is not None and len(case.find(part))  # type: ignore[arg-type]
        }
        if "output" in read:
            assert patch_path.apply(read["input"], read["diff"]) == read["output"], case.get("name")
        else:
            with pytest.raises(Inapplicable, match="the path finds nothing"):
                patch_path.apply(read["input"], read["diff"])
        done += 1
    assert done > 30


def test_primitives_move_with_their_extensions() -> None:
    name = patched(change("move", "Patient.name[0].given", source=1, destination=0))["name"][0]
    assert (name["given"], name["_given"]) == (["C", "B"], [{"id": "c"}, None])
    name = patched(change("delete", "Patient.name[0].given[1]"))["name"][0]
    assert (name["given"], name["_given"]) == (["B"], [None])
    name = patched(change("insert", "Patient.name[0].given", index=0, value="Z"))["name"][0]
    assert (name["given"], name["_given"]) == (["Z", "B", "C"], [None, None, {"id": "c"}])


def test_a_choice_changes_its_type() -> None:
    after = patched(change("replace", "Patient.deceased", value={"valueDateTime": "2020"}))
    assert after["deceasedDateTime"] == "2020"
    assert "deceasedBoolean" not in after


def test_paths_with_criteria() -> None:
    assert patched(change("replace", "Patient.name.where(use = 'usual').family", value="E"))["name"][1]["family"] == "E"
    assert patched(change("replace", "name.where(given.exists()).family", value="E"))["name"][0]["family"] == "E"
    assert len(patched(change("delete", "Patient.extension('http://x/a')"))["extension"]) == 1
    assert patched(change("replace", "Patient.name.last().family", value="E"))["name"][1]["family"] == "E"
    assert patched(change("delete", "Patient.name.skip(1).first()"))["name"] == DOC["name"][:1]
    assert "deceasedBoolean" not in patched(change("delete", "Patient.deceased.ofType(boolean)"))


def test_deleting_what_is_not_there_is_no_error() -> None:
    assert patched(change("delete", "Patient.gender")) == DOC


@pytest.mark.parametrize(
    ("operation", "said"),
    [
        ({"name": "operation"}, "Parameters.parameter[0]: each parameter is an operation with parts"),
        (change("frob", "Patient"), "Parameters.parameter[0].type: not an operation"),
        (change("add", "Patient", name="frob", value="x"), "Parameters.parameter[0].name: the element has no such child"),
        (change("add", "Patient", name="gender"), "Parameters.parameter[0].value: this operation needs a value"),
        (change("add", "Patient", value="x"), "Parameters.parameter[0].name: this operation needs a name"),
        (change("add", "Patient", name="birthDate", value="2020"), "Parameters.parameter[0].name: it is there already"),
        (change("replace", "Patient.name", value="x"), "Parameters.parameter[0].path: the path finds several elements"),
        (change("replace", "Patient.gender", value="x"), "Parameters.parameter[0].path: the path finds nothing"),
        (change("replace", "Patient", value="x"), "Parameters.parameter[0].path: the resource itself can't be changed"),
        (change("replace", "Patient.name.count()", value="x"), "Parameters.parameter[0].path: this path does not lead"),
        (change("replace", "1 + 1", value="x"), "Parameters.parameter[0].path: this path does not lead"),
        (change("insert", "Patient.name[0].given", index=9, value="x"), "Parameters.parameter[0].index: the list has no"),
        (change("insert", "Patient.name[0].given", value="x"), "Parameters.parameter[0].index: this operation needs a"),
        (change("move", "Patient.name", source=0, destination=5), "Parameters.parameter[0].source: the list has no"),
        (change("replace", "Patient.deceased", value={"valueQuantity": {}}), "Parameters.parameter[0].value: the element has"),
    ],
)  # fmt: skip
def test_a_wrong_operation_is_placed(operation: dict[str, Any], said: str) -> None:
    with pytest.raises((Inapplicable, Invalid)) as raised:
        patched(operation)
    assert str(raised.value).startswith(said)


def test_what_is_no_patch_is_refused() -> None:
    with pytest.raises(Invalid, match="Parameters: a FHIRPath Patch is a Parameters resource"):
        patch_path.apply(DOC, {"resourceType": "Patient"})


PATHS = st.sampled_from(
    ["Patient", "Patient.name", "Patient.name[0]", "Patient.name[0].given", "Patient.name[0].given[1]", "Patient.birthDate",
     "Patient.deceased", "Patient.name.where(use='usual')", "Patient.x", "name.given.first()", "Patient.name.where(", "''", "Patient.contact"]
)  # fmt: skip
PARTS = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from(["name", "given", "birthDate", "frob", "contact", "deceased"]),
        "index": st.integers(-1, 3),
        "source": st.integers(-1, 3),
        "destination": st.integers(-1, 3),
        "value": st.sampled_from(["x", 1, {"valueHumanName": {}}, {"part": []}, {"part": [{"name": "use", "valueCode": "usual"}]}, {"resource": {}}]),
    },
)  # fmt: skip


@given(st.lists(st.tuples(st.sampled_from(["add", "insert", "delete", "replace", "move"]), PATHS, PARTS), max_size=4))
def test_any_patch_gives_a_resource_or_a_refusal(operations: list[tuple[str, str, dict[str, Any]]]) -> None:
    before = deepcopy(DOC)
    try:
        assert patched(*(change(type, path, **parts) for type, path, parts in operations))["resourceType"] == "Patient"
    except SutureError as error:
        told = str(error)
        assert told
    assert before == DOC
