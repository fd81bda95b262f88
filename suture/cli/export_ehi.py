"""`suture export --ehi`: one person's whole record as a ZIP, or one for each patient (docs/ehi-export.md)."""

from __future__ import annotations

import os
from pathlib import Path

from suture.cli import place
from suture.clock import instant
from suture.errors import Invalid, NotFound
from suture.services import patients
from suture.services.ehi.archive import Archive
from suture.store import audit, scan
from suture.store.database import Database


def write(out: Path, patient: str, project: Path, as_json: bool) -> None:
    """Writes the file, or a folder of files when no patient is named."""
    base = str(place.kept(project)["http.base_url"]).rstrip("/")
    with place.opened(project) as database:
        if patient:
            rows = [_one(database, out, patient, base)]
        else:
            rows = _everybody(database, out, base)
    place.show(rows, ("patient", "bytes", "file"), as_json, "There is no patient.")


def _everybody(database: Database, out: Path, base: str) -> list[dict[str, object]]:
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise Invalid("this is not an empty folder", where=str(out), mend="Name a new folder.")
    out.mkdir(parents=True, exist_ok=True, mode=0o700)
    ids = [id for chunk in scan.ids(database.read, "Patient") for id in chunk]
    return [_one(database, out / f"patient-{id}.zip", id, base) for id in ids]


def _one(database: Database, out: Path, patient: str, base: str) -> dict[str, object]:
    """One file, under its name only when it is whole; its audit row comes first."""
    if out.exists():
        raise Invalid("there is a file of this name", where=str(out), mend="Name a new file.")
    patient = patients.find(database.read, patient, "--patient")
    row = audit.AuditRow(
        place.who(), "ehi-export", "Patient", patient, f"Patient/{patient}" if patient else "",
        outcome=200 if patient else 404, detail="command line",
    )  # fmt: skip
    moment = database.write_now(lambda tx: (audit.append(tx, row), tx.now)[1])
    if not patient:
        raise NotFound("no such Patient", where="--patient", mend="Give the id of a Patient, or its record number.")
    reader, part = database.reader(), out.with_name(out.name + ".part")
    try:
        size = _file(part, Archive(reader, patient, base, moment))
        part.rename(out)
    finally:
        reader.close()
        part.unlink(missing_ok=True)
    return {"patient": patient, "bytes": size, "file": str(out), "made": instant(moment)}


def _file(part: Path, archive: Archive) -> int:
    try:
        handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise Invalid(f"the file can't be made ({error.strerror})", where=str(part.parent)) from error
    with os.fdopen(handle, "wb") as file:
        for piece in archive.pieces():
            file.write(piece)
        file.flush()
        os.fsync(file.fileno())
        return file.tell()
