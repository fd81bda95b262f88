"""What an import is to fetch: two ways to write it, manifests of others, and every refusal by its place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suture.errors import Invalid
from suture.services.bulk.sources import DELETED, INPUT, MANIFEST, Input, of_manifest, read

URL = "https://files.example/1.ndjson"
ONE = {"type": "Patient", "url": URL}
ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.just(URL),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["input", "type", "url", "exportUrl", "exportType", "output", "deleted", "link", "parameter"]
            )
            | st.sampled_from(["name", "part", "valueUri", "resourceType", "storageDetail", "inputFormat", "relation"]),
            inner | st.sampled_from(["static", "Patient", "Parameters", "next"]),
            max_size=5,
        )
    ),
    max_leaves=20,
)


def parameters(*rows: dict[str, Any]) -> dict[str, Any]:
    return {"resourceType": "Parameters", "parameter": list(rows)}


def test_a_manifest_and_parameters_say_the_same() -> None:
    sent = {"inputFormat": "application/fhir+ndjson", "inputSource": "https://ehr.example", "input": [ONE]}
    detail = {"name": "storageDetail", "part": [{"name": "type", "valueCode": "https"}]}
    row = {"name": "input", "part": [{"name": "type", "valueCode": "Patient"}, {"name": "url", "valueUrl": URL}]}
    source = {"name": "inputSource", "valueUri": "https://ehr.example"}
    found = read(sent | {"storageDetail": {"type": "https"}})
    assert found == read(parameters(source, detail, row))
    assert (found.source, found.inputs) == ("https://ehr.example", (Input(URL, "Patient", INPUT, "input[0]"),))


def test_an_export_that_is_done_is_named_by_its_manifest() -> None:
    found = read({"exportUrl": URL, "exportType": "static"})
    assert found.inputs == (Input(URL, "", MANIFEST, "exportUrl"),)


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ([], "body"),
        ({}, "input"),
        ({"input": [ONE], "exportUrl": URL}, "input"),
        ({"input": [ONE], "mode": "all"}, "mode"),
        ({"input": ["x"]}, "input[0]"),
        ({"input": [ONE, {"type": "Patient"}]}, "input[1].url"),
        ({"input": [{"type": "Nothing", "url": URL}]}, "input[0].type"),
        ({"input": [ONE], "inputFormat": "text/csv"}, "inputFormat"),
        ({"input": [ONE], "storageDetail": {"type": "aws-s3", "bucket": "b"}}, "storageDetail"),
        ({"exportUrl": URL}, "exportType"),
        ({"exportUrl": URL, "exportType": "dynamic"}, "exportType"),
        (parameters({"name": "input"}), "Parameters.parameter[0]"),
        (parameters({"valueUri": URL}), "Parameters.parameter[0]"),
    ],
)
def test_refusals_name_the_place(body: Any, where: str) -> None:
    with pytest.raises(Invalid) as told:
        read(body)
    assert told.value.where == where
    assert told.value.mend


def test_files_of_a_manifest() -> None:
    manifest = {
        "requiresAccessToken": False,
        "output": [ONE, {"type": "Observation", "url": URL + "?2"}],
        "deleted": [{"type": "Bundle", "url": URL + "?3"}],
        "error": [{"type": "OperationOutcome", "url": URL + "?4"}],
        "link": [{"relation": "next", "url": URL + "?5"}, {"relation": "self", "url": URL}],
    }
    assert [(one.url[-2:], one.type, one.kind) for one in of_manifest(manifest)] == [
        ("on", "Patient", INPUT), ("?2", "Observation", INPUT), ("?3", "", DELETED), ("?5", "", MANIFEST),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("manifest", "where"),
    [
        (None, "output"),
        ({"output": {}}, "output"),
        ({"output": [{"type": "Patient"}]}, "output[0]"),
        ({"output": [{"type": [], "url": URL}]}, "output[0].type"),
        ({"output": [], "deleted": {"url": 1}}, "deleted"),
        ({"output": [], "requiresAccessToken": True}, "requiresAccessToken"),
    ],
)
def test_a_manifest_that_cannot_be_followed_is_told_by_its_place(manifest: Any, where: str) -> None:
    with pytest.raises(Invalid) as told:
        of_manifest(manifest)
    assert told.value.where == where


@given(ANY)
def test_whatever_is_sent_is_read_or_refused(body: Any) -> None:
    assert all(place_of(take, body) for take in (read, of_manifest))


def place_of(take: Callable[[Any], Any], body: Any) -> str:
    try:
        take(body)
    except Invalid as error:
        return error.where
    return "none"
