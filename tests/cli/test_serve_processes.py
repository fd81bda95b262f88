"""Several web processes on one port, as `suture serve --processes` runs them on PostgreSQL."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from suture.cli import serve_beside
from suture.errors import Invalid
from tests import stores
from tests.cli.test_serve import served, suture

NEWEST = stores.BACKENDS[-1]


def children(pid: int) -> list[int]:
    try:
        return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []


def web_processes(pid: int) -> list[int]:
    return [one for one in children(pid) if b"--attached" in Path(f"/proc/{one}/cmdline").read_bytes()]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def until(holds: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "never came true"
        time.sleep(0.05)


def listens(pid: int) -> bool:
    """Whether a process has a socket yet: it is the last thing a start-up opens besides files."""
    try:
        found = [os.readlink(f"/proc/{pid}/fd/{one}") for one in os.listdir(f"/proc/{pid}/fd")]
    except FileNotFoundError:
        return False
    return any(one.startswith("socket:") for one in found)


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    stores.use(NEWEST)
    yield stores.address(tmp_path)
    stores.use(stores.SQLITE)


@pytest.mark.slow
def test_a_process_that_dies_is_begun_anew_and_all_end_together(tmp_path: Path, address: str) -> None:
    with served(tmp_path, "--processes", "2", SUTURE_DATABASE=address) as (url, process, said):
        assert "Ready" in said[-1]
        until(lambda: any(map(listens, web_processes(process.pid))))
        (first,) = web_processes(process.pid)
        os.kill(first, signal.SIGKILL)
        until(lambda: bool(set(web_processes(process.pid)) - {first}))
        (second,) = web_processes(process.pid)
        until(lambda: listens(second))
        assert {httpx.get(f"{url}/health/live").status_code for _ in range(20)} == {200}
        process.terminate()
        assert process.wait(30) == 0
        assert not alive(second)
        assert process.stderr is not None
        assert "a web process ended (-9), another one begins" in process.stderr.read()


@pytest.mark.slow
def test_a_web_process_ends_when_the_first_one_is_killed(tmp_path: Path, address: str) -> None:
    with served(tmp_path, "--processes", "2", SUTURE_DATABASE=address) as (_, process, _):
        until(lambda: any(map(listens, web_processes(process.pid))))
        (other,) = web_processes(process.pid)
        process.kill()
        until(lambda: not alive(other))


def test_a_file_is_served_by_one_process(tmp_path: Path) -> None:
    done = suture(tmp_path, "serve", "--processes", "2", "--port", "0")
    assert done.returncode != 0
    assert "several web processes need a database on a server" in done.stderr
    assert "SUTURE_DATABASE=postgresql://" in done.stderr


@pytest.mark.parametrize("count", [0, -1, 65])
def test_a_number_that_can_t_be_is_refused(tmp_path: Path, count: int) -> None:
    with pytest.raises(Invalid, match=f"{count} web processes can't be run"):
        serve_beside.require(stores.settings(tmp_path, http__processes=count))
