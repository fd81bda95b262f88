"""A bulk export of Synthea's charts from a served database, file by file over HTTP, with policy and audit: `python -m bench.export_http`.

Prints what the export took until its manifest, what its files took, the server's CPU a resource and its memory.
"""

from __future__ import annotations

import argparse
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx

from bench.import_ import synthea

ASK = {"Prefer": "respond-async", "Accept": "application/fhir+json"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=10_000, help="bundles of the public set")
    with tempfile.TemporaryDirectory() as project:
        charts = synthea(Path(project), parser.parse_args().files)
        if charts is None:
            print("the public set is not here")
            return
        suture(project, "import", str(charts), "--project", project)
        key = suture(project, "client", "add", "bench", "--scope", "system/*.rs", "--project", project).split()[-1]
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = str(free.getsockname()[1])
        served = [sys.executable, "-m", "suture", "serve", "--project", project]
        with subprocess.Popen(
            served,
            env=environment(project) | {"SUTURE_HTTP_PORT": port},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as server:
            try:
                run(f"http://127.0.0.1:{port}", key, server.pid)
            finally:
                server.terminate()


def environment(project: str) -> dict[str, str]:
    return {**os.environ, "SUTURE_KEY_FILE": f"{project}/key"}


def suture(project: str, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "suture", *words], env=environment(project), capture_output=True, text=True, check=False
    )
    print((done.stdout.strip().splitlines() or [done.stderr[-300:]])[-1] if words[0] == "import" else "")
    return done.stdout


def run(url: str, key: str, pid: int) -> None:
    with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=60) as http:
        wait(http)
        for path in ("/fhir/$export", "/fhir/Patient/$export", "/fhir/Patient/$export?organizeOutputBy=Patient"):
            began, cpu = time.perf_counter(), used(pid)
            made = manifest(http, path)
            took = time.perf_counter() - began
            count = sum(file["count"] for file in made["output"])
            print(f"{path}: {count:,} resources; manifest after {took:.1f} s")
            begun, size = time.perf_counter(), 0
            for file in made["output"]:
                with http.stream("GET", file["url"], headers={"Accept-Encoding": "identity"}) as answer:
                    size += sum(len(part) for part in answer.iter_raw())
            files = time.perf_counter() - begun
            print(
                f"  files: {size / 1e6:,.0f} MB in {files:.1f} s, {count / files:,.0f} resources a second;"
                f" all in all {count / (took + files):,.0f}/s, {(used(pid) - cpu) / count * 1e6:.1f} µs CPU each,"
                f" memory {memory(pid):.0f} MB"
            )


def wait(http: httpx.Client) -> None:
    for _ in range(300):
        try:
            http.get("/health/ready")
        except httpx.TransportError:
            time.sleep(0.1)
        else:
            return


def manifest(http: httpx.Client, path: str) -> dict[str, Any]:
    kicked = http.get(path, headers=ASK)
    while (answer := http.get(kicked.headers["content-location"])).status_code == 202:
        time.sleep(0.2)
    made: dict[str, Any] = answer.json()
    return made


def used(pid: int) -> float:
    """CPU seconds of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory(pid: int) -> float:
    """The most a process has held, in MB."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


if __name__ == "__main__":
    main()
