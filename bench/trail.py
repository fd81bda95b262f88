"""What the audit rows of an access cost, beside the same with their patients listed at once: `python -m bench.trail`.

One database with a trail of some length; the ways take turns, so that a busy machine is busy for both.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from random import Random
from statistics import median
from uuid import UUID

from bench.store import opened
from suture.store import audit, audit_listed
from suture.store.audit import AuditRow
from suture.store.connection import Tx
from suture.store.database import Database

ROUNDS = 200
CASES = (("the rows of 32 reads", 32, 1), ("the row of a page that shows 50 patients", 1, 50))


def rows_of(chance: Random, patients: list[str], count: int, each: int) -> list[AuditRow]:
    """`count` rows, each about so many patients."""
    made = []
    for _ in range(count):
        whose = tuple(chance.sample(patients, each))
        one = AuditRow("client:bench", "read", "Observation", patient=whose[0] if each == 1 else "")
        made.append(one if each == 1 else one._replace(patients=whose))
    return made


def spent(database: Database, rows: list[AuditRow], listed: bool) -> float:
    """CPU seconds of one commit of these rows."""

    def unit(tx: Tx) -> None:
        audit.append_all(tx, rows)
        if listed:
            audit_listed.go_on(tx, len(rows))

    began = time.process_time()
    database.write_now(unit)
    return time.process_time() - began


def all_listed(database: Database) -> None:
    while database.write_now(lambda tx: audit_listed.go_on(tx, audit_listed.BEHIND)):
        pass


def sought(database: Database, patients: list[str]) -> float:
    """Milliseconds of CPU of a page of the rows about one patient."""
    took = []
    for patient in patients[:ROUNDS]:
        began = time.process_time()
        audit.find(database.read, patient=patient)
        took.append(time.process_time() - began)
    return median(took) * 1e3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=60_000)
    parser.add_argument("--patients", type=int, default=3_000)
    asked = parser.parse_args()
    chance = Random(1)
    patients = [f"Patient/{UUID(int=chance.getrandbits(128))}" for _ in range(asked.patients)]
    with tempfile.TemporaryDirectory() as folder:
        database = opened(Path(folder))
        database.upkeep.close()  # lists nothing meanwhile
        for _ in range(0, asked.rows, 1_000):
            spent(database, rows_of(chance, patients, 1_000, 1), False)
        for name, count, each in CASES:
            later, at_once = [], []
            for _ in range(ROUNDS):
                all_listed(database)
                at_once.append(spent(database, rows_of(chance, patients, count, each), True))
                later.append(spent(database, rows_of(chance, patients, count, each), False))
            print(
                f"{name}: {median(later) * 1e3:.2f} ms of CPU, {median(at_once) * 1e3:.2f} with their patients listed at once"
            )
        all_listed(database)
        print(f"who saw one patient's record: {sought(database, patients):.2f} ms with every row listed")
        for _ in range(0, audit_listed.BEHIND, 1_000):
            spent(database, rows_of(chance, patients, 1_000, 1), False)
        print(f"the same with {audit_listed.BEHIND:,} rows to look through: {sought(database, patients):.2f} ms")


if __name__ == "__main__":
    main()
