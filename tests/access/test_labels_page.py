"""The table of security labels in the docs is the one that is kept."""

from __future__ import annotations

from suture.access import labels
from tests import docs


def test_the_page_prints_the_table() -> None:
    rows = [f"| `{code}` | {says} |" for code, says in labels.TABLE.items()]
    docs.check("access.md", "labels", "\n".join(["| label | says |", "|---|---|", *rows]))
