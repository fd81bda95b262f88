"""What the audit trail costs: finding whose records a page shows, one row, a row of fifty patients, a walk of the chain.

Run: python -m bench.audit. Peer: a plain INSERT of the same columns without chain and names (`bare row`).
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import orjson

from suture import settings as settings_of
from suture.store import audit, resources, whose
from suture.store.audit import AuditRow
from suture.store.connection import Tx
from suture.store.database import Database

ROWS, PATIENTS = 4000, 50


def cpu(name: str, times: int, work: Callable[[], object]) -> float:
    """Microseconds of CPU each."""
    began = time.process_time()
    work()
    took = (time.process_time() - began) / times * 1e6
    print(f"{name:<58} {took:>9.1f} µs")
    return took


def fill(store: Database) -> tuple[list[resources.Row], list[resources.Row]]:
    """A page of one patient's observations, and a page of fifty patients'."""

    def unit(tx: Tx) -> None:
        for n in range(PATIENTS):
            id = f"0193f0aa-0000-7000-8000-{n:012x}"
            tx_put(tx, {"resourceType": "Patient", "id": id})
            for m in range(2 if n else PATIENTS + 2):
                subject = {"reference": f"Patient/{id}"}
                code = {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]}
                body = {
                    "resourceType": "Observation",
                    "id": f"o{n}-{m}",
                    "status": "final",
                    "code": code,
                    "subject": subject,
                }
                tx_put(tx, body)

    store.write_now(unit)
    found = resources.history(store.read, "Observation", count=10_000)
    mine = [row for row in found if row.id.startswith("o0-")][:PATIENTS]
    return mine, [row for row in found if row.id.endswith("-1")][:PATIENTS]


def tx_put(tx: Tx, body: dict[str, object]) -> None:
    resources.put(tx, str(body["resourceType"]), str(body["id"]), orjson.dumps(body))


def bare(tx: Tx) -> None:
    tx.execute("CREATE TEMP TABLE bare AS SELECT * FROM audit LIMIT 0")
    values = ",".join("?" * 16)
    for n in range(ROWS):
        tx.execute(f"INSERT INTO temp.bare VALUES ({values})", (n, tx.now, 1, 2, 3, "o1", "Patient/x", None, 200, 4, 5, None, b"x" * 32, None, None, None))  # fmt: skip


def rows(store: Database, row: AuditRow, count: int) -> None:
    def unit(tx: Tx) -> None:
        for _ in range(count):
            audit.append(tx, row)

    store.write_now(unit)


def main() -> None:
    folder = Path(tempfile.mkdtemp())
    store = Database.open(settings_of.read(folder, {"SUTURE_KEY_FILE": str(folder / "keys" / "key")}))
    one, many = fill(store)
    one_row = AuditRow("client:c", "read", "Observation", "o1", "Patient/0193f0aa-0000-7000-8000-000000000001")
    everybody = tuple(f"Patient/0193f0aa-0000-7000-8000-{n:012x}" for n in range(PATIENTS))
    cpu("whose, one row", 2000, lambda: [whose.of_rows(store.read, one[:1]) for _ in range(2000)])
    cpu("whose, page of 50 of one patient", 500, lambda: [whose.of_rows(store.read, one) for _ in range(500)])
    cpu("whose, page of 50 of fifty patients", 500, lambda: [whose.of_rows(store.read, many) for _ in range(500)])
    plain = cpu("bare row", ROWS, lambda: store.write_now(bare))
    chained = cpu("row of one patient, chained", ROWS, lambda: rows(store, one_row, ROWS))
    print(f"{'  to the bare row':<58} {chained / plain:>9.1f} x")
    page = AuditRow("client:c", "search-type", "Observation", query="code", patients=everybody)
    cpu("row of fifty patients, chained and listed", 400, lambda: rows(store, page, 400))
    count = audit.head(store.read).n
    cpu("verify, each row", count, lambda: audit.verify(store.read))
    wanted = audit.Filter(patients=(everybody[3],), count=50)
    cpu("a patient's newest 50 rows", 200, lambda: [audit.search(store.read, wanted) for _ in range(200)])
    store.close()


if __name__ == "__main__":
    main()
