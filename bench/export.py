"""Export scan: `python -m bench.export [RESOURCES]`; resources a second and CPU of one pass over a database, to /dev/null."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import orjson

from suture import settings
from suture.sandbox import people
from suture.standards.fhir import index
from suture.store import resources, scan
from suture.store.database import Database


def main(count: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        database = Database.open(settings.read(Path(folder), {"SUTURE_KEY_FILE": f"{folder}/key"}))
        _fill(database, count)
        for _ in range(2):
            _pass(database)
        database.close()


def _fill(database: Database, count: int) -> None:
    number = stored = 0
    while stored < count:
        charts = [r for n in range(number, number + 200) for r in people.chart(people.person(1, n), 1)]
        rows = [(r["resourceType"], r["id"], orjson.dumps(r), index.extract(r)) for r in charts]
        database.write_now(lambda tx, rows=rows: [resources.put(tx, *row) for row in rows])  # type: ignore[misc]
        number, stored = number + 200, stored + len(rows)


def _pass(database: Database) -> None:
    count = size = 0
    wall, cpu = time.perf_counter(), time.process_time()
    with open("/dev/null", "wb", buffering=1 << 20) as sink:
        for chunk in scan.chunks(database.read, 1 << 62):
            for _, body in chunk:
                size += sink.write(body + b"\n")
            count += len(chunk)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(
        f"{count:,} resources, {size / count:.0f} bytes each: {count / wall:,.0f}/s, {cpu / count * 1e6:.1f} µs CPU each"
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 50_000)
