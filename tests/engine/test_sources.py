"""What another server sends to a poll may be anything: nothing of it stops the poll or moves its watermark out of reach."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suture.connectors.fhir import listed, next_link
from suture.engine.sources import moment
from suture.store import vault
from tests.connectors.site import Say, Site
from tests.engine.rig import Rig

POLL = """suture: flow/1
id: follow
source: {uses: fhir.poll, with: {connection: ehr, type: Patient, every: 50ms, since: "2020-01-01T00:00:00Z"}}
steps: [{id: all, uses: filter, with: {when: "true"}}]
"""
anything = st.recursive(
    st.none() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["resource", "search", "mode", "meta", "link", "relation", "url", "entry"]),
            inner,
            max_size=4,
        )
    ),
)


@given(st.dictionaries(st.sampled_from(["entry", "link"]), anything))
def test_no_bundle_makes_the_reader_fall_over(bundle: dict[str, Any]) -> None:
    assert isinstance(listed(bundle), list)
    assert isinstance(next_link(bundle), str)


@given(
    st.text(max_size=30)
    | st.sampled_from(["2020", "2020-01-01", "2020-01-01T00:00:00", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"])
)
def test_every_text_is_a_moment(text: str) -> None:
    assert moment(text).tzinfo is not None


@pytest.mark.parametrize(
    "resource",
    [
        {"resourceType": "Patient", "id": "1", "meta": {"lastUpdated": "9999-01-01T00:00:00Z"}},
        {"resourceType": "Patient", "id": "1", "meta": []},
        {"resourceType": "Patient", "identifier": 7, "meta": {"lastUpdated": "soon"}},
        {"resourceType": ["x"], "subject": {"reference": 1}},
        {"id": "1" * 5000, "resourceType": "Patient"},
    ],
)
async def test_odd_resources_are_taken_and_the_poll_goes_on(tmp_path: Path, resource: dict[str, Any]) -> None:
    page = {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": resource, "search": []}, 7]}
    async with Site(lambda got: Say(200, page)) as site:
        ehr = {"ehr": json.dumps({"suture": "connection/1", "id": "ehr", "uses": "fhir", "base": site.url})}
        async with Rig(tmp_path, {"p": POLL}, ehr) as rig:
            await rig.until(lambda: len(site.got) > 2)
            assert len(rig.messages()) == 1
            mark = moment(vault.watermark(rig.read, "poll:follow"))
            assert mark.timestamp() < datetime.now(UTC).timestamp() + 3600
