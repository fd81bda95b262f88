"""The examples of docs/hl7v2.md are tried."""

from __future__ import annotations

import doctest
from pathlib import Path

DOCS = Path(__file__).parents[3] / "docs"


def test_the_examples_of_the_page_hold() -> None:
    result = doctest.testfile(str(DOCS / "hl7v2.md"), module_relative=False)
    assert result.attempted > 10
    assert result.failed == 0
