"""`suture export`: what was current at the moment it began, byte for byte, a file a type, for this user's eyes only."""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from suture import cli
from suture import settings as settings_of
from suture.clock import instant
from suture.services.bulk.files import Sent
from suture.standards.fhir.index import extract
from suture.store import audit, resources, scan
from suture.store.connection import Tx
from suture.store.database import Database
from tests import damage, stores
from tests.server.people import observation, patient


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SUTURE_KEY_FILE", str(tmp_path / "key"))
    return tmp_path


def put(database: Database, kind: str, id: str, **more: Any) -> None:
    body = orjson.dumps({"resourceType": kind, "id": id, **more})
    database.write_now(lambda tx: resources.put(tx, kind, id, body))


def export(project: Path, *more: str) -> Path:
    out = project / "out"
    with pytest.raises(SystemExit) as stopped:
        cli.main(["export", "--out", str(out), "--project", str(project), *more])
    assert not stopped.value.code
    return out


def lines(file: Path) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in file.read_bytes().splitlines()]


def test_every_current_version_is_written_once(project: Path) -> None:
    database = Database.open(settings_of.read(project))
    for number in range(5):
        put(database, "Patient", f"p{number}", active=True)
    put(database, "Patient", "p0", active=False)
    put(database, "Observation", "o1", status="final")
    database.write_now(lambda tx: resources.delete(tx, "Patient", "p4"))
    stored = {row.id: row.body for n in range(4) if (row := resources.read(database.read, "Patient", f"p{n}"))}
    database.close()
    out = export(project)
    assert sorted(f.name for f in out.iterdir()) == ["Observation.ndjson", "Patient.ndjson"]
    assert {f.stat().st_mode & 0o777 for f in out.iterdir()} == {0o600}
    assert sorted((out / "Patient.ndjson").read_bytes().splitlines()) == sorted(stored.values())
    assert [one["active"] for one in lines(out / "Patient.ndjson") if one["id"] == "p0"] == [False]
    database = Database.open(settings_of.read(project))
    assert [entry.row.what for entry in audit.find(database.read)] == ["export"]
    database.close()


def test_only_the_types_that_are_named(project: Path) -> None:
    database = Database.open(settings_of.read(project))
    put(database, "Patient", "p1")
    put(database, "Observation", "o1")
    database.close()
    assert [f.name for f in export(project, "--type", "Observation").iterdir()] == ["Observation.ndjson"]


def test_what_is_written_after_the_moment_is_left_out(project: Path) -> None:
    database = Database.open(settings_of.read(project))
    put(database, "Patient", "old", active=True)
    put(database, "Patient", "gone", active=True)
    moment = database.write_now(lambda tx: tx.now)
    put(database, "Patient", "old", active=False)
    put(database, "Patient", "new", active=True)
    database.write_now(lambda tx: resources.delete(tx, "Patient", "gone"))
    found = [orjson.loads(body) for chunk in scan.chunks(database.read, moment) for _, body in chunk]
    database.close()
    assert {(one["id"], one["active"]) for one in found} == {("old", True), ("gone", True)}


@pytest.fixture
def charts(project: Path) -> Path:
    """Two patients with a result each; the first is of a group."""
    database = Database.open(settings_of.read(project))
    for id in ("p1", "p2"):
        put(database, "Patient", id, identifier=[{"value": f"mrn-{id}"}], birthDate="1980-01-01", gender="other")
        put(database, "Observation", f"o-{id}", status="final", subject={"reference": f"Patient/{id}"})
    put(database, "Group", "g1", type="person", actual=True, member=[{"entity": {"reference": "Patient/p1"}}])
    database.close()
    return project


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--type", "Pateint"], "--type: R4 has no such resource type"),
        (["--since", "yesterday"], "--since: not an instant"),
        (["--type-filter", "Observation?_sort=date"], "--type-filter: _sort has no meaning in a filter"),
        (["--until", "tomorrow"], "--until: not an instant"),
        (["--include-associated", "everything"], "--include-associated: no such associated data here"),
        (["--organize-by", "Encounter"], "--organize-by: files are not organized by that"),
        (["--group", "none"], "--group: no such Group"),
        (["--patient", "nobody"], "--patient: no patient with this id or identifier"),
        (["--ehi", "--organize-by", "Patient"], "--ehi: a whole record can't be narrowed"),
        (["--ehi", "--gzip"], "--ehi: a whole record can't be narrowed"),
    ],
)
def test_what_can_not_be_exported_is_refused_by_option(
    charts: Path, capsys: pytest.CaptureFixture[str], more: list[str], said: str
) -> None:
    assert said in refused(charts, capsys, *more)
    assert not (charts / "out").exists()


def refused(project: Path, capsys: pytest.CaptureFixture[str], *more: str) -> str:
    with pytest.raises(SystemExit) as stopped:
        cli.main(["export", "--out", str(project / "out"), "--project", str(project), *more])
    assert stopped.value.code == 1
    return capsys.readouterr().err


def test_a_full_folder_is_refused(charts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (charts / "out").mkdir()
    (charts / "out" / "there").write_text("x")
    assert "this is not an empty folder" in refused(charts, capsys)


def ids(out: Path) -> dict[str, list[str]]:
    return {f.name: sorted(one.get("id", "") for one in lines(f)) for f in out.iterdir()}


def test_it_is_narrowed_as_over_http(charts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    filtered = ["--type-filter", "Observation?_id=o-p2", "--type", "Observation"]
    whole = {"Patient.ndjson": ["p1"], "Observation.ndjson": ["o-p1"]}
    for more, found in (
        (["--group", "g1"], whole),
        (["--patient", "mrn-p1"], whole),
        (filtered, {"Observation.ndjson": ["o-p2"]}),
    ):
        out = export(charts, *more)
        assert ids(out) == found
        shutil.rmtree(out)
    out = export(charts, "--type", "Patient", "--elements", "birthDate", "--patient", "p1", "--patient", "p2", "--gzip")
    raw = gzip.decompress((out / "Patient.ndjson.gz").read_bytes())
    assert [set(orjson.loads(line)) for line in raw.splitlines()] == [{"resourceType", "id", "meta", "birthDate"}] * 2
    database = Database.open(settings_of.read(charts))
    rows = [entry.row for entry in audit.find(database.read)]
    moment = instant(database.write_now(lambda tx: tx.now))
    database.write_now(lambda tx: resources.delete(tx, "Observation", "o-p1"))
    put(database, "Patient", "p3")
    assert set(rows[0].patients) == {"Patient/p1", "Patient/p2"}
    assert (rows[-1].patient, rows[-1].detail) == ("Patient/p1", "command line of group g1, 2 resources of 1 patients")
    assert [entry.row.patient for entry in audit.find(database.read, patient="Patient/p3")] == []
    database.close()
    shutil.rmtree(out)
    assert ids(export(charts, "--since", moment)) == {"Patient.ndjson": ["p3"], "deleted.ndjson": [""]}
    assert b"DELETE" in (out / "deleted.ndjson").read_bytes()


def test_the_chart_as_it_was(charts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    database = Database.open(settings_of.read(charts))
    moment = instant(database.write_now(lambda tx: tx.now))
    put(database, "Patient", "p1", active=False)
    put(database, "Patient", "p3")
    database.close()
    out = export(charts, "--until", moment, "--type", "Patient", "--json")
    assert orjson.loads(capsys.readouterr().out)["transactionTime"] == moment
    shown = sorted((one["id"], one["gender"]) for one in lines(out / "Patient.ndjson"))
    assert shown == [("p1", "other"), ("p2", "other")]
    shutil.rmtree(out)
    assert [f.name for f in export(charts, "--until", "2020-01-01").iterdir()] == []


def test_provenance_comes_along_when_asked_for(charts: Path) -> None:
    database = Database.open(settings_of.read(charts))
    for id, day in (("old", "01"), ("new", "02")):
        recorded, target = f"2026-01-{day}T00:00:00Z", [{"reference": "Observation/o-p1"}]
        put(database, "Provenance", id, target=target, recorded=recorded, agent=[{"who": {"display": "lab"}}])
    database.close()
    narrow = ["--patient", "p1", "--patient", "p2", "--type", "Observation"]
    for more, found in (([], None), (["--include-associated", "LatestProvenanceResources"], ["new"]), (["--include-associated", "RelevantProvenanceResources"], ["new", "old"])):  # fmt: skip
        out = export(charts, *narrow, *more)
        assert ids(out).get("Provenance.ndjson") == found
        shutil.rmtree(out)


def test_whole_records_one_after_the_other(
    charts: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUTURE_BULK_FILE_RESOURCES", "3")
    out = export(charts, "--organize-by", "Patient", "--json")
    made = orjson.loads(capsys.readouterr().out)
    assert (made["resources"], [f["file"] for f in made["files"]]) == (4, ["0.blocks.ndjson", "1.blocks.ndjson"])
    for file, id in (("0.blocks.ndjson", "p1"), ("1.blocks.ndjson", "p2")):
        header, *record = lines(out / file)
        assert header["parameter"] == [{"name": "header", "valueReference": {"reference": f"Patient/{id}"}}]
        assert [one["id"] for one in record] == [id, f"o-{id}"]
    database = Database.open(settings_of.read(charts))
    (row,) = [entry.row for entry in audit.find(database.read)]
    assert (set(row.patients), row.detail) == ({"Patient/p1", "Patient/p2"}, "command line, 4 resources of 2 patients")
    damage = "UPDATE res SET zd = 0, body = ? WHERE fid = 'o-p1'"
    database.write_now(lambda tx: tx.execute(damage, (b"x" * 90,)))
    database.close()
    shutil.rmtree(out)
    assert "Not everything could be exported: errors.txt" in refused(charts, capsys, "--organize-by", "Patient")
    assert [one["resourceType"] for one in lines(out / "0.blocks.ndjson")] == ["Parameters", "Patient"]
    assert [one["id"] for one in lines(out / "1.blocks.ndjson")[1:]] == ["p2", "o-p2"]


def test_what_was_cut_off_goes_on_as_of_the_same_moment(
    charts: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    chunks = Sent.chunks

    def torn(self: Sent, held: bytes) -> Iterator[bytes]:
        if self.file.type == "Patient":
            yield b'{"resourceType":"Pat'
            raise KeyboardInterrupt
        yield from chunks(self, held)

    with monkeypatch.context() as broken:
        broken.setattr(Sent, "chunks", torn)
        with pytest.raises((KeyboardInterrupt, SystemExit)):
            cli.main(["export", "--out", str(charts / "out"), "--project", str(charts)])
    there = {f.name for f in (charts / "out").iterdir()}
    assert there == {".export.json", "Group.ndjson", "Observation.ndjson", "Patient.ndjson.part"}
    database = Database.open(settings_of.read(charts))
    put(database, "Patient", "late")
    database.close()
    assert "another export into this folder is not done" in refused(charts, capsys, "--type", "Patient")
    out = export(charts, "--json")
    told = orjson.loads(capsys.readouterr().out)
    assert (told["continued"], told["resources"], told["errors"]) == (True, 5, [])
    assert ids(out) == {"Patient.ndjson": ["p1", "p2"], "Observation.ndjson": ["o-p1", "o-p2"], "Group.ndjson": ["g1"]}
    assert "this is not an empty folder" in refused(charts, capsys)


def test_what_is_damaged_is_named_beside_the_file(charts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    database = Database.open(settings_of.read(charts))
    database.write_now(lambda tx: tx.execute("UPDATE res SET zd = 0, body = ? WHERE fid = 'p1'", (b"x" * 90,)))
    database.close()
    assert "Not everything could be exported: Patient.errors.txt" in refused(charts, capsys, "--type", "Patient")
    assert ids(charts / "out") == {"Patient.ndjson": ["p2"], "Patient.errors.txt": [""]}
    (said,) = lines(charts / "out" / "Patient.errors.txt")
    assert said["issue"][0]["expression"] == ["Patient/p1"]


def test_what_was_sent_over_several_lines_is_one(project: Path) -> None:
    database = Database.open(settings_of.read(project))
    body = orjson.dumps({"resourceType": "Patient", "id": "p1", "active": True}, option=orjson.OPT_INDENT_2)
    database.write_now(lambda tx: resources.put(tx, "Patient", "p1", body))
    database.close()
    assert [(r["id"], r["active"]) for r in lines(export(project) / "Patient.ndjson")] == [("p1", True)]


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A chart of many pages: sixty people with results, some of them written twice, one as large as several pages."""
    folder = tmp_path_factory.mktemp("large")
    store = stores.database(folder)

    def unit(tx: Tx) -> None:
        for n in range(60):
            note = "".join(map(chr, range(0x4E00, 0x4E00 + (4000 if n == 30 else 90))))
            for resource in (patient(f"p{n}"), observation(f"o{n}", f"p{n}", note=[{"text": note}])):
                type, id = resource["resourceType"], resource["id"]
                resources.put(tx, type, id, orjson.dumps(resource), extract(resource, ""))

    for _ in range(2):
        store.write_now(unit)
    store.close()
    return folder


@pytest.mark.parametrize(
    ("table", "kind", "loses"),
    [
        ("res", "leaf", range(2, 40)),
        ("res", "internal", range(120, 121)),
        ("res", "overflow", range(1, 2)),
        ("res_fid", "leaf", range(1)),
        ("res_upd", "leaf", range(1)),
        ("hist", "leaf", range(1)),
    ],
)
@pytest.mark.parametrize("more", [[], ["--organize-by", "Patient"]])
def test_a_damaged_page_costs_what_stands_on_it(
    large: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    table: str, kind: str, loses: range, more: list[str],
) -> None:  # fmt: skip
    shutil.copytree(large, tmp_path / "copy")
    damage.of_file(tmp_path / "copy", table, kind)
    monkeypatch.setenv("SUTURE_DATABASE", f"sqlite:{tmp_path}/copy/data/suture.db")
    monkeypatch.setenv("SUTURE_KEY_FILE", f"{tmp_path}/copy/key")
    with pytest.raises(SystemExit) as stopped:
        cli.main(["export", "--out", str(tmp_path / "out"), "--project", str(tmp_path), "--json", *more])
    made = orjson.loads(capsys.readouterr().out)
    named = {one["issue"][0]["expression"][0] for name in made["errors"] for one in lines(tmp_path / "out" / name)}
    there = {
        f"{one['resourceType']}/{one['id']}"
        for f in made["files"] for one in lines(tmp_path / "out" / f["file"]) if one["resourceType"] != "Parameters"
    }  # fmt: skip
    everything = {f"{kind}{n}" for kind in ("Patient/p", "Observation/o") for n in range(60)}
    assert (len(named) in loses, named) == (True, everything - there)
    assert (stopped.value.code or 0) == (1 if named else 0)
    assert made["resources"] == len(there)
