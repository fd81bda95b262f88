"""Compiled maps make what a plain interpreter of the same rows makes, for any segment and any datatype."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from suture.errors import SutureError
from suture.mapping.checks import frame_of
from suture.mapping.context import Context, Source
from suture.mapping.library import Library
from suture.mapping.model import Map
from suture.standards.hl7v2 import tables as v2
from suture.standards.hl7v2.message import STANDARD, Segment
from tests.mapping.interpreter import Here, Interpreter
from tests.mapping.test_compile import ROWS, SEX

LIBRARY = Library()
CONTEXT = Context(
    source=Source(id="oracle", time_zone="America/Chicago", authorities={"HOSP": "https://hosp.example"}),
    now="2026-01-15T08:30:00Z",
)
MAPS = {kind: [n for n in LIBRARY.names() if LIBRARY.require(n).kind == kind] for kind in ("segment", "datatype")}

LEAF = st.one_of(
    st.just(""),
    st.sampled_from(
        ["M", "F", "Y", "N", "A", "I", "O", "L", "H", "MR", "SS", "PT", "DL", "LN", "SCT", "HL70001", "HOSP", "ISO", "NPI", "PRN", "PH", "NET",
         "Internet", "19800131", "198001", "20260115083000", "202601150830-0600", "12345", "72.50", "3.5-5.1", "<", "-", ":", "NM", "ST", "CWE",
         "SN", "DT", "TX", "FT", "ED", "Doe", "Jane", "a@example.org", "(555)010-4477", "2.16.840.1.113883.19", '""', "\\T\\x", "a\\S\\b", "é"]
    ),
    st.text(st.characters(blacklist_characters="|^~\\&\r\n\"", blacklist_categories=("Cs", "Cc")), max_size=6),
)  # fmt: skip
COMPONENT = LEAF | st.lists(LEAF, min_size=1, max_size=4).map("&".join)
REPETITION = LEAF | st.lists(COMPONENT, min_size=1, max_size=14).map("^".join)
FIELD = st.one_of(st.just(""), REPETITION, st.lists(REPETITION, min_size=1, max_size=3).map("~".join))


def segment_of(name: str) -> st.SearchStrategy[str]:
    count = max(len(v2.fields(name)), 3)
    return st.lists(FIELD, min_size=1, max_size=count).map(lambda fields: "|".join([name, *fields]))


@pytest.mark.parametrize("name", MAPS["datatype"])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(text=REPETITION)
def test_datatype_maps(name: str, text: str) -> None:
    made = LIBRARY.require(name)
    found = LIBRARY.compiled(name).run(text, CONTEXT)
    here = Here(frame_of(made), {}, {made.source_name: text.split("^")})
    assert found.value == Interpreter(CONTEXT).map(made, here)
    tell(found)


@pytest.mark.parametrize("name", MAPS["segment"])
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(data=st.data())
def test_segment_maps(name: str, data: st.DataObject) -> None:
    made = LIBRARY.require(name)
    text = data.draw(segment_of(made.source_name))
    if made.source_name == "MSH":
        text = "MSH|^~\\&" + text[3:]
    fields = text.split("|")
    if made.source_name == "MSH":
        fields.insert(1, "|")
    interpreter = Interpreter(CONTEXT)
    value: dict[str, Any] = {"resourceType": made.target}
    interpreter.host = value
    here = Here(frame_of(made), {made.source_name: fields})
    compare(
        LIBRARY,
        made,
        Segment(made.source_name, text, STANDARD),
        lambda: interpreter.rows(made, made.rows, here, made.target, value),
    )


def compare(library: Library, made: Map, segment: Segment, interpreted: Callable[[], Any]) -> None:
    """Both make the same, or both refuse."""
    try:
        found = library.compiled(made.name).run(segment, CONTEXT)
    except SutureError as refused:
        with pytest.raises(type(refused)):
            interpreted()
        return
    assert found.value == interpreted()
    tell(found)


@cache
def of_rows(rows: str) -> Library:
    text = "suture: map/1\nmap: hl7v2/T\nsource: hl7v2.PID\ntarget: Patient\ntables: {sex: tables/s.csv}\nrows:\n"
    text += "".join(f"  - {row}\n" for row in rows.split("\n"))
    return Library({"t.yaml": text, "tables/s.csv": SEX})


@pytest.mark.parametrize("rows", [row[1] for row in ROWS], ids=[row[0] for row in ROWS])
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(text=segment_of("PID"))
def test_rows_of_every_kind(rows: str, text: str) -> None:
    library = of_rows(rows)
    made = library.require("hl7v2/T")
    interpreter = Interpreter(CONTEXT)
    value: dict[str, Any] = {"resourceType": "Patient"}
    interpreter.host = value
    here = Here(frame_of(made), {"PID": text.split("|")})
    compare(
        library, made, Segment("PID", text, STANDARD), lambda: interpreter.rows(made, made.rows, here, "Patient", value)
    )


def tell(found: Any) -> None:
    """Lineage, loss and warnings can be told of anything."""
    assert all(item.row for item in found.lineage)
    assert all(isinstance(place, str) and place for place in found.loss)
    assert all(warning.text for warning in found.warnings)
