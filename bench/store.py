"""The store: durable rows, creates, reads, the queue, bulk loads, bytes a resource: `python -m bench.store [--database postgresql://…]`.

What waits for the disk is printed beside this machine's own fsync/s of the same minute, and beside the standard library's
sqlite3 with one commit a row (WAL, synchronous=FULL, no encryption, no index), the plainest peer there is.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import uvloop

from suture.clock import new_id
from suture.message import DeliveryState, Message, RunState
from suture.settings import read as read_settings
from suture.standards.fhir.index import extract
from suture.standards.fhir.json import read as read_json
from suture.store import audit, bulk, messages, resources
from suture.store.audit import AuditRow
from suture.store.connection import Tx
from suture.store.database import Database
from suture.store.queue import deliveries, runs
from suture.store.queue.deliveries import Attempt

LINE = "{:<58} {:>10} {:>12} {:>12}"
SECONDS = 1.5
LOINC = [(f"{1000 + n}-{n % 10}", f"Analyte {n} in serum or plasma") for n in range(120)]


def patient(number: int) -> bytes:
    random = Random(number)
    return json.dumps(
        {
            "resourceType": "Patient",
            "id": f"pat-{number}",
            "identifier": [{"system": "urn:example:mrn", "value": f"{random.randrange(10**8):08d}"}],
            "name": [{"family": random.choice(["Stone", "River", "Field", "Hill", "Woods"]), "given": ["Ada", "Lin"]}],
            "gender": random.choice(["male", "female"]),
            "birthDate": f"19{random.randrange(30, 99)}-{random.randrange(1, 13):02d}-{random.randrange(1, 28):02d}",
            "address": [{"city": "Springfield", "postalCode": f"{random.randrange(10**5):05d}", "country": "US"}],
        },
        separators=(",", ":"),
    ).encode()


def observation(number: int) -> bytes:
    random = Random(number)
    code, display = random.choice(LOINC)
    day = f"20{random.randrange(10, 26)}-{random.randrange(1, 13):02d}-{random.randrange(1, 28):02d}T08:{random.randrange(60):02d}:00Z"
    return json.dumps(
        {
            "resourceType": "Observation",
            "id": new_id(),
            "status": "final",
            "category": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/observation-category",
                                      "code": "laboratory", "display": "Laboratory"}]}],
            "code": {"coding": [{"system": "http://loinc.org", "code": code, "display": display}], "text": display},
            "subject": {"reference": f"Patient/pat-{random.randrange(200)}"},
            "effectiveDateTime": day,
            "issued": day.replace("Z", ".123Z"),
            "valueQuantity": {"value": random.randrange(9000) / 100, "unit": "mmol/L",
                              "system": "http://unitsofmeasure.org", "code": "mmol/L"},
            "referenceRange": [{"low": {"value": 3.5, "unit": "mmol/L"}, "high": {"value": 5.1, "unit": "mmol/L"}}],
        },
        separators=(",", ":"),
    ).encode()  # fmt: skip


def hl7(number: int) -> bytes:
    segments = [
        f"MSH|^~\\&|LAB|HOSP|EHR|HOSP|20261125080000||ORU^R01^ORU_R01|{number}|P|2.5.1",
        f"PID|1||{number % 500:08d}^^^HOSP^MR||STONE^ADA^LIN||19700101|F|||1 MAIN ST^^SPRINGFIELD^IL^62701",
        f"OBR|1|{number}|{number}|24323-8^Comprehensive panel^LN|||20261125075500",
        *(f"OBX|{n}|NM|{code}^{text}^LN||{number % 97}.{n}|mmol/L|3.5-5.1|N|||F" for n, (code, text) in enumerate(LOINC[:8], 1)),
    ]  # fmt: skip
    return "\r".join(segments).encode() + b"\r"


def syncs(folder: Path) -> float:
    """How often this disk syncs a page, in a second."""
    with (folder / "probe").open("wb", buffering=0) as file:
        end, count = time.perf_counter() + 0.5, 0
        while time.perf_counter() < end:
            file.write(b"x" * 4096)
            os.fdatasync(file.fileno())
            count += 1
    return count / 0.5


def stdlib_rows(folder: Path) -> float:
    """Rows a second of the standard library, each in a commit of its own."""
    plain = sqlite3.connect(folder / "plain.db", isolation_level=None)
    plain.execute("PRAGMA journal_mode = wal")
    plain.execute("PRAGMA synchronous = full")
    plain.execute("CREATE TABLE t (id TEXT PRIMARY KEY, body BLOB)")
    end, count, body = time.perf_counter() + 0.5, 0, observation(1)
    while time.perf_counter() < end:
        plain.execute("INSERT INTO t VALUES (?, ?)", (str(count), body))
        count += 1
    return count / 0.5


async def rate(unit: Callable[[int], Callable[[Tx], object]], store: Database, clients: int) -> tuple[float, float]:
    """(operations a second, CPU seconds of one) with so many callers that each wait for their commit."""
    count = 0
    end = time.perf_counter() + SECONDS

    async def client() -> None:
        nonlocal count
        while time.perf_counter() < end:
            count += 1
            await store.write(unit(count))

    cpu, start = time.process_time(), time.perf_counter()
    await asyncio.gather(*(client() for _ in range(clients)))
    return count / (time.perf_counter() - start), (time.process_time() - cpu) / count


def create(number: int) -> Callable[[Tx], object]:
    body = observation(number)
    rows = extract(read_json(body), "")

    def unit(tx: Tx) -> None:
        id = new_id()
        resources.put(tx, "Observation", id, body, rows, method="POST")
        audit.append(tx, AuditRow("client:bench", "create", "Observation", id, "Patient/pat-1", address="127.0.0.1"))

    return unit


def accept(number: int) -> Callable[[Tx], object]:
    text = hl7(number)
    sent = Message(new_id(), "mllp:2575", "hl7v2", text, 0, f"{id(text)}-{number}", "ORU^R01", (f"{number % 500:08d}",))

    def unit(tx: Tx) -> runs.Run:
        kept = messages.accept(tx, sent, sender="LAB|HOSP", answer=b"MSA|AA|1")
        return runs.insert(tx, kept.mid, "labs", version="v1", lane=sent.patients[0], owner="me", lease=1 << 60)

    return unit


def through(number: int) -> Callable[[Tx], object]:
    """All rows of one message's way: journal, run, a resource, audit, a delivery and its end, the run's end."""
    body = observation(number)
    rows, first = extract(read_json(body), ""), accept(number)

    def unit(tx: Tx) -> None:
        run = first(tx)
        assert isinstance(run, runs.Run)
        resources.put(tx, "Observation", new_id(), body, rows)
        audit.append(tx, AuditRow("flow:labs", "create", "Observation", "x", "Patient/pat-1"))
        runs.keep_steps(tx, run.run, [runs.Step("map", body, tx.now, 90)], 1)
        sent = deliveries.enqueue(tx, run=run.run, mid=run.mid, step="send", connection="ehr", content=body,
                                  content_type="application/fhir+json", owner="me", lease=1 << 60)  # fmt: skip
        deliveries.delivered(tx, sent.did, Attempt(tx.now, 900, DeliveryState.DELIVERED, b"201"))
        if not run.next_at:  # behind another of its lane: it would be taken when that one ends
            return
        runs.finish(tx, run.run, "me", RunState.DONE)

    return unit


def read_cost(store: Database) -> float:
    ids = [resources.id_of(fid) for (fid,) in store.read.execute("SELECT fid FROM res ORDER BY rid DESC LIMIT 2000")]
    start = time.process_time()
    for id in ids:
        resources.read(store.read, "Observation", id)
    return (time.process_time() - start) / len(ids)


def items(count: int) -> Iterator[bulk.Item]:
    for number in range(count):
        body = patient(number) if number < 200 else observation(number)
        parsed = read_json(body)
        yield bulk.Item(parsed["resourceType"], parsed["id"], body, extract(parsed, ""))


def show(name: str, cpu: float, per_second: float, beside: float, unit: str) -> None:
    cost = f"{cpu * 1e6:.0f} µs" if cpu else ""
    print(LINE.format(name, cost, f"{per_second:,.0f}/s", f"{per_second / beside:.2f} {unit}"))


def size(store: Database, folder: Path) -> int:
    """Bytes of the database."""
    file = folder / "data" / "suture.db"
    row = None if file.exists() else store.read.one("SELECT pg_database_size(current_database())")
    return int(row[0]) if row else file.stat().st_size


def load(folder: Path, address: str, count: int = 30_000) -> None:
    store = opened(folder, address)
    before = size(store, folder)
    ready = list(items(count))
    cpu, start = time.process_time(), time.perf_counter()
    bulk.load(store, ready)
    spent, wall = time.process_time() - cpu, time.perf_counter() - start
    raw = sum(len(item.body) for item in ready)
    if not address:
        store.close()
    kept = size(store, folder) - (before if address else 0)
    if address:
        store.close()
    print(LINE.format("bulk load, indexed", f"{spent / count * 1e6:.0f} µs", f"{count / wall:,.0f}/s", ""))
    print(f"  {kept / count:.0f} bytes a resource with all indexes, {raw / count:.0f} raw: {kept / raw:.2f}x")


def opened(folder: Path, address: str = "") -> Database:
    places = {"SUTURE_KEY_FILE": str(folder / "key")} | ({"SUTURE_DATABASE": address} if address else {})
    return Database.open(read_settings(folder, places))


async def interactive(folder: Path, address: str) -> None:
    store = opened(folder, address)
    disk, peer = syncs(folder), stdlib_rows(folder)
    print(f"this disk: {disk:,.0f} fdatasync/s; sqlite3 (stdlib), one commit a row: {peer:,.0f}/s\n")
    print(LINE.format("", "CPU", "rate", "x stdlib"))
    for name, unit, clients in (
        ("create, indexed and audited, 1 caller", create, 1),
        ("create, indexed and audited, 64 callers", create, 64),
        ("message journalled with its run, 1 caller", accept, 1),
        ("message journalled with its run, 10 callers", accept, 10),
        ("message journalled with its run, 50 callers", accept, 50),
        ("journal, run, resource, audit, delivery to the end, 50", through, 50),
    ):
        per_second, cpu = await rate(unit, store, clients)
        show(name, cpu, per_second, peer, "x")
    group = store._group
    assert group is not None
    print(f"  {group.units / group.groups:.1f} units a commit over all; {syncs(folder):,.0f} fdatasync/s at the end")
    cost = read_cost(store)
    print(LINE.format("read by id", f"{cost * 1e6:.1f} µs", f"{1 / cost:,.0f}/s", ""))
    store.close()


def main() -> None:
    """Runs all; about 20 seconds."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument(
        "--database", default="", help="an empty database on a server; default: files in a temporary folder"
    )
    address = asked.parse_args().database
    with tempfile.TemporaryDirectory() as first, tempfile.TemporaryDirectory() as second:
        uvloop.run(interactive(Path(first), address))
        load(Path(first if address else second), address)


if __name__ == "__main__":
    main()
