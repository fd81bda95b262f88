"""The lines of a publisher's file, with their places, and the concepts that are read from them (https://hl7.org/fhir/R4/terminologies-systems.html)."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from suture.errors import Invalid

Property = dict[str, Any]
BOM = "\ufeff"
MOST_TEXT = 20_000  # characters of one line


class Concept(NamedTuple):
    """One concept; `parents` are codes of the same system."""

    code: str
    display: str
    parents: list[str]
    properties: list[Property]
    designations: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Lines:
    """The lines of a file, with its name for errors."""

    name: str
    lines: Iterable[str]

    def wrong(self, number: int, text: str, mend: str) -> Invalid:
        return Invalid(text, where=f"{self.name}:{number}", mend=mend)

    def __iter__(self) -> Iterator[tuple[int, str]]:
        for number, line in enumerate(self.lines, 1):
            if len(line) > MOST_TEXT:
                raise self.wrong(number, f"a line of more than {MOST_TEXT} characters", "Is this the right file?")
            yield number, line.removeprefix(BOM) if number == 1 else line

    def rows(self, *needed: str) -> Iterator[tuple[int, dict[str, str]]]:
        """The rows of a CSV with a heading; raises Invalid when a column is not there."""
        reader = csv.reader((line for _, line in self), strict=True)
        heading: list[str] = []
        try:
            for row in reader:
                if not heading:
                    heading = [name.strip() for name in row]
                    lost = [name for name in needed if name not in heading]
                    if lost:
                        raise self.wrong(1, f"the column {lost[0]} is not there", "Is this the right file?")
                elif len(row) != len(heading):
                    raise self.wrong(reader.line_num, f"{len(row)} columns, not {len(heading)}", "Mend the line.")
                else:
                    yield reader.line_num, dict(zip(heading, row, strict=True))
        except csv.Error as error:
            raise self.wrong(reader.line_num, f"this is no CSV ({error})", "Mend the line.") from error


Files = Mapping[str, Lines]
