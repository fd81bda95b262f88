"""Compares a Patient that was written with everybody it may be, and says what that changes in the queue.

Runs in a thread with a reading connection of its own; nothing is shown to anybody here.
https://hl7.org/fhir/R4/patient.html#maintenance
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Any

import suture.standards.fhir.patient_links as linking
from suture.access.policy import SYSTEM
from suture.services.interactions.chart import Chart
from suture.services.operations.match_find import TYPE, Candidate, candidates, grade, weighed
from suture.services.operations.match_weights import Traits
from suture.standards.fhir import json
from suture.store import matches, resources, search_lookup, sound
from suture.store.connection import Connection, Tx
from suture.store.matches import Found, Pair
from suture.store.resources import Row

MOST = 20  # pairs that one version of a Patient may bring
QUEUED = ("certain", "probable")  # grades; what is only possible is asked of nobody


@dataclass(slots=True)
class News:
    """What one Patient changes: pairs to keep, each with the state it was seen in and its new one; pairs that are settled."""

    kept: list[tuple[Found, str, str]] = field(default_factory=list)
    settled: list[tuple[Pair, str]] = field(default_factory=list)
    damaged: set[int] = field(default_factory=set)  # Patients that can't be read, and are left out


def seek(chart: Chart, connection: Connection, rid: int) -> News:
    """What the newest version of a Patient changes."""
    row, news = resources.read_rid(connection, rid), News()
    there = {pair.other(rid): pair for pair in matches.of(connection, rid)}
    if row is None or row.deleted:
        news.settled += [(pair, matches.GONE) for pair in there.values() if pair.state != matches.GONE]
        return news
    person = json.reread(row.body)
    found, whole = candidates(chart, SYSTEM, person, connection, news.damaged)
    others = [c for c in found if c.row.rid != rid]
    mine = Traits(person)
    tell = partial(_tell, news, connection, row, mine)
    wanted = [c for c in others if not (mine.replaced or c.replaced) and c.like.grade in QUEUED][:MOST]
    for one in wanted:
        tell(one, grade(one, others, whole), there.pop(one.row.rid, None))
    for other, pair in _left(connection, mine, there, news.damaged):
        alike = other is not None and not (mine.replaced or other.replaced) and other.like.grade in QUEUED
        if other is not None and (alike or _tied(connection, row, other.row)):
            tell(other, "probable", pair)
        elif pair.state in (matches.OPEN, matches.LINKED):
            news.settled.append((pair, matches.GONE))
    for row_ in _named(connection, person, news.damaged):
        if matches.between(connection, rid, row_.rid) is None and row_.rid != rid:
            tell(weighed(mine, row_), "", None)
    return news


def _left(
    connection: Connection, mine: Traits, there: dict[int, Pair], damaged: set[int]
) -> Iterator[tuple[Candidate | None, Pair]]:
    """Pairs that no search found again, with the other one as it is today; a pair with one that can't be read stays."""
    for rid, pair in there.items():
        row = sound.read_rid(connection, rid, damaged)
        if rid not in damaged:
            yield (None if row is None or row.deleted else weighed(mine, row)), pair


def _named(connection: Connection, person: dict[str, Any], damaged: set[int]) -> Iterator[Row]:
    """Whom it is linked with, by whoever wrote that."""
    ids = islice(dict.fromkeys(linking.targets(person, connection.shared.base)), MOST)
    for rid in [rid for id in ids for rid in search_lookup.rows(connection, (TYPE,), id)]:
        row = sound.read_rid(connection, rid, damaged)
        if row is not None and not row.deleted:
            yield row


def _tied(connection: Connection, one: Row, other: Row) -> bool:
    return linking.linked(json.reread(one.body), json.reread(other.body), connection.shared.base)


def _tell(
    news: News, connection: Connection, row: Row, mine: Traits, one: Candidate, code: str, pair: Pair | None
) -> None:
    """A pair that is alike, or linked: new, changed, as it was, or decided elsewhere."""
    found = _found(row, mine, one, code or one.like.grade)
    if _tied(connection, row, one.row):
        if pair is None:
            news.kept.append((found, "", matches.LINKED))
        elif pair.state != matches.LINKED:
            news.settled.append((pair, matches.LINKED))
    elif pair is None:
        news.kept.append((found, "", matches.OPEN))
    elif pair.state == matches.APART and set(pair.looks) == set(found.looks):
        return  # a person said so, and nothing that is compared has changed
    elif (pair.state, pair.looks, pair.grade) != (matches.OPEN, found.looks, found.grade):
        news.kept.append((found, pair.state, matches.OPEN))


def _found(row: Row, mine: Traits, one: Candidate, code: str) -> Found:
    looks = {row.rid: look(mine), one.row.rid: look(one.traits)}
    low, high = sorted(looks)
    return Found(low, high, code, round(one.like.bits * 100), one.like.levels, (looks[low], looks[high]))


def look(traits: Traits) -> str:
    """A digest of all that is compared: while it stays, a decision stays."""
    compared = (
        traits.identifiers, traits.family, traits.given, {traits.day}, {traits.gender},
        traits.telecom("phone"), traits.telecom("email"), traits.postal, traits.lines,
    )  # fmt: skip
    return hashlib.sha256(json.write([sorted(values) for values in compared])).hexdigest()[:32]


def keep(tx: Tx, news: News) -> list[int]:
    """Writes it, unless somebody decided meanwhile; returns the numbers of pairs that are certain and open."""
    certain = []
    for found, seen, state in news.kept:
        there = matches.between(tx, found.low, found.high)
        if (there.state if there else "") == seen:
            n = matches.keep(tx, found, state)
            certain += [n] if found.grade == "certain" and state == matches.OPEN else []
    for pair, state in news.settled:
        now = matches.get(tx, pair.n)
        if now is not None and now.state == pair.state:
            matches.decide(tx, pair.n, state, "")
    return certain
