"""Reading a map finds what is wrong at both ends, with line, column and mend; overlays change what they extend."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from suture.errors import InvalidFile, Problem
from suture.mapping import language
from suture.mapping.library import Library
from suture.mapping.model import Map

HEAD = "suture: map/1\nmap: hl7v2/Test\nsource: hl7v2.PID\ntarget: Patient\n"
TABLES = "tables: {sex: tables/administrative-sex.csv}\nrows:\n"


def read(text: str, library: Library | None = None) -> Map:
    return language.read(text, "test.yaml", library or Library())


def found(rows: str, head: str = HEAD + TABLES) -> list[str]:
    with pytest.raises(InvalidFile) as error:
        read(head + rows)
    return [str(problem) for problem in error.value.problems]


# row, column, what is found, mend
WRONG = [
    ("{id: a, from: PID-99, to: birthDate}", 19, "PID has 40 fields, not 99", "The last is PID-40"),
    ("{id: a, from: XYZ-1, to: birthDate}", 19, "HL7 has no segment XYZ", "begin with Z"),
    ("{id: a, each: PID-3, where: \"CX.77 = 'a'\", to: 'identifier[]', using: CX}", 33, "CX has 12 parts, not 77", "CX.12"),
    ("{id: a, each: PID-3, where: \"XPN.1 = 'a'\", to: 'identifier[]', using: CX}", 33, "no XPN is at hand", "Here are: CX"),
    ("{id: a, from: CX.1, to: 'identifier[x].value'}", 19, "no CX is at hand here", "inside each"),
    ("{id: a, from: PID-7, to: brithDate}", 30, "Patient has no element 'brithDate'", "Did you mean 'birthDate'?"),
    ("{id: a, from: PID-30, to: deceased}", 31, "Patient.deceased is a choice", "deceasedBoolean"),
    ("{id: a, from: PID-30, to: 'deceased[x]'}", 31, "Patient.deceased is a choice", "deceasedBoolean"),
    ("{id: a, from: PID-7, to: 'birthDate[]'}", 30, "Patient.birthDate is no list", "without brackets"),
    ("{id: a, from: PID-16, to: maritalStatus}", 31, "CWE is not CodeableConcept", "using: CWE"),
    ("{id: a, from: PID-5, to: name.text}", 19, "PID-5 is XPN, a datatype with parts", "PID-5.1"),
    ("{id: a, each: PID-5, to: 'name[]', using: XPM}", 47, "there is no map 'hl7v2/XPM'", "Did you mean 'hl7v2/"),
    ("{id: a, each: PID-3, to: 'name[]', using: XPN}", 47, "'hl7v2/XPN' reads XPN, here is CX", "map of CX"),
    ("{id: a, each: PID-5, to: 'identifier[]', using: XPN}", 53, "makes HumanName, identifier is Identifier", "makes Identifier"),
    ("{id: a, from: PID-8, to: gender, translate: sxe}", 49, "names no table 'sxe'", "Did you mean 'sex'?"),
    ("{id: a, from: PID-8, to: gender, translate: sex.nam}", 49, "table 'sex' has no column 'nam'", "display"),
    ("{id: a, from: PID-7, to: birthDate, as: dat}", 45, "there is no function 'dat'", "Did you mean 'date'?"),
    ("{id: a, from: PID-7, to: birthDate, as: dateTime}", 45, "gives dateTime, birthDate is date", "as: date"),
    ("{id: a, from: PID-7, to: birthDate, as: \"e164('A','B')\"}", 45, "takes 0 to 1 arguments, here are 2", ""),
    ("{id: a, when: 'PID-30 = ', to: deceasedBoolean, set: true}", 19, "not an expression", ""),
    ("{id: a, when: PID-7.fop(), to: deceasedBoolean, set: true}", 19, "fop", ""),
    ("{id: a, each: PID-5, to: 'name[]', default: x, rows: [{id: i, from: XPN.2, to: text}]}", 49, "HumanName is a structure", "mapping"),
    ("{id: a, from: PID-8, to: maritalStatus, translate: sex, on_miss: {use: x}}", 70, "CodeableConcept is a structure", "coding"),
    ("{id: a, from: $this, to: birthDate}", 19, "$this is no repetition here", "each"),
    ("{id: a, when: pid.x, to: deceasedBoolean, set: true}", 19, "'pid' is nothing in a message", "PID-3.1"),
    ("{id: a, set: 'yes', to: deceasedBoolean}", 18, "a boolean is true or false", ""),
    ("{id: a, set: {coding: {code: x}}, to: maritalStatus}", 18, "CodeableConcept.coding is a list", ""),
    ("{id: a, set: {codin: []}, to: maritalStatus}", 18, "CodeableConcept has no element 'codin'", "Did you mean 'coding'?"),
    ("{id: a, form: PID-7, to: birthDate}", 13, "a row has no key 'form'", "Did you mean 'from'?"),
    ("{id: a, from: PID-7, set: x, to: birthDate}", 5, "two sources: from, set", "One of"),
    ("{id: a, to: birthDate}", 5, "has no source", "One of"),
    ("{id: a, from: PID-7}", 5, "no target", "to:"),
    ("{id: A B, from: PID-7, to: birthDate}", 10, "an id is small letters", ""),
    ("{id: a, from: PID-8, to: gender, translate: sex, on_miss: explode}", 63, "'explode' is nothing a miss can do", "drop"),
    ("{id: a, from: PID-7, to: 'birthDate..x'}", 30, "not a target path", "birthDate, name[]"),
    ("{id: a, from: PID-7, to: birthDate.value}", 30, "date is a primitive and has no parts", "extension"),
    ("{id: a, from: PID-7, to: 'extension[http://x.y/z].valueCodng'}", 30, "Extension has no element 'valueCodng'", "valueCoding"),
    ("{id: a, from: PID-7, to: birthDate, using: CX, as: date}", 52, "two changes in one row: using, as", "Leave one"),
    ("{id: a, from: 7, to: birthDate}", 19, "'from' must be text or a list", "'7'"),
]  # fmt: skip


@pytest.mark.parametrize(("row", "column", "text", "mend"), WRONG, ids=[w[2] for w in WRONG])
def test_a_wrong_row_is_found_with_place_and_mend(row: str, column: int, text: str, mend: str) -> None:
    problems = found(f"  - {row}\n")
    assert len(problems) >= 1
    assert f"test.yaml:7:{column}: error: " in problems[0]
    assert text in problems[0]
    assert mend in problems[0]


def test_all_problems_are_told_at_once() -> None:
    problems = found("".join(f"  - {row}\n".replace("id: a,", f"id: a{n},") for n, (row, *_) in enumerate(WRONG[:8])))
    assert len(problems) == 8


def test_a_second_row_with_the_id() -> None:
    assert (
        "a second row 'a'"
        in found("  - {id: a, from: PID-7, to: birthDate}\n  - {id: a, from: PID-7, to: birthDate}\n")[0]
    )


HEADS = [
    ("suture: map/2\nmap: a\nsource: hl7v2.PID\ntarget: Patient\n", "not a map file of a kind known here"),
    ("suture: map/1\nsource: hl7v2.PID\ntarget: Patient\n", "the map says no map"),
    ("suture: map/1\nmap: a\nsource: hl7v2.PIX\ntarget: Patient\n", "'hl7v2.PIX' is no source"),
    ("suture: map/1\nmap: a\nsource: hl7v2.PID\ntarget: Patent\n", "FHIR R4 has no type 'Patent'"),
    ("suture: map/1\nmap: a\nsource: hl7v2.PID\ntarget: Patient\nrow: []\n", "a map has no key 'row'"),
    ("suture: map/1\nmap: a\nsource: hl7v2.ADT_A01\ntarget: Bundle\n", "a message map needs entries"),
    ("suture: map/1\nmap: a\nsource: hl7v2.PID\ntarget: Patient\nextends: nobody\n", "extends 'nobody', which is not there"),
    ("suture: map/1\nmap: a\nsource: hl7v2.PID\ntarget: Patient\ntables: {a: tables/b.csv}\n", "there is no table 'tables/b.csv'"),
    ("suture: map/1\nmap: a\nsource: hl7v2.PID\ntarget: Patient\nignore: {PID-77: x}\n", "PID has 40 fields"),
    ("[]", "a map file is a YAML mapping"),
    ("suture: [", "not YAML"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "wanted"), HEADS, ids=[h[1] for h in HEADS])
def test_a_wrong_head(text: str, wanted: str) -> None:
    with pytest.raises(InvalidFile, match=wanted):
        read(text)


MESSAGE = "suture: map/1\nmap: hl7v2/T\nsource: hl7v2.ORU_R01\ntarget: Bundle\nentries:\n"
ENTRIES = [
    ("{id: p, from: PID, using: PID-Patient}", "there is no segment 'PID' here"),
    ("{group: PATIENT_RESLT, entries: [{id: p, from: PID, using: PID-Patient}]}", "ORU_R01 has no group 'PATIENT_RESLT'"),
    ("{id: p, from: MSH, using: PID-Patient}", "'hl7v2/PID-Patient' maps hl7v2.PID, not the segment MSH"),
    ("{id: p, from: MSH, resource: Patent}", "'Patent' is no resource type"),
    ("{id: p, from: MSH, resource: Patient, rows: [{id: l, to: managingOrganization, reference: org}]}", "there is no entry 'org'"),
    ("{id: p, from: MSH, resource: Patient, write: upsert}", "'upsert' is no way to write"),
    ("{id: p, from: MSH, resource: Patient, snapshot: [nam]}", "Patient has no element 'nam'"),
    ("{id: p, from: MSH, resource: Patient, keep: [{if: 'a ='}]}", "not an expression"),
    ("{id: p, from: MSH, resource: Patient, keep: [{if: 'lnk.exists()'}]}", "lnk"),
    ("{id: p, from: MSH, resource: Patient, match: 'identfier.first()'}", "identfier"),
    ("{id: p, resource: Patient, rows: [{id: a, from: PID-77.1, to: birthDate}]}", "PID has 40 fields"),
    ("{id: p, using: PID-Patient}", "has no source"),
    ("{id: p, from: MSH, resource: Patient, also: [{from: SFT}]}", "needs using"),
]  # fmt: skip


@pytest.mark.parametrize(("entry", "wanted"), ENTRIES, ids=[e[1] for e in ENTRIES])
def test_a_wrong_entry(entry: str, wanted: str) -> None:
    assert any(wanted in problem for problem in found(f"  - {entry}\n", MESSAGE))


def test_maps_in_a_circle() -> None:
    text = "suture: map/1\nmap: x/{}\nsource: hl7v2.CX\ntarget: Identifier\nrows:\n  - {{id: a, from: CX.1, to: $this, using: {}}}\n"
    library = Library({"a.yaml": text.format("A", "B"), "b.yaml": text.format("B", "A")})
    with pytest.raises(InvalidFile, match="circle: x/A -> x/B -> x/A"):
        library.map("x/A")


def test_required_elements_that_nobody_writes_are_warned_of() -> None:
    made = read("suture: map/1\nmap: j\nsource: json\ntarget: Observation\nrows:\n  - {id: a, from: a, to: status}\n")
    assert [w.text for w in made.warnings] == ["Observation.code is required and no row writes it"]


def test_paths_over_a_resource_are_checked_by_its_type() -> None:
    head = "suture: map/1\nmap: t\nsource: fhir.Patient\ntarget: json\nrows:\n"
    assert "nam" in found("  - {id: a, from: nam.family, to: x}\n", head)[0]
    wrong = "  - {id: a, each: name, to: 'x[]', using: hl7v2/XPN}\n"
    assert any("'hl7v2/XPN' reads hl7v2.XPN, not what is here" in p for p in found(wrong, head))


def test_a_map_may_cover_other_structures() -> None:
    library = Library()
    assert library.of_structure("ORU_R01") == "hl7v2/ORU_R01"
    assert library.of_structure("ADT_A03") == "hl7v2/ADT_A01"
    assert library.of_structure("XXX_X01") == ""
    wrong = MESSAGE.replace("entries:", "covers: [ADT_A99]\nentries:")
    assert any(
        "'ADT_A99' is no message structure" in p for p in found("  - {id: p, from: MSH, resource: Patient}\n", wrong)
    )


OVERLAY = """suture: map/1
map: lakeside/PID-Patient
extends: hl7v2/PID-Patient
rows:
  - {id: sex, on_miss: {use: other}}
  - {id: dead, drop: true}
  - {id: pronouns, from: ZPI-2, to: "extension[http://example.org/pronouns].valueString", before: name}
"""


def test_an_overlay_adds_changes_and_drops() -> None:
    library = Library({"lakeside.yaml": OVERLAY})
    made = library.require("lakeside/PID-Patient")
    ids = [row.id for row in made.rows]
    assert "dead" not in ids
    assert ids.index("pronouns") + 1 == ids.index("name")
    sex = next(row for row in made.rows if row.id == "sex")
    assert (sex.miss.value, sex.table) == ("other", "sex")
    assert made.target == "Patient"


def test_an_overlay_of_the_same_name_stands_for_the_shipped_map() -> None:
    library = Library({"lakeside.yaml": OVERLAY.replace("map: lakeside/", "map: hl7v2/")})
    assert "dead" not in [row.id for row in library.require("hl7v2/PID-Patient").rows]


def test_an_overlay_tells_its_own_places() -> None:
    library = Library({"o.yaml": OVERLAY + "  - {id: sex, to: gendre}\n  - {id: nothing, drop: true}\n"})
    with pytest.raises(InvalidFile) as error:
        library.map("lakeside/PID-Patient")
    texts = [str(p) for p in error.value.problems]
    assert any("maps/o.yaml:8:19: error: Patient has no element 'gendre'" in t for t in texts)
    assert any("there is no 'nothing' to drop" in t for t in texts)


LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(-5, 5), st.text(max_size=8), st.floats(allow_nan=False),
    st.sampled_from(["PID-3", "PID-3.1", "CX.5", "identifier[]", "CX", "date", "sex", "birthDate", "$this", "hl7v2.PID", "Patient", "x ="]),
)  # fmt: skip
KEYS = st.sampled_from(
    [
        "id",
        "from",
        "each",
        "where",
        "when",
        "set",
        "concat",
        "with",
        "reference",
        "to",
        "using",
        "by",
        "rows",
        "as",
        "translate",
        "on_miss",
        "default",
        "fill",
        "once",
        "map",
        "source",
        "target",
        "tables",
        "entries",
        "group",
        "also",
        "resource",
        "match",
        "write",
        "snapshot",
        "keep",
        "if",
        "elements",
        "ignore",
        "examples",
        "extends",
        "bundle",
        "drop",
    ]
)
TREES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5), max_leaves=25
)


def problems_of(text: str) -> tuple[Problem, ...]:
    try:
        return read(text).warnings
    except InvalidFile as error:
        return error.problems


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(KEYS, TREES, max_size=6), st.sampled_from(["hl7v2.PID", "hl7v2.CX", "hl7v2.ADT_A01", "json"]))
def test_any_yaml_is_read_or_refused_with_places(content: dict[str, Any], source: str) -> None:
    head = {"suture": "map/1", "map": "t/T", "source": source, "target": "Patient"} | content
    assert all(problem.line >= 1 and problem.file for problem in problems_of(json.dumps(head)))
