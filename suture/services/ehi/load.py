"""Puts a person's whole record into this installation, as the archive holds it: every name, size and digest is checked before a row is written.

The archive comes from outside: names that leave their folder, doubled names and archives that grow past a bound are refused.
"""

from __future__ import annotations

import hashlib
import re
import zipfile
from collections.abc import Callable, Iterable, Iterator, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from suture.errors import Invalid, SutureError
from suture.services.audit.event import TYPE as MADE
from suture.services.ehi.archive import FORMAT, MANIFEST, README
from suture.services.interactions.incoming import is_id
from suture.standards.fhir import index, json, validate
from suture.standards.fhir.definitions import RESOURCE_TYPES
from suture.store import audit, record
from suture.store.connection import Tx
from suture.store.database import Database
from suture.store.record import Version

LARGEST = 1 << 30  # of one file, unpacked
MOST_BYTES = 64 << 30  # of all
MOST_FILES = 5_000_000
BATCH = 500  # resources or messages a transaction
_NAME = re.compile(r"(?:[A-Za-z0-9][A-Za-z0-9_\-]*/){0,5}[A-Za-z0-9._\-]{1,140}")
METHODS = ("POST", "PUT", "DELETE", "PATCH")


@dataclass(slots=True)
class Loaded:
    """What became of an archive."""

    patient: str = ""
    resources: int = 0
    versions: int = 0
    messages: int = 0
    same: int = 0  # there already, exactly so
    others: list[str] = field(default_factory=list)  # there already, and different: left as they are
    kept: int = 0  # files with no place of their own here


def load(database: Database, path: Path, who: str) -> Loaded:
    """Raises Invalid, with nothing written, for an archive that is damaged, not ours, or not safe."""
    try:
        with zipfile.ZipFile(path) as archive:
            manifest = _checked(archive)
            return _Loading(database, archive, manifest, who).run()
    except (OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        raise _refused(f"the archive can't be read ({type(error).__name__})") from error


def _refused(text: str, where: str = "") -> Invalid:
    return Invalid(
        text, where=where or "archive", mend="Make it again with: suture export --patient ID --ehi --out FILE"
    )


def _checked(archive: zipfile.ZipFile) -> dict[str, Any]:
    """The manifest, after every file was found to be what it says."""
    listed = archive.infolist()
    names = [info.filename for info in listed]
    if len(names) > MOST_FILES or len(set(names)) != len(names):
        raise _refused("too many files, or one name twice")
    for info in listed:
        if not _NAME.fullmatch(info.filename) or {"..", "."} & set(info.filename.split("/")):
            raise _refused("a name that is not one of an archive of ours")
        if info.file_size > LARGEST:
            raise _refused("a file is too large", info.filename)
    if sum(info.file_size for info in listed) > MOST_BYTES:
        raise _refused("the archive is too large")
    manifest = _manifest(archive)
    told = manifest["files"]
    if set(told) != set(names) - {MANIFEST}:
        raise _refused("the files are not those of the manifest", MANIFEST)
    for name, said in told.items():
        if _digest(archive, name) != (said.get("sha256"), said.get("bytes")):
            raise _refused("a file is not what the manifest says", name)
    return manifest


def _manifest(archive: zipfile.ZipFile) -> dict[str, Any]:
    try:
        found = orjson.loads(_bytes(archive, MANIFEST))
    except (KeyError, ValueError) as error:
        raise _refused("there is no manifest that can be read", MANIFEST) from error
    sound = (
        isinstance(found, dict)
        and found.get("format") == FORMAT
        and isinstance(found.get("patient"), str)
        and is_id(found["patient"])
        and isinstance(found.get("files"), dict)
        and all(isinstance(said, dict) for said in found["files"].values())
    )
    if not sound:
        raise _refused(f"this is no {FORMAT}", MANIFEST)
    return dict(found)


def _bytes(archive: zipfile.ZipFile, name: str) -> bytes:
    with archive.open(name) as file:
        content = file.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise _refused("a file is larger than it says", name)
    return content


def _digest(archive: zipfile.ZipFile, name: str) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    with archive.open(name) as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
            size += len(chunk)
            if size > LARGEST:
                raise _refused("a file is larger than it says", name)
    return digest.hexdigest(), size


class _Loading:
    """One archive on its way in."""

    def __init__(self, database: Database, archive: zipfile.ZipFile, manifest: dict[str, Any], who: str) -> None:
        self._database = database
        self._archive = archive
        self._names = frozenset(manifest["files"])
        self._moved: frozenset[str] = frozenset()
        self._who = who
        self._patient = str(manifest["patient"])
        self._origin = re.sub(r"[^A-Za-z0-9\-]", "", str(manifest.get("installation")))[:40] or "elsewhere"
        self.done = Loaded(self._patient)

    def run(self) -> Loaded:
        prepared = list(self._resources())  # all is read and judged before anything is written
        # what is deleted stands in no index: the trail knows whose it was
        gone = [f"DELETE {type}/{id}" for type, id, lines in prepared if lines[-1]["method"] == "DELETE"]
        row = audit.AuditRow(
            self._who,
            "import",
            "Patient",
            self._patient,
            f"Patient/{self._patient}",
            detail=" · ".join([FORMAT, *gone]),
        )
        told = list(self._lines("messages/index.ndjson"))
        for one in told:
            _require_message(one, self._names)
        self._database.write_now(lambda tx: audit.append(tx, row))
        self._write(prepared, self._put)
        self._write(told, self._message)
        self._keep()
        return self.done

    def _write(self, rows: list[Any], put: Callable[[Tx, Any], None]) -> None:
        for some in _batches(rows):

            def unit(tx: Tx, some: list[Any] = some) -> None:
                for one in some:
                    put(tx, one)

            self._database.write_now(unit)

    def _lines(self, name: str) -> Iterator[dict[str, Any]]:
        if name not in self._names:
            return
        for number, line in enumerate(_bytes(self._archive, name).split(b"\n"), 1):
            if line:
                try:
                    found = orjson.loads(line)
                except ValueError:
                    raise _refused("a line can't be read", f"{name}:{number}") from None
                if not isinstance(found, dict):
                    raise _refused("a line is no object", f"{name}:{number}")
                yield found

    # --- resources

    def _resources(self) -> Iterator[tuple[str, str, list[dict[str, Any]]]]:
        """(type, id, lines of the index) of each resource, its versions in order, after its bodies were checked."""
        found: dict[tuple[str, str], list[dict[str, Any]]] = {}
        for line in self._lines("resources/index.ndjson"):
            _require_version(line, self._names)
            if line["why"] == "moved":
                self._moved |= {line["file"]}
            else:
                found.setdefault((line["type"], line["id"]), []).append(line)
        for (type, id), lines in found.items():
            numbers = [line["version"] for line in lines]
            if numbers != sorted(set(numbers)):
                raise _refused("versions that are not in order", f"{type}/{id}")
            for line in lines:
                self._sound(type, id, line)
            yield type, id, lines

    def _sound(self, type: str, id: str, line: dict[str, Any]) -> None:
        if not line["file"]:
            return
        try:
            resource = json.read(_bytes(self._archive, line["file"]))
            validate.require(resource)
        except SutureError as error:
            raise _refused(f"a resource is not sound: {error.text}", line["file"]) from error
        meta = resource.get("meta") or {}
        if (resource.get("resourceType"), resource.get("id"), meta.get("versionId")) != (
            type,
            id,
            str(line["version"]),
        ):
            raise _refused("a resource is not the one its index names", line["file"])

    def _put(self, tx: Tx, one: tuple[str, str, list[dict[str, Any]]]) -> None:
        type, id, lines = one
        versions = [self._version(line) for line in lines]
        body = versions[-1].body
        rows = index.extract(json.reread(body), tx.shared.base) if body else None
        what = record.put(tx, type, id, versions, rows)
        if what == record.CREATED:
            self.done.resources += 1
            self.done.versions += len(versions)
        elif what == record.SAME:
            self.done.same += 1
        elif lines[0]["why"] == "own":  # what is only referred to may have gone on here
            self.done.others.append(f"{type}/{id}")

    def _version(self, line: dict[str, Any]) -> Version:
        body = _bytes(self._archive, line["file"]) if line["file"] else b""
        return Version(line["version"], line["updated"], line["method"], body)

    # --- messages, and what has no other place

    def _message(self, tx: Tx, told: dict[str, Any]) -> None:
        answer = _bytes(self._archive, told["answer"]) if told.get("answer") else b""
        if record.put_message(tx, told, _bytes(self._archive, told["file"]), answer) == record.CREATED:
            self.done.messages += 1
        else:
            self.done.same += 1

    def _keep(self) -> None:
        """Deliveries, the audit, grants, what was another's later: kept for the next export."""
        elsewhere = ("resources/", "messages/", "current/", README)
        for name in sorted(self._names):
            if name.startswith(elsewhere) and name not in self._moved:
                continue
            kept = name if name.startswith("former/") else f"former/{self._origin}/{name}"
            content = _bytes(self._archive, name)
            self._database.write_now(lambda tx, n=kept, c=content: record.keep_former(tx, self._patient, n, c))  # type: ignore[misc]
            self.done.kept += 1


def _batches(rows: list[Any]) -> Iterable[list[Any]]:
    return (rows[at : at + BATCH] for at in range(0, len(rows), BATCH))


def _require_version(line: dict[str, Any], names: Set[Any]) -> None:
    sound = (
        line.get("type") in RESOURCE_TYPES
        and line.get("type") != MADE
        and isinstance(line.get("id"), str)
        and is_id(line["id"])
        and type(line.get("version")) is int
        and 0 < line["version"] < 1 << 24
        and type(line.get("updated")) is int
        and 0 < line["updated"] < 1 << 60
        and line.get("method") in METHODS
        and line.get("why") in ("own", "moved", "referred")
        and (line.get("file") == "" if line.get("method") == "DELETE" else line.get("file") in names)
    )
    if not sound:
        raise _refused("a line of the index is not sound", "resources/index.ndjson")


_STATES = ("received", "filtered", "unrouted", "failed", "done")


def _require_message(line: dict[str, Any], names: Set[Any]) -> None:
    texts = all(isinstance(line.get(name), str) for name in ("id", "source", "kind", "type", "control_id"))
    patients = line.get("patients")
    sound = (
        texts
        and is_id(line["id"])
        and type(line.get("received")) is int
        and 0 < line["received"] < 1 << 60
        and line.get("state") in _STATES
        and isinstance(patients, list)
        and all(isinstance(one, str) and len(one) <= 200 for one in patients)
        and isinstance(line.get("attributes"), dict)
        and line.get("file") in names
        and (not line.get("answer") or line["answer"] in names)
    )
    if not sound:
        raise _refused("a line of the index is not sound", "messages/index.ndjson")
