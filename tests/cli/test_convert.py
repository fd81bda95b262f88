"""suture convert: messages and JSON through maps, the shipped ones and a project's own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from suture import cli

ADT = (
    "MSH|^~\\&|APP|FAC|||20260115083000||ADT^A08^ADT_A01|1|P|2.5.1\rEVN|A08|20260115083000\r"
    "PID|1||12345^^^HOSP^MR||Doe^Jane||19800131|F\rPV1|1|O\rZZZ|1|x\r"
)
INTAKE = "suture: map/1\nmap: intake/Patient\nsource: json\ntarget: Patient\nrows:\n  - {id: n, from: name, to: name.text}\n  - {id: w, from: weight, to: 'extension[http://w].valueDecimal'}\n"


@pytest.fixture
def adt(tmp_path: Path) -> str:
    (tmp_path / "adt.hl7").write_text(ADT, newline="")
    return str(tmp_path / "adt.hl7")


@pytest.fixture
def site(tmp_path: Path) -> Path:
    (tmp_path / "maps").mkdir()
    (tmp_path / "maps" / "intake.yaml").write_text(INTAKE)
    (tmp_path / "intake.json").write_text('{"name": "Jane", "weight": 72.50, "left": 1}')
    return tmp_path


def convert(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit) as stopped:
        cli.main(["convert", *arguments])
    assert stopped.value.code in (0, None)
    return capsys.readouterr().out


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit) as stopped:
        cli.main(["convert", *arguments])
    assert stopped.value.code not in (0, None)
    return capsys.readouterr().err


def test_a_message_becomes_a_bundle(adt: str, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = json.loads(convert(capsys, adt, "--to", "fhir"))
    assert bundle["resourceType"] == "Bundle"
    patient = next(e["resource"] for e in bundle["entry"] if e["resource"]["resourceType"] == "Patient")
    assert patient["birthDate"] == "1980-01-31"


def test_lineage_and_loss(adt: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert "PID-7" in convert(capsys, adt, "--lineage")
    assert "ZZZ" in convert(capsys, adt, "--loss").splitlines()


def test_the_lineage_names_whole_targets(adt: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert "Bundle.entry[0].resource.birthDate" in convert(capsys, adt, "--lineage")


def test_several_messages_as_lines_of_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "two.hl7").write_text(ADT + ADT, newline="")
    lines = convert(capsys, str(tmp_path / "two.hl7"), "--json", "--source", "lakeside").splitlines()
    assert len(lines) == 2
    assert set(json.loads(lines[0])) == {"value", "merges", "warnings", "lineage", "loss"}
    assert "urn:suture:source:lakeside" in lines[0]


def test_json_by_a_map_of_the_project(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = convert(capsys, str(site / "intake.json"), "--map", "intake/Patient", "--project", str(site))
    assert "72.50" in out
    assert (
        convert(capsys, str(site / "intake.json"), "--map", "intake/Patient", "--project", str(site), "--loss")
        == "left\n"
    )


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--to", "x12"], "--to x12 is not offered"),
        (["--map", "hl7v2/ADT_A1"], "Did you mean 'hl7v2/ADT_A01'?"),
        (["--to", "json"], "makes fhir, not json"),
        (["--time-zone", "Mars/Base"], "no time zone 'Mars/Base'"),
    ],
)
def test_what_is_refused_says_what_to_write(
    adt: str, arguments: list[str], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert text in refused(capsys, adt, *arguments)


def test_a_message_without_a_map(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "m.hl7").write_text(ADT.replace("ADT^A08^ADT_A01", "QRY^Q99"), newline="")
    assert "no map for QRY^Q99" in refused(capsys, str(tmp_path / "m.hl7"))
    assert "can't read nothing.hl7" in refused(capsys, "nothing.hl7")
