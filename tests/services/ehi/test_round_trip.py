"""A person's whole record, out of one installation and into another: the same bytes, versions and messages; and nothing of others."""

from __future__ import annotations

import hashlib
import json
import random
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest
import pytest_asyncio

from suture.cli import export as export_command
from suture.cli import import_ as import_command
from suture.errors import Invalid, NotFound
from suture.message import Message
from suture.services.ehi import load as loading
from suture.services.ehi.archive import Archive, description
from suture.services.ehi.load import load
from suture.store import audit, messages, record, resources
from suture.store.database import Database
from suture.store.resources import Row
from suture.store.verify import verify
from tests.commands import run
from tests.engine.rig import Rig, adt
from tests.server.people import observation, patient, practitioner
from tests.stores import database

FLOW = """suture: flow/1
id: admissions
source: {uses: mllp.listen, with: {messages: [ADT^*], time_zone: America/Chicago}}
steps:
  - {id: chart, uses: map, with: {map: hl7v2/ADT_A01}}
  - {id: save, uses: fhir.write, with: {connection: local}}
  - {id: keep, uses: file.write, with: {connection: out, name: "{{ message.control_id }}.hl7", from: original}}
"""
OUT = "{suture: connection/1, id: out, uses: file, folder: out}"


@pytest_asyncio.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    """Two people from HL7, one with a chart of many versions, deletions, a document, things that moved."""
    async with Rig(tmp_path / "one", {"f": FLOW.replace(", from: original", "")}, {"out": OUT}) as rig:
        await rig.send(adt("M1", "100234", "Alma"), adt("M2", "100235", "Otto"), adt("M3", "100234", "Alma Maria"))
        await rig.settled(3)
        yield rig


def ids(store: Database) -> dict[str, str]:
    """Given name -> id of the Patients."""
    rows = {row.id: row for row in resources.history(store.read, "Patient")[::-1]}
    return {orjson.loads(row.body)["name"][0]["given"][0]: id for id, row in rows.items()}


def fill(store: Database, whose: str, others: str) -> None:
    """Versions, deletions, a document, what belongs to two, what changed hands."""
    chance = random.Random(5)
    said = [
        observation("o1", whose), observation("o1", whose, value="80"), observation("o2", whose),
        observation("o3", others), observation("moved", whose), practitioner("d1", "Eins"), practitioner("d1", "Zwei"),
        {"resourceType": "Binary", "id": "b1", "contentType": "text/plain", "data": "aGVsbG8="},
        {
            "resourceType": "DocumentReference", "id": "doc", "status": "current", "subject": {"reference": f"Patient/{whose}"},
            "author": [{"reference": "Practitioner/d1"}],
            "content": [{"attachment": {"contentType": "text/plain", "url": "Binary/b1"}}],
        },
        {
            "resourceType": "Appointment", "id": "a1", "status": "proposed",
            "participant": [{"actor": {"reference": f"Patient/{p}"}, "status": "accepted"} for p in (whose, others)],
        },
        {"resourceType": "Consent", "id": "..", "status": "active", "scope": {"text": "x"}, "category": [{"text": "y"}],
         "patient": {"reference": f"Patient/{whose}"}, "policyRule": {"text": "z"}},
    ]  # fmt: skip
    said += [observation(f"many-{n}", chance.choice((whose, others)), value="1.50") for n in range(30)]

    def unit(tx: Any, body: dict[str, Any]) -> None:
        spaced = json.dumps(body, indent=chance.choice((None, 2))).encode()
        resources.put(tx, body["resourceType"], body["id"], spaced)

    for body in said:
        store.write_now(lambda tx, body=body: unit(tx, body))
    for row, change in (("o2", "delete"), ("moved", "update")):
        entry = audit.AuditRow("user:1", change, "Observation", row, f"Patient/{whose}")
        store.write_now(lambda tx, entry=entry: audit.append(tx, entry))
    store.write_now(lambda tx: resources.delete(tx, "Observation", "o2"))
    store.write_now(lambda tx: resources.put(tx, "Observation", "moved", orjson.dumps(observation("moved", others))))


def written(store: Database, whose: str, file: Path) -> Path:
    reader = store.reader()
    file.write_bytes(b"".join(Archive(reader, whose, "http://x.example", store.clock.micros()).pieces()))
    reader.close()
    return file


def everything(store: Database, whose: str, archive: Path) -> dict[str, list[Row]]:
    """All versions of the resources that the archive holds as the person's own, as they stand in a database."""
    with zipfile.ZipFile(archive) as zip:
        index = [json.loads(line) for line in zip.read("resources/index.ndjson").splitlines()]
    places = sorted({(line["type"], line["id"]) for line in index if line["why"] == "own"})
    return {
        f"{type}/{id}": [row._replace(rid=0) for row in resources.history(store.read, type, id)] for type, id in places
    }


async def test_a_second_installation_has_the_same_record(rig: Rig, tmp_path: Path) -> None:
    first = rig.rooms.database
    people = ids(first)
    whose, others = people["Alma Maria"], people["Otto"]
    fill(first, whose, others)
    archive = written(first, whose, tmp_path / "record.zip")
    second = database(tmp_path / "two")
    done = load(second, archive, "user:x@console")
    there, here = everything(first, whose, archive), everything(second, whose, archive)
    assert there == here
    assert {"Observation/o1", "Observation/o2", "DocumentReference/doc", "Appointment/a1", "Consent/.."} <= set(there)
    assert len(there[f"Patient/{whose}"]) > 1
    assert there["Observation/o2"][0].deleted
    assert done.versions >= sum(map(len, there.values()))
    for entry in messages.find(first.read, patient="100234"):
        kept = messages.entry(second.read, entry.id)
        assert kept == entry
        assert messages.message(second.read, kept.mid) == messages.message(first.read, entry.mid)
        assert messages.answer(second.read, kept.mid) == messages.answer(first.read, entry.mid)
    assert len(messages.find(second.read)) == 2
    text = b"".join(row.body for row in resources.history(second.read, count=10_000))
    assert b"Otto" not in text
    assert resources.read(second.read, "Patient", others) is None
    assert resources.read(second.read, "Observation", "o3") is None
    assert resources.read(second.read, "Observation", "moved") is None
    assert [finding.text for finding in verify(second) if not finding.good] == []
    again = written(second, whose, tmp_path / "again.zip")
    with zipfile.ZipFile(archive) as a, zipfile.ZipFile(again) as b:
        same = [name for name in a.namelist() if name.startswith(("messages/", "current/", "resources/"))]
        moved = [name for name in same if "/moved_" in name]
        for name in same:
            if name not in moved and name != "resources/index.ndjson":
                assert sorted(a.read(name).splitlines()) == sorted(b.read(name).splitlines()), name
        former = [name for name in b.namelist() if name.startswith("former/")]
        assert any("/deliveries/" in name for name in former)
        assert any("/audit/" in name for name in former)
        assert any("/moved_1.json" in name for name in former)
    assert load(second, archive, "user:x@console").resources == 0
    second.close()


async def test_the_archive_says_what_it_holds(rig: Rig, tmp_path: Path) -> None:
    store = rig.rooms.database
    whose, others = ids(store)["Alma Maria"], ids(store)["Otto"]
    fill(store, whose, others)
    with zipfile.ZipFile(written(store, whose, tmp_path / "r.zip")) as zip:
        manifest = json.loads(zip.read("manifest.json"))
        assert manifest["description"] == "http://x.example/ehi-export"
        assert zip.read("README.md") == description()
        for name, said in manifest["files"].items():
            content = zip.read(name)
            assert (len(content), hashlib.sha256(content).hexdigest()) == (said["bytes"], said["sha256"])
        assert set(zip.namelist()) == {*manifest["files"], "manifest.json"}
        assert manifest["counts"]["messages"] == 2
        assert manifest["counts"]["deliveries"] == 2
        sent = [json.loads(line) for line in zip.read("deliveries/index.ndjson").splitlines()]
        assert [(one["connection"], one["state"], len(one["attempts"])) for one in sent] == [
            ("out", "delivered", 1)
        ] * 2
        events = [json.loads(line) for line in zip.read("audit/AuditEvent-1.ndjson").splitlines()]
        assert {event["subtype"][-1]["code"] for event in events} >= {"transaction", "send"}
        assert all(others not in str(event) for event in events)
        originals = [zip.read(name) for name in zip.namelist() if name.endswith(".hl7")]
        assert sorted(originals) == sorted((adt("M1", "100234", "Alma"), adt("M3", "100234", "Alma Maria")))
        assert all(name.count("..") <= 1 and "/../" not in name for name in zip.namelist())
        everything_said = b"".join(zip.read(name) for name in zip.namelist())
    assert b"100235" not in everything_said
    assert b"Otto" not in everything_said


def test_the_public_description_is_the_one_inside() -> None:
    assert description() == (Path(__file__).parents[3] / "docs" / "ehi-export.md").read_bytes()


def test_messages_of_a_number_that_two_people_have_are_nobodys(tmp_path: Path) -> None:
    store = database(tmp_path)
    for name in ("p1", "p2"):
        body = orjson.dumps(patient(name, identifier=[{"system": f"urn:{name}", "value": "77"}]))
        store.write_now(lambda tx, name=name, body=body: resources.put(tx, "Patient", name, body))
    message = Message("01890000-0000-7000-8000-000000000001", "mllp:1", "hl7v2", b"MSH|x", 0, "C1", "ADT^A01", ("77",))
    store.write_now(lambda tx: messages.accept(tx, message))
    for name in ("p1", "p2"):
        with zipfile.ZipFile(written(store, name, tmp_path / f"{name}.zip")) as zip:
            assert "messages/index.ndjson" not in zip.namelist()
    store.close()


# --- hostile archives


def rebuilt(
    archive: Path, out: Path, change: dict[str, bytes], drop: tuple[str, ...] = (), sealed: bool = True
) -> Path:
    """The archive with other files in it; `sealed`: the manifest made right again."""
    with zipfile.ZipFile(archive) as zip:
        files = {name: zip.read(name) for name in zip.namelist() if name not in drop} | change
    if sealed:
        manifest = json.loads(files["manifest.json"])
        manifest["files"] = {
            name: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
            for name, content in files.items()
            if name != "manifest.json"
        }
        files["manifest.json"] = json.dumps(manifest).encode()
    with zipfile.ZipFile(out, "w") as zip:
        for name, content in files.items():
            zip.writestr(name, content)
    return out


@pytest.fixture
def small(tmp_path: Path) -> Path:
    store = database(tmp_path / "small")
    for body in (patient("p1"), observation("o1", "p1")):
        raw = orjson.dumps(body)
        store.write_now(lambda tx, b=body, raw=raw: resources.put(tx, b["resourceType"], b["id"], raw))
    file = written(store, "p1", tmp_path / "small.zip")
    store.close()
    return file


BODY = "resources/Observation/o1_1.json"
INDEX = "resources/index.ndjson"


def line(**more: Any) -> bytes:
    made = {"type": "Observation", "id": "o1", "version": 1, "updated": 5, "method": "POST", "why": "own", "file": BODY}
    return orjson.dumps(made | more) + b"\n"


@pytest.mark.parametrize(
    ("change", "sealed", "said"),
    [
        ({"../../etc/x": b"1"}, True, "not one of an archive"),
        ({"/etc/x": b"1"}, True, "not one of an archive"),
        ({"a\\..\\b": b"1"}, True, "not one of an archive"),
        ({"former/../x": b"1"}, True, "not one of an archive"),
        ({"x y": b"1"}, True, "not one of an archive"),
        ({BODY: b"{}"}, False, "not what the manifest says"),
        ({"more.txt": b"1"}, False, "not those of the manifest"),
        ({"manifest.json": b"{}"}, False, "no suture-ehi/1"),
        ({"manifest.json": b"no"}, False, "no manifest"),
        ({BODY: b"{}"}, True, "not sound"),
        ({BODY: b'{"resourceType":"Observation"'}, True, "not sound"),
        ({INDEX: b"[]\n"}, True, "no object"),
        ({INDEX: b"x\n"}, True, "can't be read"),
        ({INDEX: line(type="AuditEvent")}, True, "index is not sound"),
        ({INDEX: line(type="Nothing")}, True, "index is not sound"),
        ({INDEX: line(id="../x")}, True, "index is not sound"),
        ({INDEX: line(version=0)}, True, "index is not sound"),
        ({INDEX: line(version=True)}, True, "index is not sound"),
        ({INDEX: line(updated=1 << 61)}, True, "index is not sound"),
        ({INDEX: line(method="GET")}, True, "index is not sound"),
        ({INDEX: line(file="nowhere.json")}, True, "index is not sound"),
        ({INDEX: line(id="o2")}, True, "not the one its index names"),
        ({INDEX: line() + line()}, True, "not in order"),
        ({"messages/index.ndjson": b'{"id":"x"}\n'}, True, "index is not sound"),
    ],
)
def test_nothing_is_written_of_an_archive_that_is_not_sound(
    small: Path, tmp_path: Path, change: dict[str, bytes], sealed: bool, said: str
) -> None:
    bad = rebuilt(small, tmp_path / "bad.zip", change, sealed=sealed)
    store = database(tmp_path / "two")
    with pytest.raises(Invalid, match=said):
        load(store, bad, "user:x")
    assert resources.history(store.read) == []
    assert audit.head(store.read).n == 0
    store.close()


def test_bombs_and_broken_files_are_refused(small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = database(tmp_path / "two")
    monkeypatch.setattr(loading, "LARGEST", 10_000)
    for change in ({"former/x": b"0" * 20_000}, {BODY: b" " * 20_000}):
        with pytest.raises(Invalid, match="too large"):
            load(store, rebuilt(small, tmp_path / "bomb.zip", change), "user:x")
    raw = small.read_bytes()
    for broken in (raw[:100], raw[: len(raw) // 2], b"", b"PK\x05\x06" + bytes(18)):
        (tmp_path / "broken.zip").write_bytes(broken)
        with pytest.raises(Invalid, match=r"archive|manifest"):
            load(store, tmp_path / "broken.zip", "user:x")
    assert audit.head(store.read).n == 0
    store.close()


def test_what_is_here_with_other_versions_stays(small: Path, tmp_path: Path) -> None:
    store = database(tmp_path / "two")
    store.write_now(lambda tx: resources.put(tx, "Observation", "o1", orjson.dumps(observation("o1", "p1", value="9"))))
    done = load(store, small, "user:x")
    assert (done.others, done.resources) == (["Observation/o1"], 1)
    kept = resources.read(store.read, "Observation", "o1")
    assert kept is not None
    assert b'"9"' in kept.body
    assert list(record.former(store.read, "p2")) == []
    store.close()


# --- the commands


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SUTURE_KEY_FILE", str(tmp_path / "key"))
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "suture.toml").write_text("")
    store = Database.open(export_command.place.kept(tmp_path / "one"))
    for body in (patient("p1"), patient("p2"), observation("o1", "p1")):
        raw = orjson.dumps(body)
        store.write_now(lambda tx, b=body, raw=raw: resources.put(tx, b["resourceType"], b["id"], raw))
    store.close()
    return tmp_path


def test_the_commands_take_a_record_from_here_to_there(place: Path) -> None:
    one, two, file = str(place / "one"), str(place / "two"), place / "p1.zip"
    told = run(export_command.app, "--ehi", "--patient", "p1", "--out", str(file), "--project", one, "--json")
    assert json.loads(told.stdout)[0]["bytes"] == file.stat().st_size
    assert file.stat().st_mode & 0o077 == 0
    assert [path.name for path in place.iterdir() if path.name.endswith(".part")] == []
    with pytest.raises(Invalid, match="a file of this name"):
        run(export_command.app, "--ehi", "--patient", "p1", "--out", str(file), "--project", one)
    with pytest.raises(NotFound):
        run(export_command.app, "--ehi", "--patient", "p9", "--out", str(place / "x.zip"), "--project", one)
    told = run(import_command.app, str(file), "--project", two)
    assert (told.exit_code, told.stdout) == (
        0,
        f"{file}: 2 resources in 2 versions, 0 messages, 0 there already, 0 differ\n",
    )
    told = run(import_command.app, str(file), "--project", two)
    assert told.exit_code == 0
    everybody = place / "all"
    run(export_command.app, "--ehi", "--out", str(everybody), "--project", one)
    assert sorted(path.name for path in everybody.iterdir()) == ["patient-p1.zip", "patient-p2.zip"]
    store = Database.open(export_command.place.kept(place / "one"))
    rows = [entry.row for entry in audit.find(store.read, what="ehi-export")]
    assert sorted((row.id, row.outcome) for row in rows) == [("", 404), ("p1", 200), ("p1", 200), ("p2", 200)]
    store.close()


def test_a_failure_leaves_no_file_behind(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: Archive) -> Any:
        yield b"PK"
        raise OSError("disk full")

    monkeypatch.setattr(Archive, "pieces", broken)
    out = place / "gone.zip"
    with pytest.raises(OSError, match="disk full"):
        run(export_command.app, "--ehi", "--patient", "p1", "--out", str(out), "--project", str(place / "one"))
    assert [path for path in place.iterdir() if "gone" in path.name] == []
