"""Examples of maps: a sample goes in, what comes out is compared; run by `suture test` and by the golden tests."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from suture.errors import InvalidFile, Problem
from suture.mapping.compile import Compiled, Result
from suture.mapping.context import Context, Source
from suture.mapping.library import Library
from suture.standards.fhir import json

# where and when every example happens
GOLDEN = Context(source=Source(id="golden", time_zone="America/Chicago"), now="2026-01-15T08:30:00-06:00")
KEPT = ("merges", "loss", "warnings")  # an `out` file may hold these beside `value`


@dataclass(frozen=True, slots=True)
class Difference:
    """One place where what came out is not what was expected."""

    place: str
    text: str


def content(library: Library, compiled: Compiled, example: dict[str, Any]) -> Any:
    """What goes in."""
    if "text" in example:
        return example["text"]
    text = _file(library, compiled, example["in"])
    return json.read(text.encode()) if compiled.map.kind in ("json", "fhir") else text.replace("\n", "\r")


def expected(library: Library, compiled: Compiled, example: dict[str, Any]) -> Any:
    """What should come out."""
    if "value" in example:
        return example["value"]
    return json.read(_file(library, compiled, example["out"]).encode())


def run(library: Library, compiled: Compiled, example: dict[str, Any], context: Context = GOLDEN) -> Result:
    return compiled.run(content(library, compiled, example), context)


def check(library: Library, compiled: Compiled, example: dict[str, Any]) -> list[Difference]:
    """Runs an example; no difference is success."""
    made = run(library, compiled, example).value
    return list(differences(made, expected(library, compiled, example), ""))


def differences(made: Any, wanted: Any, place: str) -> Iterator[Difference]:
    """Where two JSON values differ."""
    if isinstance(made, dict) and isinstance(wanted, dict):
        for key in [*wanted, *(key for key in made if key not in wanted)]:
            way = f"{place}.{key}" if place else key
            if key not in made:
                yield Difference(way, "is missing")
            elif key not in wanted:
                yield Difference(way, "should not be there")
            else:
                yield from differences(made[key], wanted[key], way)
    elif isinstance(made, list) and isinstance(wanted, list):
        if len(made) != len(wanted):
            yield Difference(place, f"has {len(made)} items, not {len(wanted)}")
        for number, (one, other) in enumerate(zip(made, wanted, strict=False)):
            yield from differences(one, other, f"{place}[{number}]")
    elif made != wanted or isinstance(made, bool) is not isinstance(wanted, bool):
        yield Difference(place, f"is {made!r}, not {wanted!r}")


def _file(library: Library, compiled: Compiled, name: str) -> str:
    text = library.text(name)
    if text is None:
        where = compiled.map.sheet.value_at("examples")
        raise InvalidFile(
            [Problem(where.file, where.line, where.column, f"there is no sample '{name}'", "Put it into maps/samples.")]
        )
    return text
