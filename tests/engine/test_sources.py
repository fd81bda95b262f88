"""What another server sends to a poll may be anything: nothing of it stops the poll or moves its watermark out of reach."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suture.connectors.fhir import listed, next_link
from suture.engine import sources
from suture.engine.sources import moment
from suture.store import vault
from tests.connectors.site import Got, Say, Site
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


class Server:
    """A FHIR server that pages one resource a page; `sorted` or newest first."""

    def __init__(self, ascending: bool = True) -> None:
        self.ascending = ascending
        self.found: dict[str, str] = {}  # id -> lastUpdated
        self.during: list[
            tuple[str, float]
        ] = []  # what comes up while the second page is asked for: id, seconds from now
        self.pages: dict[str, tuple[list[str], int]] = {}

    def __call__(self, got: Got) -> Say:
        query = dict(parse_qsl(urlsplit(got.target).query))
        if "cursor" in query:
            ids, at = self.pages[query["cursor"]]
            for id, seconds in self.during:
                self.found[id] = from_now(seconds)
                ids += [id] if seconds else []
            self.during = []
        else:
            since = moment(query["_lastUpdated"].removeprefix("ge"))
            ids = [id for id, changed in self.found.items() if moment(changed) >= since]
            ids, at = sorted(ids, key=lambda id: self.found[id], reverse=not self.ascending), 0
        page: dict[str, Any] = {"resourceType": "Bundle", "type": "searchset"}
        page["entry"] = [
            {
                "resource": {
                    "resourceType": "Patient",
                    "id": id,
                    "meta": {"versionId": "1", "lastUpdated": self.found[id]},
                }
            }
            for id in ids[at : at + 1]
        ]
        if at + 1 < len(ids) or (at == 0 and self.during):
            cursor = f"c{len(self.pages)}"
            self.pages[cursor] = (ids, at + 1)
            page["link"] = [{"relation": "next", "url": f"Patient?cursor={cursor}"}]
        return Say(200, page)


def from_now(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


def polling(url: str, **more: str) -> tuple[dict[str, str], dict[str, str]]:
    options = "".join(f", {name}: {value}" for name, value in more.items())
    flow = POLL.replace("every: 50ms", f"every: 50ms{options}")
    return {"p": flow}, {"ehr": json.dumps({"suture": "connection/1", "id": "ehr", "uses": "fhir", "base": url})}


async def test_a_list_that_is_cut_goes_on_where_it_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "MOST_PAGES", 2)
    server = Server()
    server.found = {f"p{n}": f"2026-01-01T00:00:0{n}Z" for n in range(6)}  # closer than the overlap reaches back
    async with Site(server) as site, Rig(tmp_path, *polling(site.url)) as rig:
        await rig.until(lambda: len(rig.messages()) == 6)
        await rig.until(lambda: moment(vault.watermark(rig.read, "poll:follow")) == moment("2026-01-01T00:00:05Z"))


async def test_the_watermark_stays_when_an_unsorted_list_is_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sources, "MOST_PAGES", 2)
    server = Server(ascending=False)
    server.found = {f"p{n}": f"2026-01-0{n + 1}T00:00:00Z" for n in range(6)}
    async with Site(server) as site, Rig(tmp_path, *polling(site.url)) as rig:
        await rig.until(lambda: "more than 2 pages, not sorted by _lastUpdated" in caplog.text)
        assert not vault.watermark(rig.read, "poll:follow")
        monkeypatch.setattr(sources, "MOST_PAGES", 20)
        await rig.until(lambda: len(rig.messages()) == 6)
        await rig.until(lambda: moment(vault.watermark(rig.read, "poll:follow")) == moment("2026-01-06T00:00:00Z"))


async def test_what_changes_on_a_page_that_was_read_is_not_passed_over(tmp_path: Path) -> None:
    server = Server()
    server.found = {"p0": "2026-01-01T00:00:00Z"}
    server.during = [("hidden", 0.0), ("later", 0.001)]  # only `later` still stands on a page to come
    async with Site(server) as site, Rig(tmp_path, *polling(site.url, overlap="0s")) as rig:
        await rig.until(lambda: len(rig.messages()) == 3)
        assert sorted(m.control_id.split("/")[1] for m in rig.messages()) == ["hidden", "later", "p0"]
