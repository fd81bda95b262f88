"""`suture terminology`: a version counts when it is whole; a broken file changes nothing."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from suture.cli import terminology
from suture.errors import Invalid, NotFound
from suture.services.terminology.terminology import Terminology
from suture.store import audit
from suture.store.database import Database
from tests.commands import run
from tests.standards.terminology.test_files import ANSWERS, CVX, LOINC, ORDER, SNOMED, TREE
from tests.stores import settings

URL = "http://loinc.org"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SUTURE_DATABASE", settings(tmp_path).database)
    monkeypatch.setenv("SUTURE_KEY_FILE", str(settings(tmp_path).key_file))
    Database.open(settings(tmp_path)).close()
    return tmp_path


def package(folder: Path, loinc: str = LOINC) -> Path:
    with zipfile.ZipFile(folder / "Loinc_9.zip", "w") as archive:
        archive.writestr("LoincTable/Loinc.csv", loinc)
        archive.writestr("AccessoryFiles/ComponentHierarchyBySystem/ComponentHierarchyBySystem.csv", TREE)
        archive.writestr("AccessoryFiles/AnswerFile/AnswerList.csv", ANSWERS)
        archive.writestr("LoincTable/Readme.txt", "nothing")
    return folder / "Loinc_9.zip"


def listed(project: Path) -> list[tuple[str, str, int]]:
    found = json.loads(run(terminology.app, "list", "--json", "--project", str(project)).output)
    return [(row["url"], row["version"], row["codes"]) for row in found]


def test_from_load_to_removal(project: Path) -> None:
    here = ("--project", str(project))
    told = run(terminology.app, "load", "loinc", str(package(project)), "--version", "9", *here)
    assert "LOINC 9: 5 codes are loaded." in told.output
    run(terminology.app, "load", "loinc", str(package(project)), "--version", "9", *here)
    assert listed(project) == [(URL, "9", 5)], "the same version takes its place"
    database = Database.open(settings(project))
    try:
        known = Terminology(database)
        assert known.related(URL, "LP90-1", above=False) == {"LP90-1", "90001-1"}
        assert list(known.expand("http://loinc.org/vs/LL90-1") or ()) == [(URL, "LA91-1"), (URL, "LA92-1")]
        trail = [entry.row for entry in audit.find(database.read)]
        assert [(r.what, r.id, r.detail) for r in trail] == [("terminology-load", "loinc", "9")] * 2
        run(terminology.app, "remove", "loinc", *here)
        assert known.related(URL, "LP90-1", above=False) is None
        assert database.read.all("SELECT tsid FROM term_part") == []
    finally:
        database.close()
    with pytest.raises(NotFound, match="nothing of it is loaded"):
        run(terminology.app, "remove", "loinc", *here)


def test_a_broken_file_changes_nothing(project: Path) -> None:
    here = ("--project", str(project))
    run(terminology.app, "load", "loinc", str(package(project)), "--version", "9", *here)
    with pytest.raises(Invalid, match=r"Loinc\.csv:4: this is no LOINC number"):
        run(terminology.app, "load", "loinc", str(package(project, LOINC + "x,,,,,\n")), "--version", "9", *here)
    assert listed(project) == [(URL, "9", 5)]
    database = Database.open(settings(project))
    left = database.read.all("SELECT live FROM term_system")
    database.close()
    assert left == [(1,)], "nothing half is left"


def test_versions_stand_side_by_side(project: Path) -> None:
    here = ("--project", str(project))
    (project / "icd10cm-order-2030.txt").write_text(ORDER)
    (project / "cvx.txt").write_text(CVX)
    for kind, file, version in (
        ("icd-10-cm", project / "icd10cm-order-2030.txt", "2029"),
        ("icd-10-cm", project, "2030"),
        ("cvx", project / "cvx.txt", "1"),
    ):
        run(terminology.app, "load", kind, str(file), "--version", version, *here)
    icd = "http://hl7.org/fhir/sid/icd-10-cm"
    assert listed(project) == [("http://hl7.org/fhir/sid/cvx", "1", 2), (icd, "2029", 4), (icd, "2030", 4)]


def test_a_snapshot_of_snomed_ct_by_its_files_names(project: Path) -> None:
    names = {
        "concepts": "sct2_Concept_Snapshot_US1000124_20300301.txt",
        "descriptions": "sct2_Description_Snapshot-en_US1000124_20300301.txt",
        "relationships": "sct2_Relationship_Snapshot_US1000124_20300301.txt",
        "language": "der2_cRefset_LanguageSnapshot-en_US1000124_20300301.txt",
    }
    with zipfile.ZipFile(project / "snomed.zip", "w") as archive:
        for name, file in names.items():
            archive.writestr(f"Snapshot/Terminology/{file}", SNOMED[name])
            archive.writestr(f"Full/Terminology/{file.replace('Snapshot', 'Full')}", "broken")
            if name == "relationships":
                continue
            (project / file).write_text(SNOMED[name])
    here = ("--project", str(project))
    run(terminology.app, "load", "snomed", str(project / "snomed.zip"), "--version", "1", *here)
    assert listed(project) == [("http://snomed.info/sct", "1", 2)]
    with pytest.raises(Invalid, match="SNOMED CT is not in it"):
        run(terminology.app, "load", "snomed", str(project), "--version", "1", *here)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ("load", "atc", "x", "--version", "1"),
            "'atc' can't be loaded. Use one of: loinc, snomed, rxnorm, icd-10-cm, cvx",
        ),
        (("load", "cvx", "nowhere", "--version", "1"), "there is no such file"),
        (("load", "cvx", ".", "--version", " "), "a version has 1 to 100 characters"),
    ],
)
def test_what_can_not_be_loaded_is_said(project: Path, arguments: tuple[str, ...], said: str) -> None:
    with pytest.raises(Invalid) as caught:
        run(terminology.app, *arguments, "--project", str(project))
    assert said in str(caught.value)


def test_a_folder_without_the_file_names_what_is_missing(project: Path) -> None:
    (project / "empty").mkdir()
    with pytest.raises(Invalid, match=r"LOINC is not in it"):
        run(terminology.app, "load", "loinc", str(project / "empty"), "--version", "1", "--project", str(project))
