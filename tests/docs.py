"""Keeps generated parts of docs pages equal to the tables they come from; SUTURE_WRITE_DOCS=1 writes them."""

from __future__ import annotations

import os
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]


def check(page: str, part: str, text: str) -> None:
    """Fails when the part between its marks is not exactly `text`."""
    file = ROOT / "docs" / page
    begin, end = f"<!-- generated: {part} -->\n", "<!-- end -->"
    written = file.read_text(encoding="utf-8")
    found = re.search(re.escape(begin) + "(.*?)" + re.escape(end), written, re.DOTALL)
    assert found, f"docs/{page} has no part '{part}'"
    wanted = text.rstrip("\n") + "\n"
    if os.environ.get("SUTURE_WRITE_DOCS"):
        file.write_text(written[: found.start(1)] + wanted + written[found.end(1) :], encoding="utf-8")
        return
    assert found[1] == wanted, f"docs/{page}, part '{part}': run the test once with SUTURE_WRITE_DOCS=1"
