"""Export scan: `python -m bench.export [RESOURCES]`; resources a second and CPU of one pass over a database, to /dev/null.

Then what an export over HTTP does below the socket: what is selected, whose it is, the bytes of its files.
"""

from __future__ import annotations

import sys
import tempfile
import time
from array import array
from pathlib import Path

import orjson

from suture import settings
from suture.access.policy import SYSTEM
from suture.sandbox import people
from suture.services.bulk import concerned, jobs
from suture.services.bulk.files import Sent
from suture.services.bulk.request import Wanted
from suture.services.bulk.select import Selection
from suture.standards.fhir import index
from suture.store import resources, scan
from suture.store.database import Database

NOW = 1 << 62


def main(count: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        database = Database.open(settings.read(Path(folder), {"SUTURE_KEY_FILE": f"{folder}/key"}))
        _fill(database, count)
        for _ in range(2):
            _pass(database)
            _exported(database)
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


def _exported(database: Database) -> None:
    connection, wanted = database.reader(), Wanted("", SYSTEM, "system")
    began = time.process_time()
    found = Selection(connection, wanted, NOW).run()
    made = list(jobs.files_of(found, 100_000))
    selected = time.process_time()
    for file, rows in made:
        concerned.of_rows(connection, NOW, file.type, rows, {})
    whose = time.process_time()
    for file, rows in made:
        for _ in Sent(connection, wanted, NOW, file, SYSTEM, "http://127.0.0.1/fhir").chunks(
            array("q", rows).tobytes()
        ):
            pass
    sent, count = time.process_time(), sum(file.lines for file, _ in made)
    parts = (("selected", selected - began), ("whose", whose - selected), ("sent", sent - whose))
    print(f"as $export: {', '.join(f'{name} {cpu / count * 1e6:.1f} µs' for name, cpu in parts)} CPU each")
    connection.close()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 50_000)
