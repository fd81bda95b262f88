"""The commands of docs/first-feed.md are run as they stand there, against a real `suture serve`."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import sys
from pathlib import Path

import pytest

from tests.journeys.killing import free_port

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "first-feed.md"


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
async def test_a_newcomer_gets_a_first_message_into_the_chart(tmp_path: Path) -> None:
    blocks = re.findall(r"```sh\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    lines = [line for block in blocks for line in re.findall(r"(.*?)\n# → (.*?)\n", block, re.DOTALL)]
    assert len(lines) >= 12
    port, mllp = free_port(), free_port()
    (tmp_path / "suture").write_text(f'#!/bin/sh\nexec {sys.executable} -m suture "$@"\n')
    (tmp_path / "suture").chmod(0o755)
    environment = os.environ | {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "SUTURE_KEY_FILE": str(tmp_path / "key"),
        "SUTURE_HTTP_PORT": str(port),
        "SUTURE_MLLP_PORT": str(mllp),
        "BASE": f"http://127.0.0.1:{port}",
    }
    serving: asyncio.subprocess.Process | None = None
    here, known = tmp_path, ""  # a terminal stays in its folder and keeps its variables
    try:
        for command, wanted in lines:
            if command.endswith("suture serve"):
                serving = await _serve(command, wanted, here, environment)
                continue
            out = await _run(f"{known}\n{command}\necho; pwd; echo $KEY", here, environment)
            assert wanted in out, (command, out)
            *_, folder, key = out.splitlines()
            here, known = Path(folder), f"KEY={key}"
    finally:
        if serving is not None:
            serving.terminate()
            await serving.wait()


async def _run(command: str, folder: Path, environment: dict[str, str]) -> str:
    process = await asyncio.create_subprocess_exec(
        "bash", "-c", command, cwd=folder, env=environment,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    out, _ = await process.communicate()
    return out.decode()


async def _serve(command: str, wanted: str, folder: Path, environment: dict[str, str]) -> asyncio.subprocess.Process:
    """Starts the server and waits until it has said so and takes messages."""
    process = await asyncio.create_subprocess_exec(
        "bash", "-c", command.replace("suture serve", "exec suture serve"), cwd=folder, env=environment,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    assert process.stdout is not None
    said = ""
    while wanted not in said:
        line = (await asyncio.wait_for(process.stdout.readline(), 60)).decode()
        assert line, said
        said += line
    for _ in range(600):
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", int(environment["SUTURE_MLLP_PORT"]))
        except OSError:
            await asyncio.sleep(0.05)
            continue
        writer.close()
        return process
    raise AssertionError("the server does not listen for messages")
