"""A guide's package: held against files as it is, or stored for $validate and the terminology operations."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from suture.cli import ig, import_, validate
from suture.errors import Invalid, NotFound
from suture.services import canonicals
from suture.store import audit, resources
from suture.store.connection import Connection
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
    entry = {
        "fullUrl": "urn:uuid:61ebe359-bfdc-4613-8bf2-c5e300945f0a",
        "resource": pulse(subject=None, meta={"profile": [PULSE]}),
    }
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


@pytest.fixture
def project(guide: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SUTURE_DATABASE", settings(guide.parent).database)
    monkeypatch.setenv("SUTURE_KEY_FILE", str(settings(guide.parent).key_file))
    return guide.parent


def versioned(version: str, **more: bytes | dict[str, Any]) -> bytes:
    """The package in another version, as publishers make them: the same ids, other versions."""
    made = {name: entry | {"version": version} if isinstance(entry, dict) else entry for name, entry in ENTRIES.items()}
    return packed(made | more)


def installed(project: Path, *arguments: str, code: int = 0) -> str:
    done = run(ig.app, *arguments, "--project", str(project))
    assert done.exit_code == code, done.output
    return done.output


@pytest.mark.slow
def test_a_guide_is_stored_and_what_it_builds_on_is_named(guide: Path, project: Path) -> None:
    said = installed(project, "install", str(guide))
    assert "2 StructureDefinition, 1 ValueSet, 0 CodeSystem, 0 ConceptMap; 0 left out" in said
    assert "It builds on: other.guide@2.0.0" in said
    database = Database.open(settings(project))
    row = resources.read(database.read, "ValueSet", "colours")
    trail = [entry.row for entry in audit.find(database.read)]
    database.close()
    assert row is not None
    found = [(one.type, one.id, one.detail) for one in trail if one.what == "ig-install"]
    assert found == [("ImplementationGuide", "example.guide", "1.2.0")]


@pytest.mark.slow
def test_what_is_not_sound_is_named_and_left_out(guide: Path, project: Path) -> None:
    broken = COLOURS | {"id": "broken", "status": "lively"}
    guide.write_bytes(packed(ENTRIES | {"package/ValueSet-broken.json": broken}))
    told = json.loads(installed(project, "install", str(guide), "--json", code=1))
    assert told["stored"] == {"StructureDefinition": 2, "ValueSet": 1, "CodeSystem": 0, "ConceptMap": 0}
    assert [one["resource"].rpartition(":")[2] for one in told["faults"]] == ["ValueSet/broken"]
    assert told["faults"][0]["text"].startswith("ValueSet.status: ")


class Registry(BaseHTTPRequestHandler):
    """Has one package."""

    def do_GET(self) -> None:
        found = self.path == "/packages/example.guide/1.2.0"
        self.send_response(200 if found else 404)
        self.end_headers()
        self.wfile.write(packed(ENTRIES) if found else b"")

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Registry) as server:
        Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        monkeypatch.setenv("SUTURE_IG_REGISTRY", f"http://127.0.0.1:{server.server_port}/packages/")
        yield
        server.shutdown()


@pytest.mark.slow
def test_a_guide_is_installed_by_name(registry: None, project: Path) -> None:
    said = installed(project, "install", "example.guide@1.2.0")
    assert said.startswith("example.guide@1.2.0: 2 StructureDefinition, 1 ValueSet")
    with pytest.raises(NotFound, match=r"the registry has no example\.guide@9"):
        installed(project, "install", "example.guide@9")
    with pytest.raises(Invalid, match="there is no such file, and it is no name of a package"):
        installed(project, "install", "absent.tgz")


def pulses(connection: Connection) -> list[str]:
    """The versions of the pulse that are stored, the one that its URL means first."""
    newest = canonicals.profile(connection, PULSE)
    others = [canonicals.profile(connection, f"{PULSE}|{version}") for version in ("1", "1.2.0", "10.0.0")]
    return [one.version for one in (newest, *others) if one is not None]


@pytest.mark.slow
def test_versions_stand_beside_each_other_and_are_listed_and_removed(guide: Path, project: Path) -> None:
    assert installed(project, "list") == "No guide is stored.\n"
    for version in ("10.0.0", "1.2.0", "10.0.0"):  # again: nothing new
        guide.write_bytes(versioned(version))
        installed(project, "install", str(guide))
    counts = {"StructureDefinition": 2, "ValueSet": 1, "CodeSystem": 0, "ConceptMap": 0}
    assert json.loads(installed(project, "list", "--json")) == [
        {"name": "example.guide", "version": version, "stored": counts} for version in ("1.2.0", "10.0.0")
    ]
    database = Database.open(settings(project))
    assert pulses(database.read) == ["10.0.0", "1.2.0", "10.0.0"]
    assert installed(project, "remove", "example.guide@10.0.0") == "example.guide@10.0.0: 3 resources deleted\n"
    assert pulses(database.read) == ["1.2.0", "1.2.0"]
    assert "example.guide@1.2.0: 3 resources" in installed(project, "remove", "example.guide")
    assert pulses(database.read) == []
    whats = [entry.row.what for entry in audit.find(database.read)]
    database.close()
    assert whats.count("ig-remove") == 2
    with pytest.raises(NotFound, match=r"no guide example\.guide is stored"):
        installed(project, "remove", "example.guide")


@pytest.mark.slow
def test_what_somebody_else_stored_under_an_id_is_left_alone(guide: Path, project: Path) -> None:
    own = {**pulse_profile, "id": "pulse", "url": "http://example.org/own", "title": "Ours"}
    (project / "own.json").write_text(json.dumps(own), encoding="utf-8")
    assert run(import_.app, str(project / "own.json"), "--project", str(project)).exit_code == 0
    installed(project, "install", str(guide))
    database = Database.open(settings(project))
    row = resources.read(database.read, "StructureDefinition", "pulse")
    there = canonicals.profile(database.read, PULSE)
    database.close()
    assert row is not None
    assert b"Ours" in row.body
    assert there is not None


@pytest.mark.slow
def test_patients_of_us_core_keep_their_profile(tmp_path: Path) -> None:
    package = str(public.path("fhir/us_core_700.tgz"))
    bare = put(tmp_path, {"resourceType": "Patient", "gender": "male"})
    found = texts(bare, "--package", package, "--profile", "us-core-patient", code=1)
    assert [(place, text) for _, place, text in found] == [
        ("Patient.identifier", "The element is missing."),
        ("Patient.name", "The element is missing."),
    ]
