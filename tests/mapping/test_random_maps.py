"""Random maps out of sensible pieces: what can be read compiles, runs, and makes what the interpreter makes."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from suture.errors import InvalidFile
from suture.mapping.checks import frame_of
from suture.mapping.library import Library
from suture.standards.hl7v2.message import STANDARD, Segment
from tests.mapping.interpreter import Here, Interpreter
from tests.mapping.test_compile import SEX
from tests.mapping.test_oracle import CONTEXT, LIBRARY, compare, segment_of

PLACES = [
    "PID-1",
    "PID-3",
    "PID-3.1",
    "PID-3[2].1",
    "PID-3.4",
    "PID-3.4.1",
    "PID-5",
    "PID-5.1",
    "PID-5.1.1",
    "PID-5.2",
    "PID-7",
    "PID-8",
    "PID-11",
    "PID-11.1.1",
    "PID-13",
    "PID-13.1",
    "PID-16",
    "PID-29",
    "PID-30",
]
PARTS = ["CX.1", "CX.4", "CX.4.1", "CX.5", "XPN.1", "XPN.1.1", "XPN.2", "CWE.1", "CWE.2", "XTN.1", "XAD.3", "$this"]
CONDITIONS = [
    "PID-8 = 'F'", "PID-8 != 'F'", "PID-29.empty()", "PID-3.exists()", "PID-3.4.exists() and PID-7.length() > 8", "PID-30 in ('Y' | 'N')",
    "(PID-8 = 'M').not() or PID-5.1.1.startsWith('D')", "PID-3.count() > 1", "PID-7.matches('^19')", "PID-3.5 = 'MR'", "PID-8.upper() = 'F'",
    "PID-3.1.where($this.length() > 3).exists()", "PID-5.2 & PID-5.1.1 = 'JaneDoe'",
]  # fmt: skip
WITHIN = [
    "CX.5 != 'PT'",
    "CX.5 = 'MR'",
    "CX.4.exists()",
    "XPN.7.empty()",
    "XTN.3 in ('PH' | 'CP')",
    "PID-8 = 'F'",
    "CX.1.matches('[0-9]')",
]
TARGETS = [
    "birthDate", "gender", "active", "deceasedBoolean", "deceasedDateTime", "maritalStatus", "maritalStatus.text", "name.text", "name.family", "name[].text",
    "name.given", "name.given[]", "name[]", "name", "identifier[]", "identifier[a]", "identifier[a].value", "identifier[b].value", "identifier[].value", "identifier[a].type.text",
    "telecom[]", "telecom[].value", "address[]", "address.line[]", "contact[]", "contact[].name", "contact[].telecom[]", "contact[].telecom[].value", "contact[n].name.text",
    "contact[n].telecom[x].value", "communication.language.text", "extension[http://a].valueString", "extension[http://a][].valueString", "extension[http://b].extension[c].valueString",
    "birthDate.extension[http://t].valueString", "meta.tag[]", "maritalStatus.coding[].code", "managingOrganization.display", "generalPractitioner[]", "multipleBirthInteger",
]  # fmt: skip
ROW: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {"to": st.sampled_from(TARGETS)},
    optional={
        "when": st.sampled_from(CONDITIONS),
        "where": st.sampled_from(WITHIN),
        "default": st.sampled_from(["x", "1980", True]),
        "once": st.just(True),
        "fill": st.sampled_from([{"use": "old"}, {"period": {"start": "2020"}}]),
        "on_miss": st.sampled_from(["keep", "drop", {"use": "unknown"}]),
    },
)
SOURCES = st.one_of(
    st.sampled_from(PLACES).map(lambda p: {"from": p}),
    st.sampled_from(PLACES).map(lambda p: {"each": p}),
    st.lists(st.sampled_from(PLACES), min_size=2, max_size=2).map(lambda p: {"from": p}),
    st.lists(st.sampled_from([*PLACES, "'-'"]), min_size=2, max_size=3).map(lambda p: {"concat": p}),
    st.sampled_from(["x", True, 1, {"text": "x"}]).map(lambda v: {"set": v}),
    st.sampled_from(["PID-13.1.digits()", "iif(PID-8 = 'F', PID-5.2, PID-5.1.1)", "PID-5.2 & '-' & PID-7", "PID-3.1 | PID-5.2", "%source"]).map(lambda e: {"from": e}),
)  # fmt: skip
INNER = st.fixed_dictionaries(
    {
        "from": st.sampled_from([*PARTS, *PLACES]),
        "to": st.sampled_from(
            ["value", "text", "family", "given[]", "type.text", "code", "use", "name", "name.text", "$this"]
        ),
    }
)
CHANGES = st.one_of(
    st.just({}),
    st.sampled_from(["CX", "XPN", "XTN", "XAD", "CWE", "XCN-Practitioner", "XON-Organization"]).map(
        lambda m: {"using": m}
    ),
    st.sampled_from(["date", "dateTime", "boolean", "digits", "trim", "upper", "system", "split(' ')", "e164"]).map(
        lambda f: {"as": f}
    ),
    st.sampled_from(["sex", "sex.display"]).map(lambda t: {"translate": t}),
    st.lists(INNER, min_size=1, max_size=3).map(
        lambda rows: {"rows": [{"id": f"i{n}", **row} for n, row in enumerate(rows)]}
    ),
)
ROWS = st.lists(
    st.tuples(ROW, SOURCES, CHANGES).map(lambda three: {**three[0], **three[1], **three[2]}), min_size=1, max_size=4
)


def library(rows: list[dict[str, Any]]) -> Library:
    numbered = [{"id": f"r{n}", **row} for n, row in enumerate(rows)]
    head = {
        "suture": "map/1",
        "map": "hl7v2/R",
        "source": "hl7v2.PID",
        "target": "Patient",
        "tables": {"sex": "tables/s.csv"},
    }
    text = "".join(f"{key}: {json.dumps(value)}\n" for key, value in (head | {"rows": numbered}).items())
    made = Library({"r.yaml": text, "tables/s.csv": SEX})
    made._maps.update(SHIPPED)
    return made


SHIPPED = {name: map_ for name in LIBRARY.names() if (map_ := LIBRARY.map(name))}  # read once


@pytest.mark.slow
@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(ROWS, segment_of("PID"), segment_of("PID"))
def test_what_can_be_read_runs_as_it_says(rows: list[dict[str, Any]], one: str, other: str) -> None:
    readable = []
    for row in rows:
        try:
            library([row]).require("hl7v2/R")
        except InvalidFile:
            continue
        readable.append(row)
    assume(readable)
    maps = library(readable)
    made = maps.require("hl7v2/R")
    for text in (one, other):
        interpreter = Interpreter(CONTEXT)
        value: dict[str, Any] = {"resourceType": "Patient"}
        interpreter.host = value
        here = Here(frame_of(made), {"PID": text.split("|")})
        compare(
            maps,
            made,
            Segment("PID", text, STANDARD),
            partial(interpreter.rows, made, made.rows, here, "Patient", value),
        )
