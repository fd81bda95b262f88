"""Splicing: id and meta are put in, nothing else is touched, whatever the order and the spaces."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from suture.errors import InvalidSyntax
from suture.store.splice import splice

NOW = 1_764_057_600_123_000
STAMP = '"versionId":"7","lastUpdated":"2025-11-25T08:00:00.123Z"'


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        ('{"resourceType":"Basic"}', '{"resourceType":"Basic","id":"new","meta":{%s}}'),
        ('{"resourceType":"Basic","id":"old"}', '{"resourceType":"Basic","id":"new","meta":{%s}}'),
        ('{"id":"old","resourceType":"Basic"}', '{"id":"new","meta":{%s},"resourceType":"Basic"}'),
        (
            '{ "resourceType" : "Basic" ,\n "id" : "old",\n "meta" : { "tag":[ ] , "versionId":"3"} , "x" : 72.50 }',
            '{ "resourceType" : "Basic" ,\n "id" : "new",\n "meta" : {%s,"tag":[ ]} , "x" : 72.50 }',
        ),
        (
            '{"resourceType":"Basic","text":{"meta":{},"id":"a"},"meta":{"lastUpdated":"x","source":"s"}}',
            '{"resourceType":"Basic","id":"new","text":{"meta":{},"id":"a"},"meta":{%s,"source":"s"}}',
        ),
        ('{"resourceType":"Basic","id":"old","x":{"meta":1}}', '{"resourceType":"Basic","id":"new","meta":{%s},"x":{"meta":1}}'),
        ('{"\\u0069d":"old","resourceType":"Basic"}', '{"\\u0069d":"new","meta":{%s},"resourceType":"Basic"}'),
        ('{"resourceType":"Basic","id":"a\\"b","x":1}', '{"resourceType":"Basic","id":"new","meta":{%s},"x":1}'),
    ],
)  # fmt: skip
def test_only_id_and_meta_change(body: str, wanted: str) -> None:
    assert splice(body.encode(), "new", 7, NOW).decode() == wanted % STAMP


@pytest.mark.parametrize(
    "body",
    [
        '{"resourceType":"Basic"}',
        '{"resourceType":"Basic","code":{"text":"é"},"x":[1,72.50]}',
        '{"resourceType":"Basic","id":"old","meta":{"versionId":"3","lastUpdated":"2025-01-01T00:00:00.000Z"},"x":{"id":"a"}}',
        '{"resourceType": "Basic",\n "id": "old", "meta": {"versionId":"3","lastUpdated":"a","profile":["b"],"tag":[]},"x":1}',
        '{"resourceType":"Basic","id":"old","meta":{"versionId":"3","lastUpdated":"a","tag":[],"_versionId":{"id":"b"}}}',
        '{"resourceType":"Basic","id":"old","meta":{"versionId":"3","lastUpdated":"a","tag":[],"\\u005flastUpdated":{}}}',
    ],
)
def test_what_this_server_wrote_is_cut_at_known_places(body: str) -> None:
    closely = splice(b" " + body.encode(), "new", 7, NOW)
    assert closely == b" " + splice(body.encode(), "new", 7, NOW)
    assert b"_versionId" not in closely
    assert splice(splice(body.encode(), "new", 1, 0), "new", 7, NOW) == closely[1:]


@pytest.mark.parametrize("body", ["[]", "7", "{", '{"id":"a"}', '{"resourceType":"Basic","meta":7}', ""])
def test_what_is_no_resource_is_refused(body: str) -> None:
    with pytest.raises(InvalidSyntax):
        splice(body.encode(), "new", 1, NOW)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
MEMBERS = st.dictionaries(st.sampled_from(["id", "text", "x", "y\u00e9", 'q"', "\\"]), VALUES, max_size=5)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(MEMBERS, st.dictionaries(st.sampled_from(["tag", "versionId", "lastUpdated", "source"]), VALUES) | st.none(),
       st.permutations(["resourceType", "meta", "rest"]), st.sampled_from([None, 2]), st.booleans())  # fmt: skip
def test_any_resource_keeps_all_that_is_not_ours(members, meta, order, indent, ascii) -> None:  # type: ignore[no-untyped-def]
    if "id" in members:
        members["id"] = str(members["id"])
    resource: dict[str, object] = {}
    for part in order:
        if part == "rest":
            resource.update(members)
        elif part == "resourceType":
            resource["resourceType"] = "Basic"
        elif meta is not None:
            resource["meta"] = meta
    body = json.dumps(resource, indent=indent, ensure_ascii=ascii).encode("utf-8", "replace")
    resource = json.loads(body)
    spliced = splice(body, "new", 7, NOW)
    found = json.loads(spliced)
    assert found.pop("id") == "new"
    kept = {k: v for k, v in (meta or {}).items() if k not in ("versionId", "lastUpdated")}
    stamped = found.pop("meta")
    assert (stamped.pop("versionId"), stamped.pop("lastUpdated")) == ("7", "2025-11-25T08:00:00.123Z")
    assert stamped == json.loads(json.dumps(kept))
    assert found == {k: v for k, v in resource.items() if k not in ("id", "meta")}
    assert splice(spliced, "new", 7, NOW) == spliced
    assert len(re.findall(rb'"versionId":"7"', spliced)) >= 1
