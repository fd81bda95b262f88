"""`suture fhirpath` as it is typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from suture import cli

PATIENT = {
    "resourceType": "Patient",
    "active": True,
    "birthDate": "1974-12-25",
    "name": [{"given": ["Peter", "James"]}],
}


def run(*arguments: str) -> None:
    with pytest.raises(SystemExit) as stopped:
        cli.main(["fhirpath", *arguments])
    assert stopped.value.code in (0, None)


@pytest.fixture
def patient(tmp_path: Path) -> str:
    file = tmp_path / "patient.json"
    file.write_text(json.dumps(PATIENT))
    return str(file)


def test_items_stand_one_a_line(patient: str, capsys: pytest.CaptureFixture[str]) -> None:
    run("name.given", patient)
    assert capsys.readouterr().out == "Peter\nJames\n"


def test_json_tells_the_types(patient: str, capsys: pytest.CaptureFixture[str]) -> None:
    run("birthDate | active | 1.50", patient, "--json")
    assert json.loads(capsys.readouterr().out) == [
        {"type": "FHIR.date", "value": "1974-12-25"},
        {"type": "FHIR.boolean", "value": True},
        {"type": "System.Decimal", "value": 1.5},
    ]


def test_xml_ndjson_and_messages_are_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    xml, lines, message = tmp_path / "p.xml", tmp_path / "p.ndjson", tmp_path / "m.hl7"
    xml.write_text('<Patient xmlns="http://hl7.org/fhir"><active value="true"/></Patient>')
    lines.write_text(f"{json.dumps(PATIENT)}\n{json.dumps(PATIENT)}\n")
    message.write_bytes(b"MSH|^~\\&|A|B|C|D|20260101||ADT^A01|1|P|2.5\rPID|||12^^^X||DOE^JANE\r")
    run("active", str(xml))
    run("name.given.first()", str(lines))
    run("PID-5.1 & ', ' & PID-5.2", str(message))
    assert capsys.readouterr().out == "true\nPeter\nPeter\nDOE, JANE\n"


def test_a_place_that_the_standard_has_not_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "m.hl7"
    file.write_bytes(b"MSH|^~\\&|A|B|C|D|20260101||ADT^A01|1|P|2.5\rPID|||12^^^X||DOE^JANE\r")
    run("PID-99.1 | PID-99.1 | PID-40 | ZPI-7", str(file))
    told = capsys.readouterr()
    assert (told.out, told.err) == ("", "note: PID-99.1: PID has 40 fields, there is no PID-99\n")
    file.write_bytes(b"MSH|^~\\&|A|B|C|D|20260101||ADT^A01|1|P|2.5\rPID" + b"|" * 99 + b"own\r")
    run("PID-99.1", str(file))
    told = capsys.readouterr()
    assert (told.out, told.err) == ("own\n", "")


def test_a_mistake_names_its_column(patient: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        cli.main(["fhirpath", "name.gven", patient])
    assert stopped.value.code == 1
    assert "column 6: HumanName has no element 'gven'. Did you mean 'given'?" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        cli.main(["fhirpath", "name", "nowhere.json"])
    assert "can't read nowhere.json" in capsys.readouterr().err
