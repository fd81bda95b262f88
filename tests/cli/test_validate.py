"""`suture validate` over files of every kind, as a user calls it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from suture import cli

GOOD = '{"resourceType": "Patient", "gender": "male"}'
BAD = '{"resourceType": "Patient", "gender": "man"}'
XML = '<Patient xmlns="http://hl7.org/fhir"><birthDate value="yesterday"/></Patient>'


def run(*arguments: str | Path) -> int:
    with pytest.raises(SystemExit) as stopped:
        cli.main(["validate", *map(str, arguments)])
    return int(stopped.value.code or 0)


def put(folder: Path, name: str, text: str) -> Path:
    file = folder / name
    file.write_text(text, encoding="utf-8")
    return file


def test_a_valid_file_ends_with_0(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(put(tmp_path, "a.json", GOOD)) == 0
    assert capsys.readouterr().out == "1 file, 1 resource, 0 errors, 0 warnings\n"


def test_a_finding_has_file_place_text_and_mend(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = put(tmp_path, "a.json", BAD)
    assert run(file) == 1
    first, last = capsys.readouterr().out.splitlines()
    assert first.startswith(f"{file}: error: Patient.gender: The code is not in the required value set")
    assert first.endswith("Write one of: female, male, other, unknown.")
    assert last == "1 file, 1 resource, 1 error, 0 warnings"


def test_ndjson_names_the_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = put(tmp_path, "a.ndjson", f"{GOOD}\n\n{BAD}\n{{\n")
    assert run(file) == 1
    out = capsys.readouterr().out
    assert f"{file}:3: error: Patient.gender" in out
    assert f"{file}:4: error: line 1, column 2: The document ends in the middle." in out
    assert "3 resources, 2 errors" in out


def test_lines_of_objects_are_ndjson_whatever_the_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(put(tmp_path, "a.json", f"{GOOD}\n{GOOD}")) == 0
    assert "2 resources" in capsys.readouterr().out


def test_xml_and_bundles(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = f'{{"resourceType": "Bundle", "type": "collection", "entry": [{{"resource": {BAD}}}]}}'
    assert run(put(tmp_path, "a.xml", XML), put(tmp_path, "b.json", bundle)) == 1
    out = capsys.readouterr().out
    assert "Patient.birthDate: This is no valid date." in out
    assert "Bundle.entry[0].resource.gender" in out


def test_bundles_are_looked_at_closely(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = (
        f'{{"resourceType": "Bundle", "type": "collection", "entry": [{{"fullUrl": "Patient/1", "resource": {GOOD}}}]}}'
    )
    assert run(put(tmp_path, "b.json", bundle)) == 1
    assert "Bundle.entry[0].fullUrl: A fullUrl is an absolute address." in capsys.readouterr().out


def test_json_output(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = put(tmp_path, "a.json", BAD)
    assert run(file, "--json") == 1
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["file"], row["line"], row["severity"], row["code"]) == (str(file), 0, "error", "code-invalid")
    assert (row["expression"], row["mend"]) == ("Patient.gender", "Write one of: female, male, other, unknown.")


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path / "none.json") == 1
    assert "The file can't be read: No such file or directory." in capsys.readouterr().out


def test_a_warning_alone_ends_with_0(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = '{"resourceType": "Patient", "managingOrganization": {"reference": "somewhere"}}'
    assert run(put(tmp_path, "a.json", text)) == 0
    assert "warning: Patient.managingOrganization.reference" in capsys.readouterr().out
