"""Writes a person's whole record as one ZIP, a piece at a time: nothing is kept in memory or on disk (PKWARE APPNOTE 6.3.10)."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable, Generator, Iterator
from importlib.resources import files
from typing import IO, Any, cast

import orjson

from suture import __version__
from suture.clock import instant
from suture.services.audit import event, words
from suture.services.ehi import gather
from suture.services.ehi.gather import Kept
from suture.standards.fhir import json
from suture.store import audit, deliveries_of, grants, messages, whose
from suture.store.audit import Filter
from suture.store.audit_listed import PATIENT
from suture.store.connection import Connection
from suture.store.messages import Entry
from suture.store.queue import deliveries
from suture.store.queue.deliveries import Delivery

FORMAT = "suture-ehi/1"
README = "README.md"
MANIFEST = "manifest.json"
ENDINGS = {"hl7v2": "hl7", "json": "json", "fhir": "json"}
_EPOCH = (1980, 1, 1, 0, 0, 0)  # of every entry, so that the same record makes the same bytes


class _Pipe:
    """What zipfile writes to; it is emptied after each piece."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self._told = 0

    def write(self, content: Any) -> int:
        self.parts.append(bytes(content))
        self._told += len(content)
        return len(content)

    def tell(self) -> int:
        return self._told

    def flush(self) -> None:
        """Nothing is held back."""

    def take(self) -> bytes:
        taken, self.parts = b"".join(self.parts), []
        return taken


class Archive:
    """One archive on its way out. `lets`: whether a resource may go to whoever asks; None when all may.

    Where one may not, originals of messages and what else can't be told apart stay here, too.
    """

    def __init__(
        self, connection: Connection, patient: str, base: str, made: int, lets: Callable[[Kept], bool] | None = None
    ) -> None:
        self._lets = lets
        self._withheld: set[tuple[str, str]] = set()
        self._read = connection
        self._patient = patient
        self._base = base  # where this installation is reached from outside
        self._made = made
        self._pipe = _Pipe()
        self._zip = zipfile.ZipFile(cast(IO[bytes], self._pipe), "w", zipfile.ZIP_DEFLATED, compresslevel=6)
        self._listed: dict[str, dict[str, Any]] = {}
        self._counts: dict[str, int] = {}

    def pieces(self) -> Generator[bytes, None, None]:
        """The archive's bytes, all of one state of the database."""
        self._read.execute("BEGIN")
        try:
            yield self._put(README, description())
            yield from self._resources()
            if not self._withheld:
                yield from self._messages()
            yield from self._trail()
            if not self._withheld:
                yield from self._rest()
            yield self._put(MANIFEST, self._manifest())
            self._zip.close()
            yield self._pipe.take()
        finally:
            self._read.execute("ROLLBACK")

    def _put(self, name: str, content: bytes) -> bytes:
        info = zipfile.ZipInfo(name, _EPOCH)
        info.external_attr = 0o600 << 16
        info.compress_type = zipfile.ZIP_DEFLATED
        self._zip.writestr(info, content)
        self._listed[name] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        return self._pipe.take()

    def _lines(self, name: str, lines: list[bytes]) -> bytes:
        return self._put(name, b"".join(line + b"\n" for line in lines)) if lines else b""

    def _count(self, kind: str) -> None:
        self._counts[kind] = self._counts.get(kind, 0) + 1

    # --- resources

    def _resources(self) -> Iterator[bytes]:
        index: list[bytes] = []
        current: dict[str, list[bytes]] = {}
        for kept in gather.of_patient(self._read, self._patient):
            if self._lets is not None and not self._lets(kept):
                self._withheld.add((kept.type, kept.id))
                continue
            yield from self._versions(kept, index)
            last = kept.versions[-1]
            if last.body and kept.why != "moved":
                self._count("resources")
                current.setdefault(kept.type, []).append(json.write(json.reread(last.body)))
                if len(current[kept.type]) >= 500:
                    yield self._part(kept.type, current.pop(kept.type))
        for type, lines in current.items():
            yield self._part(type, lines)
        yield self._lines("resources/index.ndjson", index)

    def _part(self, type: str, lines: list[bytes]) -> bytes:
        taken = sum(name.startswith(f"current/{type}") for name in self._listed)
        return self._lines(f"current/{type}{f'-{taken + 1}' if taken else ''}.ndjson", lines)

    def _versions(self, kept: Kept, index: list[bytes]) -> Iterator[bytes]:
        for one in kept.versions:
            name = f"resources/{kept.type}/{kept.id}_{one.number}.json" if one.body else ""
            row = {
                "type": kept.type, "id": kept.id, "version": one.number, "updated": one.updated,
                "lastUpdated": instant(one.updated), "method": one.method, "why": kept.why, "file": name,
            }  # fmt: skip
            index.append(orjson.dumps(row))
            self._count("versions")
            if name:
                yield self._put(name, one.body)

    # --- messages and deliveries

    def _messages(self) -> Iterator[bytes]:
        index: list[bytes] = []
        sent: list[bytes] = []
        for entry in gather.messages_of(self._read, self._patient):
            self._count("messages")
            yield from self._message(entry, index)
            for flow, one in deliveries_of.message(self._read, entry.mid):
                self._count("deliveries")
                yield self._delivery(entry, flow, one, sent)
        yield self._lines("messages/index.ndjson", index)
        yield self._lines("deliveries/index.ndjson", sent)

    def _message(self, entry: Entry, index: list[bytes]) -> Iterator[bytes]:
        name = f"messages/{entry.id}.{ENDINGS.get(entry.kind, 'bin')}"
        answer = messages.answer(self._read, entry.mid)
        row = {
            "id": entry.id, "received": entry.mid, "receivedAt": instant(entry.mid), "source": entry.source,
            "kind": entry.kind, "type": entry.type, "state": str(entry.state), "control_id": entry.control_id,
            "patients": messages.patients_of(self._read, entry.mid), "attributes": entry.attributes, "file": name,
            "answer": f"messages/{entry.id}.answer" if answer else "",
        }  # fmt: skip
        index.append(orjson.dumps(row))
        yield self._put(name, messages.original(self._read, entry.mid))
        if answer:
            yield self._put(f"messages/{entry.id}.answer", answer)

    def _delivery(self, entry: Entry, flow: str, one: Delivery, sent: list[bytes]) -> bytes:
        name = f"deliveries/{one.id}.bin"
        tries = [
            {
                "at": instant(a.at),
                "outcome": str(a.outcome),
                "answer": a.answer.decode("utf-8", "replace"),
                "error": a.error,
            }
            for a in deliveries.attempts(self._read, one.did)
        ]
        row = {
            "id": one.id, "message": entry.id, "flow": flow, "step": one.step, "connection": one.connection,
            "kind": one.content_type, "state": str(one.state), "created": instant(one.created), "head": one.attributes,
            "attempts": tries, "file": name,
        }  # fmt: skip
        sent.append(orjson.dumps(row))
        return self._put(name, deliveries.content(self._read, one.did))

    # --- the audit of the record, grants, what came from elsewhere

    def _trail(self) -> Iterator[bytes]:
        wanted = Filter(patients=whose.keys_of(self._read, self._patient), ascending=True, count=500)
        observer, only, part = self._read.shared.envelope.database, PATIENT + self._patient, 0
        while found := audit.search(self._read, wanted):
            part += 1
            lines = []
            for entry in found:
                if self._withheld and self._tells_of_withheld(entry):
                    continue
                made = event.event(entry, observer, only)
                made["agent"][0]["name"] = words.who(self._read, entry.row.who)
                lines.append(json.write(made))
                self._count("auditEvents")
            yield self._lines(f"audit/AuditEvent-{part}.ndjson", lines)
            wanted = Filter(patients=wanted.patients, ascending=True, count=500, after=found[-1].n)

    def _tells_of_withheld(self, entry: audit.Entry) -> bool:
        row = entry.row
        named = any(f"{type}/{id}" in row.detail for type, id in self._withheld)
        return named or (row.type, row.id) in self._withheld

    def _rest(self) -> Iterator[bytes]:
        held = [
            {"client": one.client, "user": one.user, "scopes": list(one.scopes), "created": instant(one.created)}
            for one in grants.of_patient(self._read, self._patient, self._made)
        ]
        if held:
            yield self._put("grants.json", orjson.dumps(held, option=orjson.OPT_INDENT_2))
        for name, body in gather.former_of(self._read, self._patient):
            yield self._put(name if name.startswith("former/") else f"former/{name}", body)

    def _manifest(self) -> bytes:
        told = {
            "format": FORMAT,
            "description": f"{self._base}/ehi-export",
            "patient": self._patient,
            "made": instant(self._made),
            "installation": self._read.shared.envelope.database,
            "software": f"Suture {__version__}",
            "fhirVersion": "4.0.1",
            "counts": self._counts,
            "files": self._listed,
        }
        return orjson.dumps(told, option=orjson.OPT_INDENT_2)


def description() -> bytes:
    """The public description of the format; also served at /ehi-export."""
    return (files("suture.services.ehi") / "format.md").read_bytes()
