"""A guide's package: held against files as it is, or stored for $validate and the terminology operations."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from suture.cli import ig, validate
from suture.errors import Invalid
from suture.store import audit, resources
from suture.store.database import Database
from tests import public
from tests.commands import run
from tests.standards.fhir.profiles.made import MARK, PULSE, mark_profile, pulse, pulse_profile
from tests.standards.fhir.test_packages import COLOURS, HEAD, packed
from tests.stores import settings

ENTRIES = {
    "package/package.json": HEAD,
    "package/StructureDefinition-pulse.json": pulse_profile | {"id": "pulse"},
    "package/StructureDefinition-mark.json": mark_profile | {"id": "mark"},
    "package/ValueSet-colours.json": COLOURS,
}


@pytest.fixture
def guide(tmp_path: Path) -> Path:
    (tmp_path / "guide.tgz").write_bytes(packed(ENTRIES))
    return tmp_path / "guide.tgz"


def put(folder: Path, found: dict[str, Any]) -> str:
    (folder / "resource.json").write_text(json.dumps(found), encoding="utf-8")
    return str(folder / "resource.json")


def texts(*arguments: str, code: int) -> list[tuple[str, str, str]]:
    done = run(validate.app, *arguments, "--json")
    assert done.exit_code == code, done.stdout
    return [(one["severity"], one["expression"], one["text"].partition(" (")[0]) for one in json.loads(done.stdout)]


MISSING = ("error", "Observation.subject", "The element is missing.")


@pytest.mark.parametrize("name", ["pulse", PULSE, f"{PULSE}|1"])
def test_a_profile_is_named_by_url_version_or_id(name: str, guide: Path) -> None:
    with_it, without = pulse(), pulse(subject=None)
    assert texts(put(guide.parent, with_it), "--package", str(guide), "--profile", name, code=0) == []
    assert texts(put(guide.parent, without), "--package", str(guide), "--profile", name, code=1) == [MISSING]


def test_a_claim_is_checked_where_a_package_has_the_profile(guide: Path) -> None:
    file = put(guide.parent, pulse(subject=None, meta={"profile": [PULSE]}))
    assert texts(file, code=0) == []
    assert texts(file, "--package", str(guide), code=1) == [MISSING]
    other = put(guide.parent, pulse(meta={"profile": ["http://example.org/other"]}))
    note = ("information", "Observation.meta.profile", "the profile http://example.org/other is not here, or not sound")
    assert texts(other, "--package", str(guide), code=0) == [note]


def test_the_claims_of_entries_are_checked_at_their_place(guide: Path) -> None:
    entry = {"fullUrl": "urn:uuid:0", "resource": pulse(subject=None, meta={"profile": [PULSE]})}
    file = put(guide.parent, {"resourceType": "Bundle", "type": "collection", "entry": [entry]})
    place = "Bundle.entry[0].resource.subject"
    assert texts(file, "--package", str(guide), code=1) == [("error", place, MISSING[2])]


def test_a_profile_that_no_package_has_is_refused(guide: Path) -> None:
    with pytest.raises(Invalid, match=f"the profile {MARK}2 is not here"):
        run(validate.app, put(guide.parent, pulse()), "--package", str(guide), "--profile", f"{MARK}2")
    with pytest.raises(Invalid, match="the package can't be read"):
        run(validate.app, put(guide.parent, pulse()), "--package", "absent.tgz")


@pytest.mark.parametrize(
    "change",
    [{"differential": {"element": [{"id": "Observation.note", "path": "Observation.note", "maxLength": "five"}]}},
     {"differential": {"element": ["x"]}}, {"differential": 5}, {"type": None}],
)  # fmt: skip
def test_a_profile_that_is_not_sound_is_refused(change: dict[str, Any], guide: Path) -> None:
    guide.write_bytes(
        packed(ENTRIES | {"package/StructureDefinition-pulse.json": pulse_profile | {"id": "pulse"} | change})
    )
    with pytest.raises(Invalid, match="the profile pulse is not here, or not sound"):
        run(validate.app, put(guide.parent, pulse()), "--package", str(guide), "--profile", "pulse")


@pytest.mark.slow
def test_a_guide_is_stored_and_what_it_builds_on_is_named(guide: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUTURE_DATABASE", settings(guide.parent).database)
    monkeypatch.setenv("SUTURE_KEY_FILE", str(settings(guide.parent).key_file))
    done = run(ig.app, "install", str(guide), "--project", str(guide.parent))
    assert done.exit_code == 0, done.stdout
    assert "2 StructureDefinition, 1 ValueSet, 0 CodeSystem, 0 ConceptMap; 0 left out" in done.stdout
    assert "It builds on: other.guide@2.0.0" in done.stdout
    database = Database.open(settings(guide.parent))
    row = resources.read(database.read, "ValueSet", "colours")
    trail = [entry.row for entry in audit.find(database.read)]
    database.close()
    assert row is not None
    found = [(one.type, one.id, one.detail) for one in trail if one.what == "ig-install"]
    assert found == [("ImplementationGuide", "example.guide", "1.2.0")]


@pytest.mark.slow
def test_what_is_not_sound_is_named_and_left_out(guide: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUTURE_DATABASE", settings(guide.parent).database)
    monkeypatch.setenv("SUTURE_KEY_FILE", str(settings(guide.parent).key_file))
    broken = COLOURS | {"id": "broken", "status": "lively"}
    guide.write_bytes(packed(ENTRIES | {"package/ValueSet-broken.json": broken}))
    done = run(ig.app, "install", str(guide), "--project", str(guide.parent), "--json")
    told = json.loads(done.stdout)
    assert done.exit_code == 1
    assert told["stored"] == {"StructureDefinition": 2, "ValueSet": 1, "CodeSystem": 0, "ConceptMap": 0}
    assert [one["resource"].rpartition(":")[2] for one in told["faults"]] == ["ValueSet/broken"]
    assert told["faults"][0]["text"].startswith("ValueSet.status: ")


@pytest.mark.slow
def test_patients_of_us_core_keep_their_profile(tmp_path: Path) -> None:
    package = str(public.path("fhir/us_core_700.tgz"))
    bare = put(tmp_path, {"resourceType": "Patient", "gender": "male"})
    found = texts(bare, "--package", package, "--profile", "us-core-patient", code=1)
    assert [(place, text) for _, place, text in found] == [
        ("Patient.identifier", "The element is missing."),
        ("Patient.name", "The element is missing."),
    ]
