"""The examples of docs/fhir-api.md, docs/bulk-data.md and docs/terminology.md are run as they stand there."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from pathlib import Path

import pytest

from tests.server.running import Running

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@pytest.mark.parametrize(("page", "least"), [("fhir-api.md", 15), ("bulk-data.md", 2), ("terminology.md", 5)])
async def test_the_examples(server: Running, page: str, least: int) -> None:
    blocks = re.findall(r"```sh\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), re.DOTALL)
    key = server.http.headers["authorization"].removeprefix("Bearer ")
    environment = {**os.environ, "BASE": f"{server.url}/fhir", "KEY": key}
    tried = 0
    for block in blocks:
        for command, wanted in re.findall(r"(.*?)\n# → (.*?)\n", block, re.DOTALL):
            process = await asyncio.create_subprocess_exec(
                "bash", "-c", command, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
            )
            out, _ = await process.communicate()
            assert wanted in out.decode(), (command, out.decode())
            tried += 1
    assert tried >= least
