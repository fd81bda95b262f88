"""Finds the numbers that a query's words have in the store: parameters, codes, units, resources."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from functools import lru_cache
from typing import Any

from suture.errors import TooCostly
from suture.standards.fhir import index
from suture.standards.fhir.definitions import Own, own_of
from suture.standards.fhir.index_atoms import OTHER, Plan, plan_of
from suture.standards.fhir.search_compare import in_unit
from suture.standards.fhir.search_query import Number, Token
from suture.store import codes, names
from suture.store.connection import Connection, Tx
from suture.store.ids import id_of, key_of
from suture.store.index import PAIR, URL_SYSTEM, names_of, unit_key
from suture.store.rids import AT_ONCE, REMEMBERED

MOST_URLS = 10_000  # that one :below may stand for
AFTER_PAIR = chr(ord(PAIR) + 1)


def parameters(
    connection: Connection, types: Iterable[str], code: str, rows: str, mark: str = "", target: str = ""
) -> tuple[int, ...]:
    """Numbers of the atoms of a parameter that can have rows in a list of `Rows`; `target`: that can lead to the type."""
    found = (
        names.find(connection, name + mark) for type in types for name in _names(type, own_of(type), code, rows, target)
    )
    return tuple(n for n in dict.fromkeys(found) if n)


@lru_cache(16384)
def _names(type: str, site: Own, code: str, rows: str, target: str) -> tuple[str, ...]:
    made = plan_of(type, site)
    return tuple(
        names_of(type, site)[number]
        for number in made.parameters.get(code, ())
        if rows in index.lists_of(type, made.atoms[number]) and (not target or _leads(made, number, target))
    )


def _leads(made: Plan, number: int, target: str) -> bool:
    """References that are shared out by target type: does this share get references to `target`?"""
    atom = made.atoms[number]
    if not atom.part:
        return True
    shares = {a.part for a in made.atoms if (a.path, a.kind) == (atom.path, atom.kind)}
    return atom.part == (target if target in shares else OTHER)


def tokens(connection: Connection, wanted: Iterable[Token]) -> tuple[int, ...]:
    """Numbers of codes, whatever their case."""
    return tuple(
        dict.fromkeys(tid for t in wanted if t.code for tid in codes.find(connection, t.system, t.code.lower()))
    )


def systems(connection: Connection, wanted: Iterable[str]) -> tuple[int, ...]:
    """Numbers of identifier systems."""
    return urls(connection, wanted)


def urls(connection: Connection, wanted: Iterable[str]) -> tuple[int, ...]:
    return tuple(tid for url in wanted for tid in codes.find(connection, URL_SYSTEM, url))


def urls_below(connection: Connection, start: str, where: str) -> tuple[int, ...]:
    """Numbers of URLs that begin so."""
    rows = connection.all(
        "SELECT tid FROM tok WHERE sys = ? AND code >= ? AND code < ? LIMIT ?",
        (URL_SYSTEM, start, start + "\U0010ffff", MOST_URLS + 1),
    )
    if len(rows) > MOST_URLS:
        raise TooCostly(f"more than {MOST_URLS} URLs begin like that", where=where, mend="Write more of the URL.")
    return tuple(tid for (tid,) in rows)


def pairs(connection: Connection, first: Sequence[int], second: Sequence[int]) -> tuple[int, ...]:
    """Numbers of composites of two codes."""
    wanted = (f"{one}{PAIR}{other}" for one in first for other in second)
    return tuple(tid for key in wanted for tid in codes.find(connection, PAIR, key))


def units(connection: Connection, number: Number, before: Sequence[int] = ()) -> dict[Number, list[int]]:
    """What is asked, in each unit that may answer it, with the numbers of those units in the store.

    `before`: of composites with one of these codes.
    """
    found: dict[Number, list[int]] = {}
    for head in [str(tid) for tid in before] or [""]:
        start = head + PAIR + (f"{number.system}{PAIR}" if number.system else "")
        rows = connection.all(
            "SELECT tid, code FROM tok WHERE sys = ? AND code >= ? AND code < ?",
            (PAIR, start, start[:-1] + AFTER_PAIR),
        )
        for tid, text in rows:
            parts = text[len(head) :].split(PAIR, 3)
            asked = in_unit(number, *parts[1:]) if len(parts) == 4 else None  # fewer: a composite of two codes
            if asked is not None:
                found.setdefault(asked, []).append(tid)
    return found


def plain_number(connection: Connection) -> tuple[int, ...]:
    """The number of "no unit"."""
    return tuple(codes.find(connection, PAIR, unit_key("", "", "")))


def rows(connection: Connection, types: Iterable[str], id: str) -> tuple[int, ...]:
    """Row numbers of the resources that have this id; also of those that are only referred to yet."""
    return tuple(places(connection, [(type, id) for type in types]).values())


def places(connection: Connection, wanted: Collection[tuple[str, str]]) -> dict[tuple[str, str], int]:
    """The row number of each (type, id) that has one, there or only referred to.

    What is not remembered is asked by its id alone, so that one question is enough for all types.
    """
    shared = connection.shared
    rids = shared.rids if isinstance(connection, Tx) else shared.settled  # a number may yet be taken back
    numbers = {type: names.find(connection, type) for type, _ in wanted}
    found = {(type, id): rids.get((numbers[type], key_of(id))) for type, id in wanted if numbers[type]}
    asked = dict.fromkeys(key_of(id) for (_, id), rid in found.items() if rid is None)
    for rt, key, rid in _with_ids(connection, list(asked)) if asked else ():
        place = (names.text(connection, rt), id_of(key))
        if place in found:
            found[place] = rid
            connection.remember(rids, (rt, key_of(place[1])), rid, REMEMBERED)
    return {place: rid for place, rid in found.items() if rid is not None}


def _with_ids(connection: Connection, keys: list[bytes | str]) -> list[tuple[Any, ...]]:
    found = []
    for at in range(0, len(keys), AT_ONCE):
        part = keys[at : at + AT_ONCE]
        marks = ",".join("?" * len(part))
        sql = f"SELECT rt, fid, rid FROM res WHERE fid IN ({marks}) UNION ALL SELECT rt, fid, rid FROM dangling WHERE fid IN ({marks})"
        found += connection.all(sql, (*part, *part))
    return found
