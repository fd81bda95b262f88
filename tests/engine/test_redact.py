"""What is shown masked holds no value, whatever it is."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suture.engine import redact
from tests.engine.rig import adt

PRIVATE = "Zyxwv"
values = st.recursive(
    st.just(PRIVATE) | st.just(8675309) | st.booleans() | st.none() | st.just(f"{PRIVATE} é 漢"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["name", "text", "div", "a b"]), inner, max_size=4)
    ),
)


@given(st.dictionaries(st.text(alphabet="abc", min_size=1, max_size=3), values, max_size=5))
def test_no_value_of_a_json_message_is_shown(content: dict[str, Any]) -> None:
    for shown in (json.dumps(redact.masked(content)), redact.original(json.dumps(content).encode(), "json")):
        assert PRIVATE not in shown
        assert "8675309" not in shown
        assert "漢" not in shown


def test_an_hl7_message_keeps_its_form_and_its_header() -> None:
    shown = redact.original(adt("M1", "100234"), "hl7v2")
    assert shown.splitlines()[0].startswith("MSH|^~\\&|ADT|LAKESIDE|")
    assert "PID|9||999999^^^XXXXXXXX^XX||Xxxxxxxxxx^Xxxx||99999999|X" in shown


@pytest.mark.parametrize("raw", [b"\xff\xfe Zyxwv", b"Zyxwv 8675309", b""])
def test_what_cannot_be_read_is_masked_too(raw: bytes) -> None:
    for kind in ("hl7v2", "json", ""):
        assert PRIVATE not in redact.original(raw, kind)
