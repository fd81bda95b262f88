"""`suture import`: everything good is stored, everything broken is named by file and line."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from suture.cli import main
from suture.clock import SYSTEM
from suture.store import audit, resources
from suture.store.database import Database
from tests.server.people import encounter, observation, patient, practitioner
from tests.stores import settings

URN = "urn:uuid:61ebe359-bfdc-4613-8bf2-c5e300945f0a"


class Project:
    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self.capsys = capsys
        monkeypatch.setenv("SUTURE_DATABASE", f"sqlite:{folder / 'data' / 'suture.db'}")
        monkeypatch.setenv("SUTURE_KEY_FILE", str(folder / "key"))

    def write(self, name: str, *found: Any) -> Path:
        """NDJSON lines, or one document when the name says .json; bytes stay as they are."""
        lines = [f if isinstance(f, bytes) else json.dumps(f).encode() for f in found]
        raw = b"\n".join(lines)
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(gzip.compress(raw) if name.endswith(".gz") else raw)
        return file

    def run(self, *paths: Path | str, code: int = 0, workers: int = 0) -> dict[str, Any]:
        self.capsys.readouterr()
        with pytest.raises(SystemExit) as stopped:
            main(["import", *map(str, paths), "--project", str(self.folder), "--json", "--workers", str(workers)])
        assert (stopped.value.code or 0) == code
        return dict(json.loads(self.capsys.readouterr().out))

    def open(self) -> Database:
        return Database.open(settings(self.folder), SYSTEM)

    def stored(self, type: str, id: str) -> dict[str, Any]:
        database = self.open()
        row = resources.read(database.read, type, id)
        database.close()
        assert row is not None, (type, id)
        return dict(json.loads(row.body))


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Project:
    return Project(tmp_path, monkeypatch, capsys)


@pytest.mark.parametrize("workers", [0, 2])  # a small import is read by the command itself
def test_lines_are_stored_and_broken_ones_are_named(project: Project, workers: int) -> None:
    file = project.write(
        "in.ndjson",
        patient("p1"),
        b"",
        b"{broken",
        observation("o1", "p1"),
        patient("p2", gender="odd"),
        {"resourceType": "Nothing", "id": "x"},
        b'{"resourceType":"Patient","id":"p3","birthDate":"1980-01-01","multipleBirthInteger":72.50}',
        patient("p1", "Later"),
    )
    found = project.run(file, code=1, workers=workers)
    assert {k: found[k] for k in ("stored", "created", "updated", "repeated", "failed")} == {
        "stored": 3, "created": 2, "updated": 1, "repeated": 1, "failed": 4
    }  # fmt: skip
    assert [(f["line"], f["file"]) for f in found["faults"]] == [(n, str(file)) for n in (3, 5, 6, 7)]
    assert found["faults"][2]["text"] == "resourceType: R4 has no such resource type"
    assert found["types"] == {"Patient": 2, "Observation": 1}
    assert project.stored("Patient", "p1")["name"][0]["family"] == "Later"


def test_the_same_again_changes_nothing(project: Project) -> None:
    file = project.write("in.ndjson.gz", patient("p1"), observation("o1", "p1"))
    assert project.run(file)["created"] == 2
    again = project.run(file, workers=1)
    assert (again["created"], again["unchanged"]) == (0, 2)
    database = project.open()
    rows = [e.row for e in audit.find(database.read, what="import")]
    assert audit.verify(database.read) is None
    database.close()
    assert [(r.who, r.detail) for r in rows] == [("system", "0 resources"), ("system", "2 resources")]


def test_a_bundle_is_taken_apart_and_its_references_meet(project: Project) -> None:
    bundle = {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [
            {"fullUrl": URN, "resource": {k: v for k, v in patient("x").items() if k != "id"}},
            {"fullUrl": "urn:uuid:" + "0" * 8, "resource": observation("o1", "x", subject={"reference": URN})},
            {"fullUrl": "https://elsewhere.example/fhir/Encounter/e1", "resource": encounter("e1", "x")},
            {
                "resource": observation(
                    "o2", "x", encounter={"reference": "https://elsewhere.example/fhir/Encounter/e1"}
                )
            },
            {"request": {"method": "DELETE", "url": "Patient/p9"}},
        ],
    }
    found = project.run(project.write("b.json", bundle), code=1)
    assert found["stored"] == 4
    assert [f["text"] for f in found["faults"]] == ["Bundle.entry[4] has no resource"]
    assert project.stored("Patient", URN.removeprefix("urn:uuid:"))["gender"] == "female"
    assert project.stored("Observation", "o1")["subject"]["reference"] == f"Patient/{URN.removeprefix('urn:uuid:')}"
    assert project.stored("Observation", "o2")["encounter"]["reference"] == "Encounter/e1"


def test_conditional_references_find_what_came_before(project: Project) -> None:
    doctor = {**practitioner("d1"), "identifier": [{"system": "urn:npi", "value": "1"}]}
    old = project.write("0.ndjson", {**practitioner("d0"), "identifier": [{"system": "urn:npi", "value": "0"}]})
    project.run(old)
    body = observation(
        "o1",
        "p1",
        performer=[{"reference": f"Practitioner?identifier=urn:npi|{n}"} for n in range(3)],
    )
    found = project.run(project.write("1.ndjson", doctor, body))
    assert (found["stored"], found["failed"], found["unresolved"]) == (2, 0, 1)
    assert [p["reference"] for p in project.stored("Observation", "o1")["performer"]] == [
        "Practitioner/d0", "Practitioner/d1", "Practitioner?identifier=urn:npi|2"
    ]  # fmt: skip


@pytest.mark.parametrize("kind", ["ndjson", "json"])
def test_a_conditional_reference_is_replaced_where_a_reference_stands_only(project: Project, kind: str) -> None:
    text = "Practitioner?identifier=urn:npi|1"
    doctor = {**practitioner("d1"), "identifier": [{"system": "urn:npi", "value": "1"}]}
    body = observation(
        "o1",
        "p1",
        performer=[{"reference": text, "display": text}],
        note=[{"text": text}],
        valueString=f'"reference":"{text}"',
        extension=[{"url": "urn:x", "valueUri": text}, {"url": "urn:y", "valueReference": {"reference": text}}],
    )
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": doctor}, {"resource": body}]}
    found = project.run(project.write(f"1.{kind}", *([doctor, body] if kind == "ndjson" else [bundle])))
    assert (found["stored"], found["unresolved"]) == (2, 0)
    stored = project.stored("Observation", "o1")
    assert stored["performer"] == [{"reference": "Practitioner/d1", "display": text}]
    assert (stored["note"], stored["valueString"]) == ([{"text": text}], f'"reference":"{text}"')
    assert stored["extension"][0]["valueUri"] == text
    assert stored["extension"][1]["valueReference"] == {"reference": "Practitioner/d1"}


def test_a_resource_without_an_id_gets_the_same_one_each_time(project: Project) -> None:
    file = project.write("in.ndjson", {"resourceType": "Patient", "gender": "male"})
    assert project.run(file)["created"] == 1
    assert project.run(file)["unchanged"] == 1


def test_folders_are_walked_and_other_files_left_alone(project: Project) -> None:
    project.write("in/b/two.json", patient("p2"))
    project.write("in/one.ndjson", patient("p1"))
    project.write("in/readme.txt", b"not for us")
    assert project.run(project.folder / "in")["stored"] == 2


def test_headers_of_whole_records_are_passed_over(project: Project) -> None:
    header = {"resourceType": "Parameters", "parameter": [{"name": "header", "valueString": "p1"}]}
    done = project.run(project.write("0.blocks.ndjson", header, patient("p1")))
    assert (done["stored"], done["types"], done["failed"]) == (1, {"Patient": 1}, 0)


def test_what_an_export_says_beside_its_data_is_passed_over_and_told(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    said = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "exception"}]}
    kept = {**said, "id": "kept"}
    errors = project.write("in/2.OperationOutcome.ndjson", said, said, kept)
    manifest = project.write("in/manifest.json", {"transactionTime": "2026-11-01T00:00:00Z", "output": [], "error": []})
    project.write("in/1.Patient.ndjson", patient("p1"))
    project.write("in/errors.txt", said)
    done = project.run(project.folder / "in")
    assert (done["types"], done["failed"]) == ({"Patient": 1, "OperationOutcome": 1}, 0)
    assert done["passed"] == [
        {"file": str(errors), "lines": 2, "text": "says what an export could not give, no data"},
        {"file": str(manifest), "lines": 1, "text": "the manifest of an export, no data"},
    ]
    with pytest.raises(SystemExit):
        main(["import", str(project.folder / "in"), "--project", str(project.folder)])
    assert f"{errors}: 2 passed over: says what an export could not give, no data" in capsys.readouterr().err


def test_an_export_that_is_not_done_is_no_whole_one(project: Project) -> None:
    project.write("in/Patient.ndjson", patient("p1"))
    mark = project.write("in/.export.json", {"moment": 1})
    done = project.run(project.folder / "in", code=1)
    (fault,) = done["faults"]
    assert (done["stored"], fault["file"]) == (1, str(mark))
    assert "the export into this folder is not done" in fault["text"]


@pytest.mark.parametrize(
    ("name", "raw", "text"),
    [
        ("cut.ndjson.gz", gzip.compress(b"{}" * 100)[:20], "the file can't be read (EOFError)"),
        ("no.json.gz", b"no gzip", "the file can't be read (BadGzipFile)"),
        ("empty.json", b"", "line 1, column 1: The document ends in the middle."),
        ("list.json", b"[]", "line 1, column 1: The document is not a JSON object."),
        ("bundle.json", b'{"resourceType":"Bundle","entry":{}}', "Bundle.entry must be a list"),
        ("odd.json", b'{"resourceType":{}}', "resourceType: R4 has no such resource type"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(project: Project, name: str, raw: bytes, text: str) -> None:
    file = project.folder / name
    file.write_bytes(raw)
    found = project.run(file, code=1)
    assert found["faults"] == [{"file": str(file), "line": 1, "text": text}]
    assert found["failed"] == 1


def test_what_is_not_there_is_said(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["import", str(project.folder / "none"), "--project", str(project.folder)])
    assert caught.value.code == 1
    assert "no such file or folder" in capsys.readouterr().err


def test_the_summary_for_people_names_the_first_faults(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    file = project.write("in.ndjson", *[b"{"] * 30, patient("p1"))
    with pytest.raises(SystemExit):
        main(["import", str(file), "--project", str(project.folder)])
    said = capsys.readouterr()
    assert f"{file}:1: line 1, column 2: The document ends in the middle." in said.err
    assert "… and 10 more" in said.err
    assert "1 stored" in said.out
    assert "30 failed" in said.out


def test_no_value_of_a_patient_stands_in_what_is_said(project: Project) -> None:
    found = project.run(
        project.write("in.ndjson", patient("p1", "Zyxwvut", birthDate="Zyxwvut", gender="Zyxwvut")), code=1
    )
    assert "Zyxwvut" not in json.dumps(found)


def test_people_who_do_not_exist_are_invented_and_stored(project: Project) -> None:
    done = project.run("--synthetic", "4", "--seed", "7", "--us-core", "7.0.0")
    assert done["types"]["Patient"] == 4
    assert done["stored"] == done["created"] > 200
    assert done["failed"] == 0
    again = project.run("--synthetic", "4", "--seed", "7", "--us-core", "7.0.0")
    assert again["unchanged"] == done["stored"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "nothing to import"),
        (["--synthetic", "-1"], "not a number of people"),
        (["--synthetic", "1", "--us-core", "5.0.1"], "no version of US Core that is known"),
    ],
)
def test_what_can_not_be_invented(project: Project, words: list[str], said: str) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["import", "--project", str(project.folder), *words])
    assert stopped.value.code == 1
    assert said in project.capsys.readouterr().err
