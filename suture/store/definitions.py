"""The texts a flow's version is made of, so that a run can be looked at and replayed with exactly what it began with."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from suture.errors import NotFound
from suture.store.connection import Connection, Tx


@dataclass(frozen=True, slots=True)
class Definition:
    """One version of a flow: its own text, where it stood, and the texts of maps and tables it read."""

    version: str
    flow: str
    file: str
    text: str
    parts: Mapping[str, str]


def keep(tx: Tx, definition: Definition) -> None:
    """Keeps a version; one that is there already is left alone."""
    body = json.dumps({"file": definition.file, "text": definition.text, "parts": dict(definition.parts)}).encode()
    zd, packed = tx.bodies.pack("content", body)
    tx.execute(
        "INSERT OR IGNORE INTO definition VALUES (?, ?, ?, ?, ?)",
        (definition.version, definition.flow, tx.now, zd, packed),
    )


def get(connection: Connection, version: str) -> Definition:
    """The texts of a version; raises NotFound."""
    row = connection.one("SELECT flow, zd, body FROM definition WHERE version = ?", (version,))
    if row is None:
        raise NotFound("this version of the flow is not kept", where=f"version {version}", mend="Use --version latest.")
    body = json.loads(connection.bodies.unpack(row[1], row[2]))
    return Definition(version, row[0], body["file"], body["text"], body["parts"])


def latest(connection: Connection, flow: str) -> str:
    """The version of a flow that was kept last; '' when there is none."""
    row = connection.one("SELECT version FROM definition WHERE flow = ? ORDER BY made DESC LIMIT 1", (flow,))
    return row[0] if row else ""
