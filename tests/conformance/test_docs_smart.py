"""docs/smart.md is walked as it stands there: a developer with curl, and a person who says yes."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest

from tests.conformance.smart import REDIRECT, Kit, Page

PAGE = Path(__file__).parents[2] / "docs" / "smart.md"
pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(shutil.which("curl") is None or shutil.which("openssl") is None, reason="curl is not installed"),
]


async def run(command: str, kept: Path, **known: str) -> str:
    """One command; what it sets is there for the next."""
    script = f"[ -f {kept} ] && . {kept}\n{command}\ndeclare -p VERIFIER TOLD TOKEN PATIENT 2>/dev/null > {kept}; true"
    process = await asyncio.create_subprocess_exec(
        "bash", "-c", script, env={**os.environ, **known}, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    return out.decode()


async def test_the_page_as_it_stands(smart: Kit, tmp_path: Path) -> None:
    app, code, tried = smart.app(), "", 0
    text = PAGE.read_text(encoding="utf-8")
    for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL):
        for command, wanted in re.findall(r"(.*?)\n# → (.*?)\n", block, re.DOTALL):
            said = await run(command, tmp_path / "kept", BASE=smart.url, APP=app.id, CODE=code)
            assert wanted in said, (command, said)
            tried += 1
            if "/auth/authorize?" in said:
                async with smart.browser("patty") as patty:
                    page = await patty.open(said.strip())
                    assert isinstance(page, Page)
                    there = await patty.send(page, press=("decision", "allow"))
                assert isinstance(there, str)
                told = dict(parse_qsl(urlsplit(there).query))
                assert there.startswith(REDIRECT)
                assert told["state"] == "98wrghuwuogerg97"
                code = told["code"]
    assert tried == 9
