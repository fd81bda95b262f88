"""`suture import` of NDJSON and, when they are at hand, of Synthea's bundles: rate, CPU per resource, size on disk.

Run: python -m bench.import_ [--resources 40000] [--files 120]. Peers: what their transactions of 100 cost.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tarfile
import tempfile
import time
from itertools import islice
from pathlib import Path

import orjson
import zstandard

from bench.http import fsyncs, observation

PEERS = {"Medplum": 17.0, "WSO2": 2.05}  # ms CPU a resource
PUBLIC = Path(os.environ.get("SUTURE_PUBLIC", "../shared/data"))
SYNTHEA = "smart-synthea-r4-615patients.tar.zst"


def ndjson(folder: Path, count: int) -> Path:
    """Patients with a hundred observations each."""
    file = folder / "observations.ndjson"
    with file.open("wb") as out:
        for n in range(count):
            if n % 100 == 0:
                person = {"resourceType": "Patient", "id": f"p{n // 100}", "name": [{"family": f"Family{n}"}]}
                out.write(orjson.dumps(person) + b"\n")
            else:
                out.write(orjson.dumps({**observation(n, f"Patient/p{n // 100}"), "id": f"o{n}"}) + b"\n")
    return file


def synthea(folder: Path, files: int) -> Path | None:
    """The first bundles of the public set, unpacked."""
    if not (PUBLIC / SYNTHEA).exists():
        return None
    target = folder / "synthea"
    target.mkdir()
    with (
        (PUBLIC / SYNTHEA).open("rb") as raw,
        zstandard.ZstdDecompressor().stream_reader(raw) as plain,
        tarfile.open(fileobj=plain, mode="r|") as archive,
    ):
        found = (archive.extractfile(member) for member in archive if member.name.endswith(".json"))
        for number, stream in enumerate(islice(found, files)):
            (target / f"{number}.json").write_bytes(stream.read() if stream else b"")
    return target


def run(name: str, source: Path) -> None:
    with tempfile.TemporaryDirectory() as project:
        environment = {**os.environ, "SUTURE_KEY_FILE": f"{project}/key"}
        before, began = cpu(), time.perf_counter()
        command = [sys.executable, "-m", "suture", "import", str(source), "--project", project, "--json"]
        found = orjson.loads(subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True).stdout)
        took, used = time.perf_counter() - began, cpu() - before
        size = sum(f.stat().st_size for f in (Path(project) / "data").iterdir())
    raw = sum(f.stat().st_size for f in ([source] if source.is_file() else source.iterdir()))
    ms = used / found["stored"] * 1e3
    peers = "  ".join(f"{peer / ms:6.0f}x {who}" for who, peer in PEERS.items())
    print(
        f"{name:24} {found['stored']:7} stored  {found['stored'] / took:7.0f}/s with start  CPU {ms:.3f} ms each  {peers}  "
        f"{size / found['stored']:.0f} bytes on disk each, {size / raw:.2f} of the file"
    )


def cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--resources", type=int, default=40_000)
    parser.add_argument("--files", type=int, default=120)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        print(f"disk {fsyncs(folder):.0f} fdatasync/s, {os.cpu_count()} cores")
        run("NDJSON, small resources", ndjson(folder, asked.resources))
        bundles = synthea(folder, asked.files)
        if bundles:
            run("Synthea bundles", bundles)


if __name__ == "__main__":
    main()
