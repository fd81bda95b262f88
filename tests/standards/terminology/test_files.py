"""Code systems as their publishers ship them: read, and told file and line when a line is wrong. All content is made up."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suture.errors import Invalid
from suture.standards.terminology.files import KINDS, Concept, Lines

CVX = """900|Moon pox|Moon pox vaccine, live|notes|Active|False|2020/01/01
901|Old pox|Old pox vaccine||Inactive|False|2020/01/01
"""
ORDER = "".join(
    f"{number:05} {code:<7} {billable} {short:<60} {long}\n"
    for number, (code, billable, short, long) in enumerate(
        [
            ("X97", 0, "Moon sickness", "Moon sickness"),
            ("X970", 0, "Moon sickness, left", "Moon sickness of the left side"),
            ("X970XA", 1, "Moon sickness, left, init", "Moon sickness of the left side, initial encounter"),
            ("X98", 1, "Sun sickness", "Sun sickness"),
        ],
        1,
    )
)
LOINC = """\ufeff"LOINC_NUM","COMPONENT","STATUS","SHORTNAME","LONG_COMMON_NAME","CLASS"
"90001-1","Moonlight","ACTIVE","Moonlight SerPl","Moonlight [Mass/volume] in Serum","CHEM"
"90002-9","Sunlight, ""bright"" one","DEPRECATED","","Sunlight in Serum","CHEM"
"""
TREE = """PATH_TO_ROOT,SEQUENCE,IMMEDIATE_PARENT,CODE,CODE_TEXT
,1,,LP90-1,Light
LP90-1,1,LP90-1,90001-1,Moonlight
"""
ANSWERS = """AnswerListId,AnswerListName,AnswerStringId,DisplayText
LL90-1,Phases,LA91-1,New
LL90-1,Phases,LA92-1,Full
LL91-1,Others,LA92-1,Full
"""


def read(kind: str, **texts: str) -> list[Concept]:
    files = {name: Lines(f"{name}.txt", text.splitlines(keepends=True)) for name, text in texts.items()}
    return list(KINDS[kind].read(files))


def test_vaccines() -> None:
    new, old = read("cvx", cvx=CVX)
    assert (new.code, new.display, new.designations) == ("900", "Moon pox", [{"value": "Moon pox vaccine, live"}])
    assert {"code": "inactive", "valueBoolean": True} in old.properties


def test_diagnoses_get_their_dot_and_their_parent() -> None:
    found = {one.code: one for one in read("icd-10-cm", order=ORDER)}
    assert {code: one.parents for code, one in found.items()} == {
        "X97": [], "X97.0": ["X97"], "X97.0XA": ["X97.0"], "X98": []
    }  # fmt: skip
    assert found["X97.0XA"].display == "Moon sickness of the left side, initial encounter"
    assert found["X97"].properties == [{"code": "billable", "valueBoolean": False}]


def test_loinc_with_its_tree_and_answers() -> None:
    found = {one.code: one for one in read("loinc", loinc=LOINC, hierarchy=TREE, answers=ANSWERS)}
    assert list(found) == ["90001-1", "90002-9", "LP90-1", "LA91-1", "LA92-1"]
    assert found["90001-1"].parents == ["LP90-1"]
    assert {"code": "COMPONENT", "valueString": 'Sunlight, "bright" one'} in found["90002-9"].properties
    assert {"code": "inactive", "valueBoolean": True} in found["90002-9"].properties
    assert [p["valueString"] for p in found["LA92-1"].properties] == ["LL90-1", "LL91-1"]
    assert [one.code for one in read("loinc", loinc=LOINC)] == ["90001-1", "90002-9"]


@pytest.mark.parametrize(
    ("kind", "texts", "said"),
    [
        ("cvx", {"cvx": CVX + "nonsense\n"}, "cvx.txt:3: not a line of CVX"),
        ("cvx", {"cvx": CVX + CVX}, "cvx.txt:3: the code 900 comes twice"),
        ("icd-10-cm", {"order": ORDER + "x\n"}, "order.txt:5: not a line of the ICD-10-CM order file"),
        ("icd-10-cm", {"order": ORDER + ORDER}, "order.txt:5: the code X97 comes twice"),
        ("loinc", {"loinc": "A,B\n1,2\n"}, "loinc.txt:1: the column LOINC_NUM is not there"),
        ("loinc", {"loinc": LOINC + "x\n"}, "loinc.txt:4: 1 columns, not 6"),
        ("loinc", {"loinc": LOINC + "x,,,,,\n"}, "loinc.txt:4: this is no LOINC number"),
        ("loinc", {"loinc": LOINC + '"x'}, "loinc.txt:4: this is no CSV"),
        ("cvx", {"cvx": "x" * 30_000}, "cvx.txt:1: a line of more than 20000 characters"),
    ],
)
def test_a_wrong_line_is_named(kind: str, texts: dict[str, str], said: str) -> None:
    with pytest.raises(Invalid) as caught:
        read(kind, **texts)
    assert str(caught.value).startswith(said)


@given(st.sampled_from(["cvx", "icd-10-cm", "loinc"]), st.text(max_size=200))
def test_any_text_is_read_or_refused(kind: str, text: str) -> None:
    first = next(iter(KINDS[kind].files))
    with suppress(Invalid):
        read(kind, **{first: {"cvx": CVX, "order": ORDER, "loinc": LOINC}[first] + text})
