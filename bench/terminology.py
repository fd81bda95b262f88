"""Terminology by the clock: `python -m bench.terminology` checks codes, expands, and filters 350,000 made-up concepts."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from suture.services.terminology.terminology import Terminology
from suture.settings import read as read_settings
from suture.standards.terminology.code_system import CodeSystem
from suture.standards.terminology.compose import canonical, members
from suture.standards.terminology.expansion import Wanted, expansion
from suture.standards.terminology.membership import member_of
from suture.standards.terminology.validation import Coding, in_set
from suture.store.database import Database

LARGE = 350_000
URL = "http://example.org/large"
ACT = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
ACTS = "http://terminology.hl7.org/ValueSet/v3-ActCode"


def timed(name: str, work: Callable[[], Any], times: int) -> None:
    """The mean of many calls, after one that warms."""
    work()
    began = time.perf_counter()
    for _ in range(times):
        work()
    micros = (time.perf_counter() - began) / times * 1e6
    print(f"{name:58} {micros:12,.1f} µs")


def large() -> CodeSystem:
    """A tree in which each concept has ten children."""
    displays = {str(n): f"Finding number {n} of region {n % 977}" for n in range(LARGE)}
    parents = {str(n): (str((n - 1) // 10),) for n in range(1, LARGE)}
    return CodeSystem({"url": URL, "content": "complete", "caseSensitive": True}, displays, parents, {})


class One:
    """A library of one code system."""

    def __init__(self, system: CodeSystem) -> None:
        self._system = system

    def system(self, url: str, version: str = "") -> CodeSystem | None:
        return self._system if url == URL else None

    def value_set(self, url: str, version: str = "") -> None:
        return None


def below(code: str) -> dict[str, Any]:
    rule = {"property": "concept", "op": "is-a", "value": code}
    return {"compose": {"include": [{"system": URL, "filter": [rule]}]}}


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        settings = read_settings(Path(folder), {}).with_values(key_file=str(Path(folder) / "keys" / "k"))
        database = Database.open(settings)
        terminology = Terminology(database)
        connection, coding = database.read, Coding(ACT, "IMP")
        shelf = terminology.shelf(connection)
        acts = shelf.value_set(*canonical(ACTS))
        assert acts is not None
        timed("member of a value set, R4's own", lambda: terminology.member_of(connection, ACT, "IMP", ACTS), 5_000)
        timed(
            "validate-code with display and look for changes",
            lambda: in_set(terminology.shelf(connection), acts, coding),
            5_000,
        )
        timed("expand 1,000 codes (v3-ActCode)", lambda: expansion(members(shelf, acts), Wanted(nested=False)), 50)
        timed("the same, nested", lambda: expansion(members(shelf, acts), Wanted()), 50)
        database.close()
    library = One(large())
    timed(
        "350,000 concepts: is one of 38,889 below a code", lambda: member_of(library, below("3"), URL, "34567"), 5_000
    )
    timed(
        "350,000 concepts: the first 20 below a code",
        lambda: expansion(members(library, below("3")), Wanted(count=20)),
        5,
    )
    everything = {"compose": {"include": [{"system": URL}]}}
    found = members(library, everything)
    timed("350,000 concepts: filter by words", lambda: expansion(found, Wanted(filter="region 97", count=20)), 3)
    return 0


if __name__ == "__main__":
    sys.exit(main())
