"""Code tables of maps: CSV with from, from_system, to, system, display (ConceptMap in a spreadsheet, https://hl7.org/fhir/R4/conceptmap.html)."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, field
from typing import Any

from suture.errors import InvalidFile, Problem
from suture.mapping.systems import known

OTHERS = "*"  # the row for every code that has none of its own
MOST_ROWS = 200_000


@dataclass(slots=True)
class Table:
    """The rows by source code; a row is column -> text, empty ones left out."""

    name: str
    columns: tuple[str, ...]
    rows: dict[str, list[dict[str, str]]] = field(default_factory=dict)

    def find(self, code: str, system: str = "") -> list[dict[str, str]]:
        """The rows that fit: of this system (when it is known), else those that name none; else the row for all others."""
        rows = self.rows.get(code)
        if rows and system:
            rows = [r for r in rows if r.get("from_system") == system] or [r for r in rows if "from_system" not in r]
        return rows or self.rows.get(OTHERS, [])

    def column(self, name: str) -> dict[str, str]:
        """code -> text of a column, of the first row of each code."""
        return {code: rows[0][name] for code, rows in self.rows.items() if name in rows[0]}

    def codings(self) -> dict[str, list[dict[str, Any]]]:
        """code -> Codings."""
        return {code: [coding(row) for row in rows] for code, rows in self.rows.items()}


def coding(row: dict[str, str]) -> dict[str, Any]:
    """A row as a Coding."""
    made = {"system": row.get("system"), "code": row.get("to"), "display": row.get("display")}
    return {key: value for key, value in made.items() if value}


def read(text: str, file: str) -> Table:
    """The table in a CSV text; raises InvalidFile naming line and column."""
    try:
        lines = list(csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""), strict=True))
    except csv.Error as error:
        raise _wrong(file, 1, f"not CSV: {error}", "Save it as CSV with commas and double quotes.") from error
    columns = tuple(name.strip() for name in lines[0]) if lines else ()
    missing = [name for name in ("from", "to") if name not in columns]
    if missing or len(set(columns)) != len(columns):
        raise _wrong(
            file,
            1,
            f"the head line has no column '{missing[0]}'" if missing else "a column stands twice",
            "Begin with: from,from_system,to,system,display",
        )
    if len(lines) > MOST_ROWS:
        raise _wrong(file, MOST_ROWS, f"more than {MOST_ROWS} rows", "Use a terminology for so many codes.")
    table = Table(file, columns)
    for number, cells in enumerate(lines[1:], 2):
        _add(table, number, [cell.strip() for cell in cells])
    return table


def _add(table: Table, number: int, cells: list[str]) -> None:
    if not any(cells):
        return
    if len(cells) > len(table.columns):
        raise _wrong(table.name, number, "more cells than columns", "Put double quotes around text with commas.")
    row = {name: cell for name, cell in zip(table.columns, cells, strict=False) if cell}
    if "from" not in row:
        raise _wrong(table.name, number, "the row has no 'from'", "Write the source's code, or * for all others.")
    if "from_system" in row:
        row["from_system"] = known(row["from_system"])
    table.rows.setdefault(row["from"], []).append(row)


def _wrong(file: str, line: int, text: str, mend: str) -> InvalidFile:
    return InvalidFile([Problem(file, line, 1, text, mend)])
