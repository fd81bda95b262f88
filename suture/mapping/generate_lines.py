"""What generated Python consists of: lines, constants, and the sites that its trace speaks of."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from suture.mapping import locations
from suture.mapping.generate_expressions import NotSimple, Reads, Writer, engine_text, places
from suture.mapping.locations import Location
from suture.mapping.model import MISSING, Expression, Map, Row
from suture.mapping.origins import Frame
from suture.mapping.runtime import SHIFT
from suture.mapping.targets import Place
from suture.standards.fhir.fhirpath import tree


@dataclass(frozen=True, slots=True)
class Site:
    """What an event of the trace means: a row that wrote, a part that no row read, a warning."""

    kind: str  # row | loss | warning | feed
    map: str
    row: str
    source: str  # location as written, relative to the map's source
    target: tuple[Place, ...] = ()
    each: bool = False
    callee: str = ""  # map or rows that make the value
    text: str = ""  # of a warning


@dataclass(slots=True)
class Unit:
    """Everything that one compiled map consists of."""

    lines: list[str] = field(default_factory=list)
    constants: dict[str, Any] = field(default_factory=dict)
    sites: list[Site] = field(default_factory=list)
    functions: dict[str, str] = field(default_factory=dict)  # map name -> function
    widths: dict[str, int] = field(default_factory=dict)  # segment -> highest field that is read
    fields: dict[str, dict[int, set[int] | None]] = field(default_factory=dict)
    specs: dict[str, Any] = field(default_factory=dict)
    fed: dict[str, list[Map]] = field(default_factory=dict)  # segment -> maps that read it
    escapes: bool = True  # whether the message may hold escape sequences or nulls
    counter: int = 0

    def fresh(self, stem: str) -> str:
        self.counter += 1
        return f"{stem}{self.counter}"

    def constant(self, stem: str, value: Any) -> str:
        for name, known in self.constants.items():
            if known is value:
                return name
        name = self.fresh(stem)
        self.constants[name] = value
        return name

    def site(self, site: Site) -> int:
        self.sites.append(site)
        return len(self.sites) - 1 << SHIFT

    def merge(self, reads: Reads) -> None:
        """Adds what a function reads of segments."""
        for name, width in reads.widths.items():
            self.widths[name] = max(self.widths.get(name, 0), width)
        for name, numbers in reads.fields.items():
            known = self.fields.setdefault(name, {})
            for number, parts in numbers.items():
                before = known.get(number, set())
                known[number] = None if parts is None or before is None else before | parts


class Lines:
    """The body of one generated function, and the expressions in it."""

    def __init__(self, unit: Unit, made: Map, rows: list[Row], frame: Frame, kind: str, name: str) -> None:
        self.unit = unit
        self.map = made
        self.rows = rows
        self.kind = kind
        self.name = name
        self.id = made.name
        self.body: list[str] = []
        self.depth = 1
        self.locals: list[str] = []
        self.kept: set[str] = set()  # labelled items that references write into when the entries are known
        self.holders: dict[tuple[str, ...], str] = {}
        self.labels: dict[tuple[str, ...], str] = {}
        self.reads = Reads()
        self.writer = Writer(frame, self.reads, escapes=unit.escapes)
        self.written = {row.to[0].name for row in rows}

    def line(self, text: str) -> None:
        self.body.append("    " * self.depth + text)

    @contextmanager
    def block(self, head: str) -> Iterator[None]:
        self.line(head)
        self.depth += 1
        yield
        self.depth -= 1

    # --- expressions

    def condition(self, expression: Expression) -> str:
        try:
            return self.writer.condition(expression.tree)
        except NotSimple:
            return self._engine(expression, "HOLDS")

    def value(self, expression: Expression) -> str:
        try:
            return self.writer.value(expression.tree)
        except NotSimple:
            return self._engine(expression, "FIRST_OF")

    def items(self, expression: Expression) -> str:
        try:
            return self.writer.items(expression.tree)
        except NotSimple:
            return self._engine(expression, "ALL_OF")

    def _engine(self, expression: Expression, how: str) -> str:
        name = self.unit.constant("K", engine_text(expression))
        found = []
        for text in dict.fromkeys(places(expression)):
            location = locations.read(text)
            if location is not None:
                found.append(f"{text!r}: {self.writer.all(location)}")
        focus = "j" if self.writer.frame.json else "None"
        return f"{how}(r, {name}, {focus}, {{{', '.join(found)}}})"

    # --- rows

    def _site(self, row: Row, found: tuple[Place, ...]) -> Site:
        source = (
            row.each.text
            if row.each
            else " | ".join(e.text for e in row.source)
            or "".join(f"{e.text} " for e in row.concat if isinstance(e.tree, tree.Location)).strip()
        )
        if row.set is not MISSING:
            source = row.when.text if row.when else ""
        if row.reference:
            source = f"entry {row.reference}"
        return Site(
            "row", self.id, row.id, source, found, bool(row.each or row.where or row.rows), callee=self._callee(row)
        )

    def _callee(self, row: Row) -> str:
        if row.rows:
            return f"{self.id}#{row.id}"
        if row.using:
            return self.map.uses[next(iter(row.using.maps.values()))].name if len(row.using.maps) == 1 else "*"
        return ""

    def _location(self, expression: Expression) -> Location | None:
        return locations.read(expression.tree.text) if isinstance(expression.tree, tree.Location) else None
