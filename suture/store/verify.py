"""Verifies a database: every page's seal and structure, every body, every index row, the whole audit trail.

https://sqlite.org/pragma.html#pragma_integrity_check
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import orjson

from suture.clock import instant
from suture.errors import SutureError, Unavailable
from suture.standards.fhir import definitions
from suture.standards.fhir.index import Rows
from suture.store import anchor, audit, index, names, parameters, parameters_build
from suture.store.connection import Connection, Tx
from suture.store.database import Database
from suture.store.ids import id_of
from suture.store.resources import VERSION_BITS, rows_of


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: `good`, and what there is to say."""

    what: str  # pages | bodies | index | audit
    good: bool
    text: str


Progress = Callable[[str, int], None]


def verify(
    database: Database, progress: Progress = lambda what, done: None, copy: Path | None = None
) -> Iterator[Finding]:
    """Looks at everything, from the pages up; each finding comes as soon as it is known. `copy`: a file of audit.file."""
    reader = database.reader()
    try:
        progress("pages", 0)
        yield _pages(reader)
        yield _guarded("bodies", lambda: _bodies(reader, progress))
        yield _guarded("index", lambda: _index(reader, progress))
        progress("audit", 0)
        yield _guarded("audit", lambda: _audit(database, reader))
        if copy is not None:
            yield _guarded("copy", lambda: _copy(reader, copy))
    finally:
        reader.close()


def _guarded(what: str, look: Callable[[], Finding]) -> Finding:
    try:
        return look()
    except SutureError as error:
        return Finding(what, False, error.text)


def _pages(reader: Connection) -> Finding:
    return Finding("pages", *reader.pages())


def _bodies(reader: Connection, progress: Progress) -> Finding:
    """Every body of every table can be unpacked."""
    bad: list[tuple[str, int]] = []
    seen = 0
    for table, key, number, body in (
        ("res", "rid", "zd", "body"),
        ("hist", "hid", "zd", "body"),
        ("message", "mid", "zd", "body"),
        ("step", "sid", "zd", "output"),
        ("delivery", "did", "zd", "content"),
    ):
        rows = reader.stream(f"SELECT {key}, {number}, {body} FROM {table} WHERE {body} IS NOT NULL")
        for at, zd, packed in rows:
            seen += 1
            if seen % 10_000 == 0:
                progress("bodies", seen)
            try:
                reader.bodies.unpack(zd, packed)
            except SutureError:
                bad.append((table, at))
    if bad:
        named = [_place(reader, table, at) for table, at in bad[:10]]
        return Finding("bodies", False, f"{len(bad)} of {seen} cannot be read: {', '.join(named)}")
    return Finding("bodies", True, f"{seen} bodies")


def _place(reader: Connection, table: str, at: int) -> str:
    """By which address a resource or an old version of it is known."""
    if table not in ("res", "hist"):
        return f"{table} {at}"
    rid = at if table == "res" else at >> VERSION_BITS
    row = reader.one("SELECT rt, fid FROM res WHERE rid = ?", (rid,))
    version = f"/_history/{at & (1 << VERSION_BITS) - 1}" if table == "hist" else ""
    return f"{names.text(reader, row[0])}/{id_of(row[1])}{version}" if row else f"{table} {at}"


def _index(reader: Connection, progress: Progress) -> Finding:
    """Each resource's index rows are extracted anew and looked for in the tables, all in one snapshot."""
    with reader.snapshot():
        look = reader.looking()
        try:
            parameters.adopt(look)
            building = parameters_build.waiting(look)
            if building:  # rows of what is on its way are not counted, those of all others must be there
                definitions.adopt(parameters.built(look))
            bad, damaged, seen, expected = _lost_rows(look, progress)
            kept = sum((look.one(f"SELECT count(*) FROM {table}") or (0,))[0] for table in index.SQL)
        finally:
            parameters.adopt(reader)
    if bad:
        return Finding("index", False, f"{len(bad)} of {seen} resources lack index rows: {', '.join(bad[:10])}")
    if damaged:
        return Finding("index", False, f"of {damaged} of {seen} resources nobody knows, for their bodies are damaged")
    if kept != expected and not building:
        return Finding("index", False, f"{kept - expected} index rows belong to no resource")
    return Finding("index", True, f"{seen} resources, {kept} index rows")


def _lost_rows(look: Tx, progress: Progress) -> tuple[list[str], int, int, int]:
    bad: list[str] = []
    damaged = seen = expected = 0
    for rid, fid, zd, body in look.stream("SELECT rid, fid, zd, body FROM res WHERE op <> 3"):
        seen += 1
        if seen % 1_000 == 0:
            progress("index", seen)
        whole = look.bodies.whole(zd, body)
        damaged += whole is None
        rows = rows_of(look, whole) if whole else None
        if rows is not None:
            tables, number = _lost(look, rid, rows)
            expected += number
            bad += [f"{rows.type}/{id_of(fid)} ({tables[0]})"] if tables else []
    return bad, damaged, seen, expected


def _lost(look: Tx, rid: int, rows: Rows) -> tuple[list[str], int]:
    try:
        return index.lost(look, rid, rows)
    except Unavailable:  # a code or reference that was never interned
        return ["codes"], 0


def _audit(database: Database, reader: Connection) -> Finding:
    keeper = database.upkeep.keeper
    seen = anchor.read(keeper.file, database.shared.envelope)
    if seen is None and anchor.known(reader):
        said = "the anchor is gone, so a cut-off end or an older copy would not be seen"
        return Finding("audit", False, f"{said}: bring {keeper.file} back, or look into it and say --accept")
    broken = audit.verify(reader, seen)
    if broken:
        return Finding("audit", False, f"{broken.kind} at row {broken.n}: {broken.text}")
    last = audit.find(reader, count=1)
    until = f" up to {instant(last[0].at)}" if last else ""
    said = f"anchored at row {seen.n}" if seen else "no anchor was found, so a cut-off end would not be seen"
    return Finding("audit", True, f"{last[0].n if last else 0} rows{until}, {said}")


def _copy(reader: Connection, file: Path) -> Finding:
    """Each line of a copy against the row with its number; the first that differs, or is not there, is named."""
    seen, last = 0, audit.head(reader).n
    with file.open("rb") as lines:
        for line in lines:
            try:
                said = orjson.loads(line)
                n, hash = int(said["n"]), str(said["hash"])
            except (ValueError, KeyError, TypeError):
                continue  # a line that was cut off; its row was sent again
            kept = audit.hashes(reader, n, n).get(n)
            if n > last:
                return Finding("copy", False, f"row {n} is in the copy and not in the trail, which ends at {last}")
            if kept is None or kept.hex() != hash:
                return Finding("copy", False, f"row {n} of the trail is not the one that was copied")
            seen += 1
    return Finding("copy", True, f"{seen} lines say what the trail says")
