"""Tables as CSV that a spreadsheet shows and never runs (RFC 4180; OWASP, CSV Injection)."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

STARTS = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet takes for the beginning of a formula


def harmless(cell: object) -> str:
    """The cell as text; behind an apostrophe when it would be taken for a formula."""
    text = "" if cell is None else str(cell)
    return f"'{text}" if text.startswith(STARTS) else text


def lines(rows: Iterable[Sequence[object]]) -> bytes:
    """The rows, each ended by CR LF."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerows([harmless(cell) for cell in row] for row in rows)
    return out.getvalue().encode("utf-8", "replace")
