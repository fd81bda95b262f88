"""Code systems as their publishers ship them: read, and told file and line when a line is wrong. All content is made up."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suture.errors import Invalid
from suture.standards.terminology.files import KINDS
from suture.standards.terminology.lines import Concept, Lines

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


def consult(code: str, kind: str, text: str, source: str = "RXNORM", suppress: str = "N") -> str:
    return f"{code}|ENG||||||1|||{code}|{source}|{kind}|{code}|{text}||{suppress}||\n"


def relates(first: str, second: str, name: str, source: str = "RXNORM") -> str:
    return f"{first}||CUI|RN|{second}||CUI|{name}|1||{source}|{source}||||\n"


CONSO = (
    consult("901", "SY", "moonine hcl")
    + consult("901", "IN", "moonine")
    + consult("902", "SCD", "moonine 5 MG Oral Tablet")
    + consult("903", "BN", "Lunar", suppress="O")
    + consult("904", "IN", "of somebody else", source="OTHER")
)
REL = (
    relates("901", "902", "has_ingredient")
    + relates("901", "903", "isa")
    + relates("902", "901", "ingredient_of")
    + relates("904", "901", "isa")
    + relates("903", "901", "isa", source="OTHER")
)


def rf2(*rows: str) -> str:
    """Columns between spaces; _ stands for a space inside one."""
    return "id\t…\n" + "".join("\t".join(row.split(" ")).replace("_", " ") + "\n" for row in rows)


SNOMED = {
    "concepts": rf2("900001 1 1 m d", "900002 1 1 m d", "900003 1 0 m d"),
    "descriptions": rf2(
        "11 1 1 m 900001 en 900000000000003001 Moon_(planet) c",
        "12 1 1 m 900001 en 900000000000013009 Luna c",
        "13 1 1 m 900001 en 900000000000013009 Moon c",
        "14 1 1 m 900002 en 900000000000003001 Phase_of_moon_(finding) c",
        "15 1 0 m 900002 en 900000000000013009 Old_words c",
        "16 1 1 m 900003 en 900000000000013009 Gone c",
    ),
    "relationships": rf2(
        "21 1 1 m 900002 900001 0 116680003 c m",
        "22 1 0 m 900001 900002 0 116680003 c m",
        "23 1 1 m 900002 900003 0 116680003 c m",
    ),
    "language": rf2(
        "u 1 1 m 900000000000509007 13 900000000000548007", "v 1 1 m 900000000000508004 12 900000000000548007"
    ),
}


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


def test_active_concepts_with_their_terms_and_parents() -> None:
    moon, phase = read("snomed", **SNOMED)
    assert (moon.code, moon.display, moon.parents) == ("900001", "Moon", [])
    assert [d["value"] for d in moon.designations] == ["Luna", "Moon (planet)"]
    assert moon.designations[1]["use"]["code"] == "900000000000003001"
    assert (phase.display, phase.parents, phase.designations) == ("Phase of moon (finding)", ["900001"], [])


def test_drugs_with_their_ingredients() -> None:
    found = {one.code: one for one in read("rxnorm", concepts=CONSO, relations=REL)}
    assert list(found) == ["901", "902", "903"], "names of other sources are not RxNorm's"
    assert (found["901"].display, found["901"].designations) == ("moonine", [{"value": "moonine hcl"}])
    assert found["902"].properties == [
        {"code": "TTY", "valueCode": "SCD"},
        {"code": "has_ingredient", "valueCode": "901"},
    ]
    assert found["903"].parents == ["901"]
    assert {"code": "inactive", "valueBoolean": True} in found["903"].properties
    assert [one.parents for one in found.values()] == [[], [], ["901"]]


@pytest.mark.parametrize(
    ("kind", "texts", "said"),
    [
        ("snomed", {**SNOMED, "concepts": rf2("x 1 1 m d")}, "concepts.txt:2: this is no concept id"),
        ("snomed", {**SNOMED, "relationships": rf2("x 1")}, "relationships.txt:2: 2 columns, not 10"),
        ("rxnorm", {"concepts": CONSO + "1|2\n"}, "concepts.txt:6: 2 columns, not 18"),
        ("rxnorm", {"concepts": CONSO + consult("x", "IN", "y")}, "concepts.txt:6: no RXCUI or no name"),
        ("rxnorm", {"concepts": CONSO, "relations": "x\n"}, "relations.txt:1: 1 columns, not 16"),
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


@given(st.sampled_from(["cvx", "icd-10-cm", "loinc", "rxnorm"]), st.text(max_size=200))
def test_any_text_is_read_or_refused(kind: str, text: str) -> None:
    first = next(iter(KINDS[kind].files))
    with suppress(Invalid):
        read(kind, **{first: {"cvx": CVX, "order": ORDER, "loinc": LOINC, "concepts": CONSO}[first] + text})
