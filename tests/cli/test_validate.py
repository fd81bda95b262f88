"""`suture validate` over files of every kind, as a user calls it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from suture import cli
from suture.cli import validate
from suture.errors import Invalid
from tests.commands import run as command

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


def test_more_can_be_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = put(tmp_path, "a.json", '{"resourceType": "Patient", "name": [{"text": "<b>x</b>"}]}')
    assert run(file) == 0
    assert run(file, "--strict", "html") == 1
    assert "Patient.name[0].text: The text holds what looks like HTML." in capsys.readouterr().out
    assert run(file, "--strict", "all") != 0
    assert "One of extensions, html, markdown, examples, displays." in capsys.readouterr().err


def test_documents_of_cds_hooks_are_known(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(put(tmp_path, "none.json", '{"cards": []}')) == 0
    assert run(put(tmp_path, "card.json", '{"cards": [{"summary": "Look"}]}')) == 1
    assert "response.cards[0].indicator: This is required. Add it." in capsys.readouterr().out


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


PULSE = {
    "resourceType": "Observation",
    "status": "final",
    "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]},
    "valueQuantity": {"value": 72, "unit": "/min", "system": "http://unitsofmeasure.org", "code": "/min"},
}


def found(capsys: pytest.CaptureFixture[str]) -> list[tuple[str, str, str]]:
    rows = json.loads(capsys.readouterr().out)
    return [(one["severity"], one["expression"], one["text"].partition(" (")[0]) for one in rows]


def test_us_core_asks_of_each_resource_what_is_meant_for_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = (json.loads(GOOD), PULSE, {"resourceType": "Basic", "code": {"text": "x"}})
    entries = [{"fullUrl": f"http://example.org/{n}", "resource": one} for n, one in enumerate(made)]
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": entries}
    file = put(tmp_path, "b.json", json.dumps(bundle))
    assert run(file, "--profile", "us-core", "--json") == 1
    at = "Bundle.entry[{}].resource"
    pulse = [
        ("error", f"{at.format(1)}.category", "The element is missing."),
        ("error", f"{at.format(1)}.category", "The slice VSCat is missing."),
        ("error", f"{at.format(1)}.subject", "The element is missing."),
        ("error", f"{at.format(1)}.effective", "The element is missing."),
    ]
    assert found(capsys) == [
        *pulse,  # R4's own profile of heart rates asks for the same
        ("information", at.format(2), "no profile of US Core 8.0.0 is for this Basic"),
        ("error", f"{at.format(0)}.identifier", "The element is missing."),
        ("error", f"{at.format(0)}.name", "The element is missing."),
        *pulse,
    ]


def test_a_version_or_a_profile_of_us_core_by_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = put(tmp_path, "a.json", GOOD)
    for name in ("us-core@6.1.0", "us-core-patient", "us-core-patient@7.0.0"):
        assert run(file, "--profile", name, "--json") == 1
        missing = ("Patient.identifier", "Patient.name")
        assert found(capsys) == [("error", place, "The element is missing.") for place in missing]
    with pytest.raises(Invalid, match="US Core 9 is not inside"):
        command(validate.app, str(file), "--profile", "us-core@9")
