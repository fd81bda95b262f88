"""What a compiled map makes: rows, lists, extensions, tables, nulls, entries, references, identity, lineage and loss."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from suture.errors import Unmapped
from suture.mapping.compile import Result
from suture.mapping.context import Context, Source
from suture.mapping.library import Library

SEX = "from,from_system,to,system,display\nF,HL70001,female,http://x,Female\n*,,unknown,http://x,Unknown\n"
SITE = Source(id="lakeside", time_zone="America/Chicago", authorities={"HOSP": "https://hosp.example/mrn"})
PID = "PID|1||12345^^^HOSP^MR~777^^^^PT~9||Doe^Jane^Q^^^^L||19800131|F|||||(555)010-4477|||||||||||||||||N"


def run(rows: str, segment: str = PID, head: str = "", target: str = "Patient", source: str = "hl7v2.PID") -> Result:
    text = f"suture: map/1\nmap: hl7v2/T\nsource: {source}\ntarget: {target}\ntables: {{sex: tables/s.csv, m: tables/m.csv}}\n{head}\nrows:\n"
    text += "".join(f"  - {row}\n" for row in rows.split("\n") if row.strip())
    library = Library({"t.yaml": text, "tables/s.csv": SEX, "tables/m.csv": "from,to\nM,male\n"})
    content: Any = segment
    if source.startswith("hl7v2.") and len(source) == 9:
        content = "MSH|^~\\&|APP|FAC|||20260115||ADT^A01|MSG1|P|2.5.1\r" + segment.replace("\n", "\r")
    return library.compiled("hl7v2/T").run(content, Context(source=SITE, now="2026-01-15T08:30:00Z"))


def value(rows: str, segment: str = PID, **more: str) -> Any:
    found = run(rows, segment, **more).value
    found.pop("resourceType", None)
    return found


ROWS: list[tuple[str, str, dict[str, Any]]] = [
    ("a field", "{id: a, from: PID-7, to: birthDate}", {"birthDate": "1980-01-31"}),
    ("a part", "{id: a, from: PID-5.1.1, to: name.family}", {"name": [{"family": "Doe"}]}),
    ("a second repetition", "{id: a, from: 'PID-3[2].1', to: identifier.value}", {"identifier": [{"value": "777"}]}),
    ("a constant", "{id: a, to: active, set: true}", {"active": True}),
    ("when", "{id: a, when: \"PID-8 = 'M'\", to: active, set: true}", {}),
    ("a list", "{id: a, each: PID-3, to: 'identifier[].value', from: null}".replace(", from: null", ""), {"identifier": [{"value": v} for v in ("12345", "777", "9")]}),
    ("where", "{id: a, each: PID-3, where: \"CX.5 != 'PT'\", to: 'identifier[].value'}", {"identifier": [{"value": "12345"}, {"value": "9"}]}),
    ("where in from", "{id: a, from: PID-3, where: \"CX.5 = 'PT'\", to: identifier.value}", {"identifier": [{"value": "777"}]}),
    ("labels", "{id: a, from: PID-7, to: 'identifier[x].value'}\n{id: b, set: s, to: 'identifier[x].system'}\n{id: c, set: y, to: 'identifier[y].value'}", {"identifier": [{"value": "19800131", "system": "s"}, {"value": "y"}]}),
    ("an implicit item", "{id: a, set: text, to: communication.language.text}\n{id: b, set: true, to: communication.preferred}", {"communication": [{"language": {"text": "text"}, "preferred": True}]}),
    ("an extension", "{id: a, from: PID-8, to: 'extension[http://x.org/e].valueCode'}", {"extension": [{"url": "http://x.org/e", "valueCode": "F"}]}),
    ("nested extensions", "{id: a, set: {code: x}, to: 'extension[http://r].extension[omb].valueCoding'}\n{id: b, set: t, to: 'extension[http://r].extension[text].valueString'}", {"extension": [{"url": "http://r", "extension": [{"url": "omb", "valueCoding": {"code": "x"}}, {"url": "text", "valueString": "t"}]}]}),
    ("an extension each", "{id: a, each: PID-3, to: 'extension[http://r][].valueString'}", {"extension": [{"url": "http://r", "valueString": v} for v in ("12345", "777", "9")]}),
    ("an extension of a primitive", "{id: a, from: PID-7, to: birthDate}\n{id: b, from: PID-7, to: 'birthDate.extension[http://t].valueDateTime'}", {"birthDate": "1980-01-31", "_birthDate": {"extension": [{"url": "http://t", "valueDateTime": "1980-01-31"}]}}),
    ("a table", "{id: a, from: PID-8, to: gender, translate: sex}", {"gender": "female"}),
    ("a table's other row", "{id: a, from: PID-30, to: gender, translate: sex}", {"gender": "unknown"}),
    ("a table into a Coding", "{id: a, from: PID-8, to: 'meta.tag[]', translate: sex}", {"meta": {"tag": [{"system": "http://x", "code": "female", "display": "Female"}]}}),
    ("a table into a concept", "{id: a, from: PID-8, to: maritalStatus, translate: sex}", {"maritalStatus": {"coding": [{"system": "http://x", "code": "female", "display": "Female"}]}}),
    ("a column", "{id: a, from: PID-8, to: maritalStatus.text, translate: sex.display}", {"maritalStatus": {"text": "Female"}}),
    ("functions", "{id: a, from: PID-13.1, to: telecom.value, as: [trim, e164]}", {"telecom": [{"value": "+15550104477"}]}),
    ("a function in an expression", "{id: a, from: PID-13.1.digits(), to: telecom.value}", {"telecom": [{"value": "5550104477"}]}),
    ("a list function", "{id: a, from: PID-5.2, to: 'name.given[]', as: \"split('n')\"}", {"name": [{"given": ["Ja", "e"]}]}),
    ("concat", "{id: a, concat: [PID-5.2, \"'-'\", PID-5.1.1], with: '', to: name.text}", {"name": [{"text": "Jane-Doe"}]}),
    ("concat of nothing", "{id: a, concat: [PID-20.1, \"'-'\"], to: name.text}", {}),
    ("default", "{id: a, from: PID-20.1, default: none, to: name.text}", {"name": [{"text": "none"}]}),
    ("the first of several", "{id: a, from: [PID-20.1, PID-5.1.1], to: name.text}", {"name": [{"text": "Doe"}]}),
    ("once", "{id: a, set: a, to: name.text}\n{id: b, set: b, to: name.text, once: true}\n{id: c, set: c, to: name.family, once: true}", {"name": [{"text": "a", "family": "c"}]}),
    ("a later row replaces", "{id: a, set: a, to: name.text}\n{id: b, set: b, to: name.text}", {"name": [{"text": "b"}]}),
    ("of a choice one", "{id: a, set: true, to: deceasedBoolean}\n{id: b, from: PID-7, to: deceasedDateTime}", {"deceasedDateTime": "1980-01-31"}),
    ("rows inside", "{id: a, each: PID-3, to: 'identifier[]', rows: [{id: v, from: CX.1, to: value}, {id: t, from: CX.5, to: type.text}]}", {"identifier": [{"value": "12345", "type": {"text": "MR"}}, {"value": "777", "type": {"text": "PT"}}, {"value": "9"}]}),
    ("rows inside see outside", "{id: a, each: PID-3, to: 'identifier[]', rows: [{id: v, from: CX.1, to: value}, {id: t, from: PID-8, to: type.text}]}", {"identifier": [{"value": v, "type": {"text": "F"}} for v in ("12345", "777", "9")]}),
    ("rows inside and the whole repetition", "{id: a, each: PID-5, to: 'contact[]', rows: [{id: n, from: $this, to: name, using: XPN}, {id: g, set: female, to: gender}]}", {"contact": [{"name": {"use": "official", "family": "Doe", "given": ["Jane", "Q"]}, "gender": "female"}]}),
    ("the whole repetition as text", "{id: a, each: PID-3, to: 'identifier[]', rows: [{id: n, from: $this, to: value}]}", {"identifier": [{"value": v} for v in ("12345", "777", "9")]}),
    ("rows inside the first repetition", "{id: a, from: PID-5, to: 'contact[]', rows: [{id: n, from: XPN.1.1, to: name.family}]}", {"contact": [{"name": {"family": "Doe"}}]}),
    ("rows inside the one that fits", "{id: a, from: PID-3, where: \"CX.5 = 'PT'\", to: identifier, rows: [{id: n, from: CX.1, to: value}]}", {"identifier": [{"value": "777"}]}),
    ("fill", "{id: a, each: PID-3, to: 'identifier[]', using: CX, where: \"CX.1 = '9'\", fill: {use: old}}", {"identifier": [{"use": "old", "value": "9", "system": "urn:suture:source:lakeside"}]}),
    ("other segments", "{id: a, from: MSH-3, to: name.text}", {"name": [{"text": "APP"}]}),
    ("what comes from outside", "{id: a, from: '%source', to: name.text}\n{id: b, from: '%now', to: meta.lastUpdated}", {"name": [{"text": "lakeside"}], "meta": {"lastUpdated": "2026-01-15T08:30:00Z"}}),
    ("the engine", "{id: a, from: \"PID-5.2.replace('J', 'Z')\", to: name.text}\n{id: b, when: \"PID-3.1.where($this = '9').exists()\", to: active, set: true}", {"name": [{"text": "Zane"}], "active": True}),
    ("the engine and absent locations", "{id: a, when: \"(PID-20.1 != 'x') xor false\", to: active, set: true}", {"active": True}),
    ("an authority of the table", "{id: a, from: PID-3.4, to: identifier.system, as: system}", {"identifier": [{"system": "https://hosp.example/mrn"}]}),
    ("no authority", "{id: a, from: PID-20.3, to: identifier.system, as: system}", {"identifier": [{"system": "urn:suture:source:lakeside"}]}),
    ("a decimal", "{id: a, set: 1.50, to: 'extension[http://d].valueDecimal'}", {"extension": [{"url": "http://d", "valueDecimal": Decimal("1.5")}]}),
]  # fmt: skip


@pytest.mark.parametrize(("rows", "out"), [r[1:] for r in ROWS], ids=[r[0] for r in ROWS])
def test_rows(rows: str, out: dict[str, Any]) -> None:
    assert value(rows) == out


MISSES = [
    ("", {}, 1),
    (", on_miss: drop", {}, 1),
    (", on_miss: keep", {"maritalStatus": {"text": "F"}}, 1),
    (", on_miss: {use: {text: other}}", {"maritalStatus": {"text": "other"}}, 1),
    (", on_miss: {use: {text: other}, warn: false}", {"maritalStatus": {"text": "other"}}, 0),
    (", on_miss: {do: keep, warn: false}", {"maritalStatus": {"text": "F"}}, 0),
]


@pytest.mark.parametrize(("words", "out", "warnings"), MISSES)
def test_a_code_that_the_table_has_not(words: str, out: dict[str, Any], warnings: int) -> None:
    found = run("{id: a, from: PID-8, to: maritalStatus, translate: m" + words + "}")
    del found.value["resourceType"]
    assert found.value == out
    assert len(found.warnings) == warnings


def test_a_miss_that_fails_names_the_place_and_no_value() -> None:
    with pytest.raises(Unmapped) as error:
        run("{id: a, from: PID-8, to: maritalStatus, translate: m, on_miss: fail}")
    assert error.value.where == "PID-8"
    assert "'F'" not in str(error.value)


def test_a_row_that_fails_says_why_and_only_when_its_condition_holds() -> None:
    assert value("{id: nobody, when: PID-3.empty(), fail: PID-3 names no patient}\n{id: a, set: true, to: active}") == {
        "active": True
    }
    with pytest.raises(Unmapped, match="PID-3 names no patient") as error:
        run("{id: nobody, when: PID-40.empty(), fail: PID-3 names no patient}")
    assert error.value.where.endswith(":nobody")


def test_a_value_that_can_not_be_read_is_warned_of() -> None:
    found = run("{id: dob, from: PID-7, to: birthDate}", PID.replace("19800131", "yesterday"))
    assert "birthDate" not in found.value
    assert [str(w) for w in found.warnings] == ["PID-7: is no date (hl7v2/T:dob)"]


DELETES = [
    ("{id: a, from: PID-7, to: birthDate}", 7, [{"path": "birthDate", "matching": {}}]),
    ("{id: a, each: PID-5, to: 'name[]', using: XPN}", 5, [{"path": "name", "matching": {}}]),
    ("{id: a, each: PID-13, to: 'telecom[]', using: XTN, fill: {use: home}}", 13, [{"path": "telecom", "matching": {"use": "home"}}]),
    ("{id: a, from: PID-19, to: 'identifier[ssn].value'}\n{id: b, set: s, to: 'identifier[ssn].system'}", 19, [{"path": "identifier", "matching": {"system": "s"}}]),
    ("{id: a, from: PID-8, to: 'extension[http://e].valueCode'}", 8, [{"path": "extension", "matching": {"url": "http://e"}}]),
    ("{id: a, from: PID-16, to: maritalStatus.text}", 16, [{"path": "maritalStatus.text", "matching": {}}]),
]  # fmt: skip


@pytest.mark.parametrize(("rows", "field", "deletes"), DELETES)
def test_null_deletes_and_absent_does_not(rows: str, field: int, deletes: list[dict[str, Any]]) -> None:
    null = "PID" + "|" * field + '""'
    assert run(rows, null).merges == {"": {"deletes": deletes, "snapshot": [], "keep": []}}
    assert run(rows, "PID|1").merges == {}


def test_escapes_are_resolved_and_separators_in_text_stay() -> None:
    assert value("{id: a, from: PID-5.1.1, to: name.family}", "PID|||||D\\T\\oe \\S\\ Co^J") == {
        "name": [{"family": "D&oe ^ Co"}]
    }


def test_other_separators() -> None:
    library = Library(
        {
            "t.yaml": "suture: map/1\nmap: t\nsource: hl7v2.PID\ntarget: Patient\nrows: [{id: a, each: PID-5, to: 'name[].text', from: x}]".replace(
                ", from: x", ""
            ).replace("each: PID-5", "from: PID-5.2")
        }
    )
    found = library.compiled("t").run("MSH#*!$%#APP#FAC\rPID#1####Doe*Ja^n|e$F$*Q!Roe*X")
    assert found.value["name"] == [{"text": "Ja^n|e#"}]


def test_lineage_and_loss() -> None:
    found = run(
        "{id: ids, each: PID-3, to: 'identifier[]', using: CX}\n{id: dob, from: PID-7, to: birthDate}",
        head="ignore: {PID-1: set id, PID-5: x, PID-8: x, PID-30: x}",
    )
    told = {(item.target, item.source, item.row) for item in found.lineage}
    assert ("Patient.identifier[0].value", "PID-3.1", "hl7v2/CX:value") in told
    assert ("Patient.identifier[2].value", "PID-3[3].1", "hl7v2/CX:value") in told
    assert ("Patient.birthDate", "PID-7", "hl7v2/T:dob") in told
    assert found.loss == ["PID-13"]


def test_parts_that_no_row_reads_are_lost() -> None:
    found = run("{id: ids, each: PID-3, to: 'identifier[]', using: CX}", "PID|||1^2^^A^MR~3^^^^^^^^JUR")
    assert found.loss == ["PID-3[2].9"] or "PID-3[2].9" in found.loss
    assert run("{id: a, from: PID-11.3, to: address.city}", "PID|||||||||||s^o^c").loss == ["PID-11.1", "PID-11.2"]


JSON = {
    "first": "Jane",
    "age": 46,
    "tags": ["a", "b"],
    "lines": [{"sku": "x", "n": 2}, {"sku": "y"}],
    "extra": {"deep": 1},
}


def test_from_json_to_fhir() -> None:
    found = run(
        "{id: a, from: first, to: name.text}\n{id: b, each: tags, to: 'name.given[]'}\n{id: c, each: lines, where: n.exists(), to: 'identifier[].value', rows: [{id: s, from: sku, to: $this}]}\n{id: d, from: age, to: 'extension[http://age].valueInteger'}\n{id: e, from: \"lines.where(n = 2).sku\", to: 'identifier[z].value'}",
        JSON,
        source="json",
    )  # type: ignore[arg-type]
    assert found.value == {
        "resourceType": "Patient",
        "name": [{"text": "Jane", "given": ["a", "b"]}],
        "identifier": [{"value": "x"}, {"value": "x"}],
        "extension": [{"url": "http://age", "valueInteger": 46}],
    }
    assert found.loss == ["extra.deep"]


def test_rows_inside_over_json() -> None:
    found = run("{id: a, from: extra, to: name, rows: [{id: d, from: deep, to: text}]}", JSON, source="json")  # type: ignore[arg-type]
    assert found.value["name"] == [{"text": "1"}]


def test_choices_of_fhir_are_read_by_their_name() -> None:
    observation = {"resourceType": "Observation", "valueQuantity": {"value": 3}, "component": [{"valueString": "x"}]}
    rows = "{id: a, from: value.value, to: n}\n{id: b, each: component, to: 'c[]', rows: [{id: v, from: value, to: t}]}"
    found = run(rows, observation, source="fhir.Observation", target="json")  # type: ignore[arg-type]
    assert found.value == {"n": 3, "c": [{"t": "x"}]}
    assert found.loss == []


def test_from_fhir_to_json() -> None:
    patient = {"resourceType": "Patient", "name": [{"family": "Doe", "given": ["J", "Q"]}], "active": True}
    found = run(
        "{id: a, from: name.family, to: last}\n{id: b, each: name.given, to: 'firsts[]'}\n{id: c, from: active, to: flags.active}\n{id: d, set: 3, to: flags.n}",
        patient,
        source="fhir.Patient",
        target="json",
    )  # type: ignore[arg-type]
    assert found.value == {"last": "Doe", "firsts": ["J", "Q"], "flags": {"active": True, "n": 3}}
