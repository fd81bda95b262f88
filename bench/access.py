"""What access costs: an authenticated, judged and audited GET by id beside the same read under a null policy, 32 connections.

Run: python -m bench.access [--seconds 3] [--profile]. The null policy stands here and nowhere in the package: no credential
is looked at, nothing is judged, nothing is recorded. Bar: 1.5 times its CPU.
"""

from __future__ import annotations

import argparse
import cProfile
import os
import pstats
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import orjson
import uvloop

from bench import http
from bench.http import cpu_of, drive, ids, in_turn, listening, observation, request
from suture import cli
from suture import settings as settings_of
from suture.access import policy
from suture.access.people import add_client
from suture.server import http as shell
from suture.services.interactions import guard
from suture.services.interactions.chart import Access
from suture.store.database import Database

OBSERVATIONS = 2000
ROUNDS = 3
LAB = "http://terminology.hl7.org/CodeSystem/observation-category|laboratory"
CALLERS = {  # who reads, with which scopes
    "a program, whole chart": ("system/*.cruds", ""),
    "a patient's app": ("patient/*.rs", "bench"),
    "a patient's app, granular": (f"patient/Observation.rs?category={LAB}", "bench"),
}
BAR = 1.5


def null_policy() -> None:
    """Takes identity, judgement and audit out of this process."""

    async def identify(request: Any, route: Any) -> None:
        request.caller = policy.SYSTEM

    async def leave(self: Access, *_: object) -> None:
        return None

    shell.identify = identify
    guard.judge = lambda *_: lambda row: True  # type: ignore[assignment]
    Access.touched = lambda *_: None  # type: ignore[assignment,method-assign]
    Access.__aexit__ = leave  # type: ignore[assignment,method-assign]


def serve(folder: str, null: bool, profile: str) -> None:
    """This process becomes the server."""
    if null:
        null_policy()
    arguments = ["serve", "--project", folder, "--port", str(http.PORT)]
    if not profile:
        cli.main(arguments)
        return
    profiler = cProfile.Profile()
    try:
        profiler.runcall(cli.main, arguments)
    finally:
        profiler.dump_stats(profile)


class Server:
    """A server of its own process, with or without the null policy."""

    def __init__(self, folder: Path, null: bool, profile: str = "") -> None:
        words = [sys.executable, "-m", "bench.access", "--serve", str(folder), "--profile-to", profile]
        with (folder / "log").open("ab") as log:
            self.process = subprocess.Popen([*words, *(["--null"] if null else [])], stdout=log, stderr=log)
        while not listening() and self.process.poll() is None:
            time.sleep(0.01)

    def __enter__(self) -> int:
        return self.process.pid

    def __exit__(self, *_: object) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)


async def fill(key: str, pid: int) -> None:
    entries = [
        {"resource": observation(n, "Patient/bench"), "request": {"method": "POST", "url": "Observation"}}
        for n in range(100)
    ]
    raw = request(
        key, "POST", "/fhir", orjson.dumps({"resourceType": "Bundle", "type": "transaction", "entry": entries})
    )
    for _ in range(OBSERVATIONS // 100):
        await drive(lambda n: raw, 1, 0.01, pid)


def measured(folder: Path, keys: dict[str, str], seconds: float, null: bool, found: dict[str, list[float]]) -> None:
    with Server(folder, null) as pid:
        everything = keys["a program, whole chart"]
        reads = uvloop.run(ids(everything, "Observation"))
        for name, key in ({"null policy": everything} if null else keys).items():
            raws = [request(key, "GET", f"/fhir/Observation/{id}") for id in reads]
            uvloop.run(drive(in_turn(raws), 32, 0.5, pid))
            told = uvloop.run(drive(in_turn(raws), 32, seconds, pid))
            assert told["bad"] == 0, name
            found.setdefault(name, []).append(told["cpu"])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--serve", default="")
    parser.add_argument("--null", action="store_true")
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--profile-to", default="")
    asked = parser.parse_args()
    if asked.serve:
        serve(asked.serve, asked.null, asked.profile_to)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["SUTURE_KEY_FILE"] = str(folder / "keys" / "key")
        os.environ["SUTURE_GATEWAY_FHIR_LIMITS"] = ""  # one caller asks more than any caller may
        database = Database.open(settings_of.read(folder))
        keys = {n: add_client(database, n, scopes, patient, 0)[1] for n, (scopes, patient) in CALLERS.items()}
        database.close()
        with Server(folder, False) as pid:
            uvloop.run(fill(keys["a program, whole chart"], pid))
        if asked.profile:
            profiled(folder, keys)
            return
        found: dict[str, list[float]] = {}
        for _ in range(ROUNDS):
            for null in (True, False):
                measured(folder, keys, asked.seconds, null, found)
        nothing = min(found["null policy"])
        for name, times in found.items():
            print(f"{name:28} {min(times):.3f} ms CPU a read   {min(times) / nothing:.2f}x the null policy (bar {BAR})")


def profiled(folder: Path, keys: dict[str, str]) -> None:
    """Where the time goes, under the profiler (which makes calls dearer than they are)."""
    for null in (True, False):
        to = str(folder / "profile")
        with Server(folder, null, to) as pid:
            key = keys["a patient's app"]
            raws = [
                request(key, "GET", f"/fhir/Observation/{id}")
                for id in uvloop.run(ids(keys["a program, whole chart"], "Observation"))
            ]
            began = cpu_of(pid)
            told = uvloop.run(drive(in_turn(raws), 32, 3, pid))
            print(f"null={null} {told} {cpu_of(pid) - began:.2f}")
        pstats.Stats(to).sort_stats("cumtime").print_stats(r"suture|asyncio|execute", 90)


if __name__ == "__main__":
    main()
