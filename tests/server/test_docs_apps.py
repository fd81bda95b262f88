"""The requests of docs/apps.md and docs/backend-services.md are run as they stand there, page by page in one shell."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import sys
from pathlib import Path

import pytest

from suture.services import brands
from tests.server.running import serving

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@pytest.mark.parametrize(("page", "tried"), [("apps.md", 6), ("backend-services.md", 4)])
async def test_the_requests_of_a_page(tmp_path: Path, page: str, tried: int) -> None:
    async with serving(tmp_path) as server:
        for program in blocks(page, "python"):
            (tmp_path / "assertion.py").write_text(program)
        (tmp_path / "suture.toml").write_text("")
        shell = ["set -e", f'suture() {{ {sys.executable} -m suture "$@"; }}', f'python() {{ {sys.executable} "$@"; }}']
        script = "\n".join([*shell, *blocks(page, "sh")])
        wanted = re.findall(r"^# → (.*)$", script, re.MULTILINE)
        environment = {
            **os.environ,
            "BASE": server.url,
            "SUTURE_KEY_FILE": str(tmp_path / "keys" / "test.key"),
            "PYTHONPATH": str(ROOT),
        }
        process = await asyncio.create_subprocess_exec(
            "bash",
            "-c",
            re.sub(r"^# → .*$", "echo; echo ----", script, flags=re.MULTILINE),
            env=environment,
            cwd=tmp_path,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, trouble = await process.communicate()
    said = out.decode().split("\n----\n")
    assert process.returncode == 0, (out.decode(), trouble.decode())
    assert len(wanted) == tried
    for text, answer in zip(wanted, said, strict=False):
        assert text in answer, (text, answer)


def test_the_brands_of_the_page_are_some() -> None:
    (text,) = blocks("apps.md", "yaml")
    assert (
        dict(brands.made(text, "brands.yaml", "https://ehr.example", 0).identifier)["value"]
        == "https://lakeside.example"
    )
