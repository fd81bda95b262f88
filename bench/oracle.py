"""Can the time an answer takes tell what the answer does not? Forbidden, deleted and unknown records beside each other.

Run: python -m bench.oracle [--asks 1500]. Prints the p value of a rank test (Mann-Whitney, two-sided) for each pair: the chance
of times so different if nothing differed. Above 0.01 nothing is told. The pairs are asked in turns, so that noise meets all alike.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import random
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from bench.http import Connection
from suture import settings as settings_of
from suture.access.people import add_client
from suture.access.policy import SYSTEM
from suture.app import open_server
from suture.clock import SYSTEM as CLOCK
from suture.server.log import Log
from suture.server.web import Web, url_of

HIDDEN, UNKNOWN, DELETED = "hidden", "unknown", "deleted"
PAIRS = ((HIDDEN, UNKNOWN), (HIDDEN, DELETED), (DELETED, UNKNOWN))
SHAPES = {
    "read": "/fhir/Observation/{id}",
    "history": "/fhir/Observation/{id}/_history",
    "version": "/fhir/Observation/{id}/_history/1",
    "search by id": "/fhir/Observation?_id={id}",
}
CALLERS = {"another patient's token": ("patient/*.rs", "a"), "a granular scope": ("user/Observation.rs?code=none", "")}


def p_value(one: Sequence[float], other: Sequence[float]) -> float:
    """Mann-Whitney U with the normal approximation."""
    ranked = sorted([(t, 0) for t in one] + [(t, 1) for t in other])
    ranks = sum(n for n, (_, which) in enumerate(ranked, 1) if which == 0)
    n, m = len(one), len(other)
    u = ranks - n * (n + 1) / 2
    z = (u - n * m / 2) / math.sqrt(n * m * (n + m + 1) / 12)
    return math.erfc(abs(z) / math.sqrt(2))


async def measure(url: str, key: str, shape: str, ids: dict[str, list[str]], asks: int) -> dict[str, list[float]]:
    """Times of each kind, asked in random turns over one connection."""
    loop, port = asyncio.get_running_loop(), int(url.rsplit(":", 1)[1])
    _, connection = await loop.create_connection(lambda: Connection(loop), "127.0.0.1", port)
    turns = [kind for kind in ids for _ in range(asks)]
    random.Random(5).shuffle(turns)
    found: dict[str, list[float]] = {kind: [] for kind in ids}
    for n, kind in enumerate(turns):
        path = shape.replace("{id}", ids[kind][n % len(ids[kind])])
        raw = f"GET {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\n\r\n".encode()
        began = time.perf_counter()
        await connection.send(raw)
        found[kind].append(time.perf_counter() - began)
    connection.transport.close()
    return found


def resources(kind: str, ids: Sequence[str]) -> dict[str, Any]:
    entries = [
        {
            "request": {"method": "PUT", "url": f"Observation/{id}"},
            "resource": {
                "resourceType": "Observation", "id": id, "status": "final", "code": {"text": kind}, "subject": {"reference": "Patient/b"},
            },
        }
        for id in ids
    ]  # fmt: skip
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}


async def run(folder: Path, asks: int) -> None:
    settings = settings_of.read(folder, {}).with_values(key_file=str(folder / "k" / "key"), http__port=0)
    app = open_server(settings, log=Log(CLOCK, (folder / "log").open("w")))
    await app.start()
    url = url_of(app.settings, next(part._listening for part in app.parts if isinstance(part, Web)))
    ids = {kind: [f"{kind}-{n:04}" for n in range(200)] for kind in (HIDDEN, UNKNOWN, DELETED)}
    for kind in (HIDDEN, DELETED):
        await app.database.write(app.interactions.transaction_unit(SYSTEM, resources(kind, ids[kind])))
    gone = [{"request": {"method": "DELETE", "url": f"Observation/{id}"}} for id in ids[DELETED]]
    await app.database.write(
        app.interactions.transaction_unit(SYSTEM, {"resourceType": "Bundle", "type": "transaction", "entry": gone})
    )
    for caller, (scopes, patient) in CALLERS.items():
        _, key = add_client(app.database, caller, scopes, patient, 0)
        for name, shape in SHAPES.items():
            times = await measure(url, key, shape, ids, asks)
            middle = "  ".join(f"{kind} {median(times[kind]) * 1e6:4.0f} us" for kind in times)
            told = "  ".join(f"{one}/{other} p={p_value(times[one], times[other]):.3f}" for one, other in PAIRS)
            print(f"{caller:24} {name:13} {middle}   {told}")
    await app.stop()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--asks", type=int, default=1500)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        asyncio.run(run(Path(name), asked.asks))


if __name__ == "__main__":
    main()
