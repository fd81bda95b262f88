"""The published mapping tables between HL7 v2 and FHIR as rows of (place, element): read where they lie, never copied."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass

from tests import public

FOLDER = "v2-to-fhir/mappings"
NAME = re.compile(r"R4_ (\S+\[[^\]]*\])| Map_ (.+?) - ")
SKIPPED = ("url", "uri", "")


@dataclass(frozen=True, slots=True)
class Row:
    """`element`: the first step of the target; '' when the table names a place and gives no element."""

    table: str
    place: str
    element: str


def tables(kind: str, name: str = "") -> dict[str, list[list[str]]]:
    """The tables of a folder by their short name, such as PID[Patient]."""
    found = {}
    for path in sorted(public.path(f"{FOLDER}/{kind}").glob("*.csv")):
        short = NAME.search(path.name)
        title = (short[1] or short[2]) if short else ""
        if title and (not name or title.startswith(f"{name}[")):
            with path.open(encoding="utf-8", newline="") as file:
                found[title] = [[*row, *[""] * 20] for row in list(csv.reader(file))[2:]]
    return found


def rows(kind: str, name: str) -> list[Row]:
    """What the tables of a segment or datatype map; rows without an element are none."""
    made = []
    for title, lines in tables(kind, name).items():
        for line in lines:
            element = first(line[9])
            if element:
                made.append(Row(title, line[1].strip(), element))
    return list(dict.fromkeys(made))


def first(target: str) -> str:
    """The first step of a target: `identifier[1].value` -> identifier; what is no element of R4 has none."""
    text = re.sub(r"^\[?[\d-]*\]?\.?", "", target.strip())
    text = re.sub(r"^(Quantity|location\(Location)\.", "", text)
    if text.startswith(("$this", "$value")):
        return "$this"
    return re.split(r"[\[.(= )]", text, maxsplit=1)[0]


def codes(table: str) -> dict[str, set[str]]:
    """code of HL7 v2 -> codes of FHIR, of a code table."""
    found: dict[str, set[str]] = {}
    for line in tables("codesystems").get(table, []):
        if line[0].strip() and line[6].strip():
            found.setdefault(line[0].strip(), set()).add(line[6].strip())
    return found
