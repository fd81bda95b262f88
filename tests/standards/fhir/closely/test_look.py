"""The close look as a whole: any text is no trouble, its findings are bounded, sound resources of guides stay sound."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suture.standards.fhir import json, xml
from suture.standards.fhir.closely import MOST, Around, look
from suture.standards.fhir.definitions import RESOURCE_TYPES, element_names
from tests import public
from tests.standards.fhir.closely.looking import bundle, entry

NAMES = st.sampled_from([*sorted(element_names()), "fullUrl", "valueString", "_value", "valueReference", "url"])
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=20)
    | st.sampled_from(["#", "#a", "Patient/1", "urn:uuid:1", "<b>"])
)
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=5), max_leaves=20
)


@given(st.sampled_from(sorted(RESOURCE_TYPES)), st.dictionaries(NAMES, VALUES, max_size=6))
def test_anything_can_be_looked_at(type: str, value: dict[str, Any]) -> None:
    for issue in look({**value, "resourceType": type}):
        assert issue.text
        assert issue.mend


def test_findings_are_bounded() -> None:
    found = look(bundle("collection", *[entry("x", "Patient")] * 1000))
    assert len(found) == MOST + 1
    assert found[-1].text == "There are more findings."


def test_what_is_no_resource_is_passed_over() -> None:
    assert look({}) == []
    assert look({"resourceType": "Nothing"}) == []


# two searchsets of the published guides hold an entry whose fullUrl ends with another id than its resource has, and one
# code system says another count of concepts than it holds
TRUE = {
    "Bundle-docref-example-2.json",
    "Bundle-66c8856b-ba11-4876-8aa8-467aad8c11a2.json",
    "CodeSystem-us-core-documentreference-category.json",
}


def packaged(name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    with tarfile.open(public.path(f"fhir/{name}.tgz")) as tar:
        for member in tar:
            file = tar.extractfile(member) if member.name.endswith(".json") else None
            found = json.read(file.read().removeprefix(b"\xef\xbb\xbf"), max_depth=300) if file else {}
            if "resourceType" in found and "/other/" not in member.name:
                yield member.name, found


@pytest.mark.slow
@pytest.mark.parametrize("name", ["us_core_610", "us_core_700", "us_core_800"])
def test_guides_stay_sound(name: str) -> None:
    resources = list(packaged(name))
    known = {(one["resourceType"], one["url"]): one for _, one in resources if "url" in one}
    around = Around(lambda type, url: known.get((type, url.partition("|")[0])))
    wrong = {
        file.rpartition("/")[2]
        for file, one in resources
        if any(issue.severity == "error" for issue in look(one, around))
    }
    assert wrong <= TRUE
    assert len(resources) > 300


# R4's own examples with a canonical that is relative
RELATIVE = {"operationdefinition-example", "capabilitystatement-example"}


@pytest.mark.slow
def test_examples_of_r4_stay_sound() -> None:
    folder = public.path("fhir-test-cases/r4")
    done, wrong = 0, set()
    for file in [
        *folder.glob("*-example*.xml"),
        *folder.glob("examples/*-example*.xml"),
        *folder.glob("examples/*-example*.json"),
    ]:
        read = xml.read if file.suffix == ".xml" else json.read
        done += 1
        if any(issue.severity == "error" for issue in look(read(file.read_bytes()))):
            wrong.add(file.stem)
    assert wrong <= RELATIVE
    assert done > 50
