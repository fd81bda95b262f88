"""A chart of a million resources (Synthea's people, copies of them, and carebundle's) on either database: load, search, write, export.

`python -m bench.million make FOLDER` writes NDJSON files once; `… run FOLDER [--database ADDRESS --processes 2]` imports them with `suture
import`, serves them and drives the bars of docs/benchmarks.md over HTTP with keys, policy, audit and fsync.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import carebundle
import httpx
import orjson
import uvloop
import zstandard

from bench import http
from bench.import_ import PUBLIC, SYNTHEA, cpu
from suture import settings as settings_of
from suture.access import people
from suture.services.matches.watch import BEHIND
from suture.store import matches, resources
from suture.store.connection import Connection
from suture.store.database import Database

COPIES = 4  # of each of Synthea's people, the first one as it is
RESOURCES = 1_000_000
VISITS = 20  # of each of carebundle's people
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
PER_FILE = 50_000
AT_REST, WINDOW, LONGEST_REST = 0.06, 10.0, 3600.0  # share of a core, over so many seconds, waited for at most
LOOKS = 100  # at what the database runs, in that time


def make(folder: Path, count: int) -> None:
    """Writes `count` resources as NDJSON, in the order in which people came."""
    folder.mkdir(parents=True, exist_ok=True)
    lines, number, size = islice(_lines(), count), 0, 0
    while part := list(islice(lines, PER_FILE)):
        raw = b"\n".join(part) + b"\n"
        (folder / f"{number:03d}.ndjson").write_bytes(raw)
        number, size = number + 1, size + len(raw)
        print(f"{number * PER_FILE:,} resources at most, {size / 1e6:,.0f} MB", flush=True)


def _lines() -> Iterator[bytes]:
    if not (PUBLIC / SYNTHEA).exists():
        raise SystemExit(f"{PUBLIC / SYNTHEA} is not there; set SUTURE_PUBLIC to the folder of the public data")
    for copy in range(COPIES):
        yield from _synthea(copy)
    yield from _carebundle()


def _synthea(copy: int) -> Iterator[bytes]:
    with (
        (PUBLIC / SYNTHEA).open("rb") as packed,
        zstandard.ZstdDecompressor().stream_reader(packed) as plain,
        tarfile.open(fileobj=plain, mode="r|") as archive,
    ):
        for member in archive:
            shared = "Information" in member.name
            if not member.name.endswith(".json") or (copy and shared):
                continue
            file = archive.extractfile(member)
            assert file is not None
            yield from _entries(file.read(), 0 if shared else copy)


def _entries(bundle: bytes, copy: int) -> Iterator[bytes]:
    """A bundle's resources with references to each other; a copy has ids of its own."""
    entries = orjson.loads(bundle)["entry"]
    for entry in entries:
        entry["resource"].setdefault("id", entry["fullUrl"].removeprefix("urn:uuid:"))
    names = {e["fullUrl"]: f"{e['resource']['resourceType']}/{e['resource']['id']}" for e in entries}
    text = orjson.dumps([e["resource"] for e in entries]).decode()
    text = re.sub(r"urn:uuid:[0-9a-f-]{36}", lambda m: names.get(m[0], m[0]), text)
    if copy:
        text = UUID.sub(lambda m: f"{copy}0{m[0][2:]}", text)
    for resource in orjson.loads(text):
        yield orjson.dumps(resource)


def _carebundle() -> Iterator[bytes]:
    profiles = sorted(carebundle.PROFILES)
    for number in range(1_000_000):
        profile = profiles[number % len(profiles)]
        made = carebundle.generate_history(profile=profile, seed=number, index=number, visits=VISITS)
        yield from _entries(carebundle.to_json(made).encode(), 0)


def run(folder: Path, address: str, seconds: float, processes: int = 1) -> None:
    project = folder / "project"
    project.mkdir(exist_ok=True)
    os.environ["SUTURE_KEY_FILE"] = str(folder / "keys" / "key")
    os.environ["SUTURE_GATEWAY_FHIR_LIMITS"] = ""  # one caller asks more than any caller may
    if address:
        os.environ["SUTURE_DATABASE"] = address
    files = sorted(folder.glob("*.ndjson"))
    raw = sum(file.stat().st_size for file in files)
    _load(project, files, raw)
    settings = settings_of.read(project)
    database = Database.open(settings)
    _, key = people.add_client(database, f"bench-{time.time_ns()}", "system/*.cruds", "", 0)
    chosen = _chosen(database)
    database.close()
    _serve(project, key, chosen, seconds, processes)


def _load(project: Path, files: list[Path], raw: int) -> None:
    if (project / "loaded").exists():
        return
    before, began = cpu(), time.perf_counter()
    command = [sys.executable, "-m", "suture", "import", *map(str, files), "--project", str(project), "--json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=False)
    told = orjson.loads(done.stdout)
    took, used = time.perf_counter() - began, cpu() - before
    print(
        f"import: {told['stored']:,} stored, {told['failed']} failed, {told['stored'] / took:,.0f}/s, CPU {used / told['stored'] * 1e6:.0f} µs each"
    )
    size = _size(project)
    print(f"database: {size / 1e6:,.0f} MB, {size / told['stored']:.0f} bytes each, {size / raw:.2f} of the NDJSON")
    (project / "loaded").write_bytes(done.stdout)


def _size(project: Path) -> int:
    address = os.environ.get("SUTURE_DATABASE", "")
    if not address.startswith("postgresql"):
        return sum(f.stat().st_size for f in (project / "data").iterdir())
    asked = subprocess.run(
        ["psql", address, "-At", "-c", "SELECT pg_database_size(current_database())"],
        stdout=subprocess.PIPE, check=True,
    )  # fmt: skip
    return int(asked.stdout)


def _chosen(database: Database) -> dict[str, list[Any]]:
    """Ids to ask for: patients with charts, and observations of all times."""
    chance = Random(7)
    rows = database.read.all("SELECT fid, rt, rid FROM res WHERE rid % 997 = 0 ORDER BY rid")
    found: dict[str, list[Any]] = {"Patient": [], "Observation": []}
    for fid, _, rid in rows:
        row = resources.read_rid(database.read, rid)
        if row is None:
            continue
        body = orjson.loads(row.body)
        if row.type == "Observation" and "subject" in body:
            coding = body["code"].get("coding", [{}])[0]
            patient = body["subject"]["reference"].partition("/")[2]
            found["Patient"].append((patient, coding.get("system", ""), coding.get("code", "")))
            found["Observation"].append(resources.id_of(fid))
    chance.shuffle(found["Patient"])
    chance.shuffle(found["Observation"])
    return found


def _serve(project: Path, key: str, chosen: dict[str, list[Any]], seconds: float, processes: int) -> None:
    """First with all time for the search for doubles, until it has caught up; then with the settings that are measured."""
    with http.serving(project, SUTURE_MATCHING_LOAD="100") as pid:
        _settle(project, pid)
    with http.serving(project, SUTURE_HTTP_PROCESSES=str(processes)) as pid:
        print(f"disk {http.fsyncs(project):.0f} fdatasync/s")
        _settle(project, pid)
        uvloop.run(_measure(key, pid, chosen, seconds))
        _export(key)
        print(f"memory after {http.memory_of(pid):.0f} MB")


def _settle(project: Path, pid: int) -> None:
    """Waits until what was stored has been looked through for doubles and the server has nothing left to do by itself."""
    began, database = time.perf_counter(), Database.open(settings_of.read(project))
    try:
        while not _at_rest(database.read, pid):
            if time.perf_counter() - began > LONGEST_REST:
                print(f"NOT AT REST after {LONGEST_REST:.0f} s: the figures below are of a busy server")
                return
    finally:
        database.close()
    print(
        f"after {time.perf_counter() - began:.0f} s what came has been looked through for doubles, beside everything else"
    )


def _at_rest(read: Connection, pid: int) -> bool:
    """For a while the process took no CPU and its database ran nothing for it, with the search where the newest Patients are.

    The search says on disk how far it is only now and then when it finds nothing, so it may be at its end a bit before it says so.
    """
    before, asked = http.cpu_of(pid), 0
    for _ in range(LOOKS):
        time.sleep(WINDOW / LOOKS)
        asked += _running(read)
    idle = http.cpu_of(pid) - before < AT_REST * WINDOW and asked <= AT_REST * LOOKS
    newest = resources.newest(read, "Patient")
    return idle and (newest is None or newest.updated - matches.place(read) <= BEHIND)


def _running(read: Connection) -> bool:
    """Whether a server's other sessions run something right now, of which the process that waits for it shows nothing."""
    if not read.far:
        return False
    sql = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'client backend' "
        "AND state = 'active' AND pid <> pg_backend_pid()"
    )
    row = read.one(sql)
    return bool(row and row[0])


async def _measure(key: str, pid: int, chosen: dict[str, list[Any]], seconds: float) -> None:
    async def phase(name: str, raws: list[bytes], connections: int) -> None:
        print(http.told(name, await http.drive(http.in_turn(raws), connections, seconds, pid)), flush=True)

    def get(path: str) -> bytes:
        return http.request(key, "GET", f"/fhir/{path}")

    some = chosen["Patient"][:400]
    await phase("read, 32 connections", [get(f"Observation/{id}") for id in chosen["Observation"][:2000]], 32)
    for connections in (1, 16):
        await phase(
            f"patient, newest 50 observations, {connections} connections",
            [get(f"Observation?patient={p}&_sort=-date&_count=50") for p, _, _ in some], connections,
        )  # fmt: skip
    await phase(
        "patient + code + date", [get(f"Observation?patient={p}&code={s}|{c}&date=ge2005") for p, s, c in some], 1
    )
    await phase("newest 50 observations of all", [get("Observation?_sort=-date&_count=50")], 1)
    await phase("newest 50 of a code", [get(f"Observation?code={s}|{c}&_sort=-date&_count=50") for _, s, c in some], 1)
    await phase("patients by name", [get("Patient?name=gar&_count=50"), get("Patient?name=smi&_count=50")], 1)
    await phase("chain: encounters of a name", [get("Encounter?subject:Patient.name=garcia&_sort=-date&_count=50")], 1)
    await phase(
        "patients that have a condition",
        [get("Patient?_has:Condition:patient:code=http://snomed.info/sct|44054006")],
        1,
    )
    await phase(
        "with includes",
        [get(f"Observation?patient={p}&_include=*&_revinclude=Provenance:target") for p, _, _ in some],
        1,
    )
    creates = [
        http.request(
            key, "POST", "/fhir/Observation", orjson.dumps(http.observation(n, f"Patient/{some[n % len(some)][0]}"))
        )
        for n in range(500)
    ]
    await phase("create, 1 connection", creates, 1)
    await phase("create, 64 connections", creates, 64)
    bundles = [http.request(key, "POST", "/fhir", http.bundle(n)) for n in range(http.PATIENTS)]
    await phase("transaction of 100, 4 connections", bundles, 4)


def _export(key: str) -> None:
    """The whole chart by $export; the clock runs from the kick-off to the manifest, and again while files are read."""
    headers = {"Authorization": f"Bearer {key}"}
    with httpx.Client(base_url=f"http://127.0.0.1:{http.PORT}", headers=headers, timeout=120) as client:
        began = time.perf_counter()
        asked = client.get("/fhir/$export", headers={"Prefer": "respond-async", "Accept": "application/fhir+json"})
        if asked.status_code != 202:
            print("export: not offered", asked.status_code)
            return
        while (status := client.get(asked.headers["content-location"])).status_code != 200:
            time.sleep(min(float(status.headers.get("retry-after", 1)), 5))
        made = time.perf_counter() - began
        files = status.json()["output"]
        count = sum(file.get("count", 0) for file in files)
        began, size = time.perf_counter(), 0
        for file in files:
            with client.stream("GET", file["url"], headers={"Accept-Encoding": "identity"}) as answer:
                size += sum(len(chunk) for chunk in answer.iter_bytes())
        read = time.perf_counter() - began
        print(
            f"export: {count:,} resources in {made:.1f} s ({count / made:,.0f}/s), read {size / 1e6:,.0f} MB in {read:.1f} s ({count / read:,.0f}/s)"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("make", "run"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--database", default="", help="postgresql://…; SQLite in the folder unless told")
    parser.add_argument("--processes", type=int, default=1, help="web processes, with PostgreSQL")
    parser.add_argument("--resources", type=int, default=RESOURCES)
    parser.add_argument("--seconds", type=float, default=5.0)
    asked = parser.parse_args()
    if asked.what == "make":
        make(asked.folder, asked.resources)
    else:
        run(asked.folder.absolute(), asked.database, asked.seconds, asked.processes)


if __name__ == "__main__":
    main()
