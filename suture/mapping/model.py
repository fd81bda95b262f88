"""A map as it was read: head, rows, entries; plain tables that the checker, the compiler and the lineage read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from suture.mapping.paths import Path
from suture.mapping.sheet import Sheet, Spot
from suture.mapping.tables import Table
from suture.standards.fhir.fhirpath import tree

MISSING: Any = type("Missing", (), {"__repr__": lambda self: "MISSING", "__slots__": ()})()


@dataclass(slots=True)
class Expression:
    """A FHIRPath with locations, its tree, and where it stands."""

    text: str
    tree: tree.Syntax
    spot: Spot


@dataclass(frozen=True, slots=True)
class Call:
    """A registered function with its arguments."""

    name: str
    arguments: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Miss:
    """What happens when a table has no row or a function can't read the value."""

    how: str = "drop"  # drop | keep | fail | use
    value: Any = None
    warn: bool = True


@dataclass(slots=True)
class Using:
    """The map that makes the value; with `by`, one map for each text at a place (`*` for all others)."""

    maps: dict[str, str]  # text -> map name; "" when there is only one
    by: Expression | None = None


@dataclass(slots=True)
class Row:
    """One row. Exactly one of each, source, set, concat, reference, fail is there."""

    id: str
    sheet: Sheet
    to: Path
    each: Expression | None = None
    source: tuple[Expression, ...] = ()
    set: Any = MISSING
    concat: tuple[Expression, ...] = ()
    joiner: str = " "
    reference: str = ""
    fail: str = ""  # why the whole map gives up when `when` holds
    where: Expression | None = None
    when: Expression | None = None
    using: Using | None = None
    rows: list[Row] = field(default_factory=list)
    calls: tuple[Call, ...] = ()
    table: str = ""
    column: str = ""
    miss: Miss = field(default_factory=Miss)
    default: Any = MISSING
    fill: dict[str, Any] = field(default_factory=dict)
    once: bool = False
    join: str | None = None  # between what stands there already and the text that comes
    kind: str = ""  # FHIR type the target element has (found by the checker; '' over free JSON)
    part: str = ""  # HL7 datatype that `each` walks (found by the checker)

    @property
    def spot(self) -> Spot:
        return self.sheet.spot

    def expressions(self) -> Iterator[tuple[str, Expression]]:
        """Every expression with the key it stands under."""
        if self.each:
            yield "each", self.each
        yield from (("from", e) for e in self.source)
        yield from (("concat", e) for e in self.concat)
        if self.where:
            yield "where", self.where
        if self.when:
            yield "when", self.when
        if self.using and self.using.by:
            yield "by", self.using.by


@dataclass(slots=True)
class Feed:
    """A segment (or each one of a name) that a map turns into an entry's resource."""

    place: tuple[str, ...]  # groups on the way, segment last
    each: bool
    using: str  # name of a segment map; '' when only rows make the resource
    sheet: Sheet
    when: Expression | None = None
    where: Expression | None = None

    @property
    def segment(self) -> str:
        return self.place[-1]


@dataclass(frozen=True, slots=True)
class Keep:
    """What stays as it is stored when a condition over the stored resource holds."""

    condition: str
    elements: tuple[str, ...] = ()


@dataclass(slots=True)
class Meeting:
    """How a resource meets what is stored; None where an entry leaves it to its map."""

    match: str | None = None
    write: str | None = None
    snapshot: tuple[str, ...] | None = None
    clears: tuple[str, ...] | None = None
    twice: str | None = None
    keep: tuple[Keep, ...] | None = None


@dataclass(slots=True)
class Entry:
    """A resource of the Bundle."""

    id: str
    sheet: Sheet
    resource: str
    feed: Feed | None
    also: list[Feed] = field(default_factory=list)
    when: Expression | None = None
    rows: list[Row] = field(default_factory=list)
    meeting: Meeting = field(default_factory=Meeting)


@dataclass(slots=True)
class Part:
    """One pass of a group (or the whole message): its entries, then the groups inside."""

    name: str  # group of the message structure; '' for the message itself
    sheet: Sheet
    when: Expression | None = None
    entries: list[Entry] = field(default_factory=list)
    parts: list[Part] = field(default_factory=list)


@dataclass(slots=True)
class Map:
    """A map file, overlays already applied."""

    name: str
    file: str
    sheet: Sheet
    title: str = ""
    source: str = ""  # as written: hl7v2.PID
    kind: str = ""  # datatype | segment | message | json | fhir
    source_name: str = ""  # PID, CX, ADT_A01, Patient; '' for json
    target: str = ""
    bundle: str = "transaction"
    covers: tuple[str, ...] = ()  # message structures besides its own
    rows: list[Row] = field(default_factory=list)
    part: Part | None = None
    tables: dict[str, Table] = field(default_factory=dict)
    meeting: Meeting = field(default_factory=Meeting)
    ignore: dict[str, str] = field(default_factory=dict)
    examples: list[dict[str, Any]] = field(default_factory=list)
    uses: dict[str, Map] = field(default_factory=dict)  # every map it names, by the name as written
    warnings: tuple[Any, ...] = ()

    @property
    def folder(self) -> str:
        return self.name.rpartition("/")[0]
