"""Checks a map at both ends: what its rows read exists in the source, what they write exists in the target and has the right type."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from suture.errors import InvalidSyntax
from suture.mapping import check_entries, engine, locations, origins, targets
from suture.mapping.functions import REGISTRY
from suture.mapping.generate_expressions import is_this
from suture.mapping.model import MISSING, Call, Expression, Map, Row
from suture.mapping.origins import Frame, Origin
from suture.mapping.sheet import Findings, Spot, nearest
from suture.mapping.targets import Place
from suture.standards.fhir import definitions
from suture.standards.fhir.fhirpath import tree

# a composite that is read as text is its first part; any other must say which part
FIRST = frozenset(["CWE", "CE", "CNE", "CF", "TS", "EI", "CX", "HD", "CQ"])
IMPLIED = (
    "date",
    "dateTime",
    "instant",
    "time",
    "decimal",
    "integer",
    "positiveInt",
    "unsignedInt",
    "boolean",
    "base64Binary",
)
VARIABLES = ("now", "source", "system", "root", "resource", "context", "new")


def check(made: Map, findings: Findings) -> None:
    """Adds what is wrong with the map to the findings."""
    frame = frame_of(made)
    if made.kind == "message":
        if made.part:
            check_entries.check(made, made.part, findings, rows)
        rows(made, made.rows, frame, "Bundle", findings)
    else:
        kind = "" if made.target == "json" else made.target
        rows(made, made.rows, frame, kind, findings)
        if made.kind in ("datatype", "json", "fhir"):
            required(made.rows, kind, made, findings)
    _ignored(made, frame, findings)


def frame_of(made: Map) -> Frame:
    """What the rows of a map can name."""
    if made.kind == "segment":
        return Frame(segment=made.source_name)
    if made.kind == "datatype":
        return Frame(parts=(made.source_name,), whole=True)
    fhir = made.kind == "fhir"
    return Frame(json=fhir or made.kind == "json", type=made.source_name if fhir else "", fhir=fhir)


def rows(made: Map, of: list[Row], frame: Frame, kind: str, findings: Findings) -> None:
    """Checks rows that write into a value of type `kind`; notes in each row what the compiler needs."""
    for row in of:
        _row(made, row, frame, kind, findings)


def _row(made: Map, row: Row, frame: Frame, kind: str, findings: Findings) -> None:
    if row.fail:
        _expressions(row, frame, findings)
        return
    places = targets.resolve(row.to, kind, row.sheet.value_at("to"), findings)
    if not places and row.to[0].name != "$this":
        _expressions(row, frame, findings)
        return
    row.kind = places[-1].kind if places else kind
    origin = _expressions(row, frame, findings)
    main = row.each or (row.source[0] if len(row.source) == 1 else None)
    inner = _inside(frame, main, origin)
    if row.each:
        row.part = origin.type
        _each(row, places, findings)
    elif row.where and not (frame.json or (main and isinstance(main.tree, tree.Location))):
        findings.add(
            row.sheet.at("where"), "'where' chooses among the repetitions of one location", "Write from: PID-3."
        )
    if row.where:
        _walk(row.where, inner, findings)
    if row.rows:
        rows(made, row.rows, inner, row.kind, findings)
        required(row.rows, row.kind, made, findings)
    else:
        _change(made, row, origin, frame, findings)
    _fill(row, findings)
    _otherwise(row, findings)


def _otherwise(row: Row, findings: Findings) -> None:
    """What stands in for a value has the target's type, too."""
    values = [("default", row.default)] + ([("on_miss", row.miss.value)] if row.miss.how == "use" else [])
    for key, value in values:
        for text, mend in targets.constant(value, row.kind) if value is not MISSING else ():
            findings.add(row.sheet.value_at(key), text, mend)


def _inside(frame: Frame, main: Expression | None, origin: Origin) -> Frame:
    """What is at hand for a repetition or item."""
    if main is None:
        return frame
    if frame.json:
        return Frame(json=True, fhir=frame.fhir)
    return frame.within(origin.type) if isinstance(main.tree, tree.Location) else frame


def _each(row: Row, places: tuple[Place, ...], findings: Findings) -> None:
    if places and row.join is None and not any(place.step.new for place in places):
        text = f"each repetition writes the same {row.to[-1].name}; only the last one stays"
        findings.warn(
            row.sheet.value_at("to"), text, "Write name[] for an item each, or from: for the first repetition."
        )


# --- what is read


def _expressions(row: Row, frame: Frame, findings: Findings) -> Origin:
    """Walks every expression of a row; gives what `each` or the first `from` is."""
    origin = Origin()
    first = True
    for key, expression in row.expressions():
        if key == "where":
            continue
        found = _walk(expression, frame, findings)
        if key in ("each", "from") and first:
            origin, first = found, False
    return origin


def _walk(expression: Expression, frame: Frame, findings: Findings) -> Origin:
    """Checks every location in an expression; gives the origin when the whole expression is one."""
    origin = Origin()
    for node in nodes(expression.tree):
        if isinstance(node, tree.Location):
            origin = _location(node.text, expression, frame, findings)
        elif isinstance(node, tree.External) and node.name not in VARIABLES:
            findings.add(expression.spot, f"there is no %{node.name}", nearest(node.name, [f"%{v}" for v in VARIABLES]))
        elif isinstance(node, tree.Member) and node.source is None and not frame.json:
            mend = "Write a location such as PID-3.1 (a minus has spaces), or a quoted text."
            findings.add(expression.spot, f"'{node.name}' is nothing in a message", mend)
    if isinstance(expression.tree, tree.Location):
        return origin
    if not frame.json and any(is_this(node) for node in nodes(expression.tree)):
        if is_this(expression.tree) and frame.parts and not frame.whole:
            return Origin(frame.parts[0])
        findings.add(expression.spot, "$this is no repetition here", "Write it alone, in rows: of an each: or from:.")
    compiles(expression.text, expression.spot, findings, frame.type)
    return Origin()


def compiles(text: str, spot: Spot, findings: Findings, kind: str = "") -> None:
    """Whether the engine knows every function (and, of a typed source, every element)."""
    try:
        engine.expression(text, type_=kind)
    except InvalidSyntax as error:
        findings.add(spot, f"not an expression: {error.text} ({error.where})", error.mend)


def nodes(node: tree.Syntax) -> Iterable[tree.Syntax]:
    """The node and all below, except what stands inside where(), select() … (that starts at their items)."""
    yield node
    if isinstance(node, tree.Call) and node.source is not None:
        yield from nodes(node.source)
        for argument in node.arguments:
            yield from (n for n in nodes(argument) if isinstance(n, tree.Location | tree.External))
        return
    for part in node.parts():
        yield from nodes(part)


def _location(text: str, expression: Expression, frame: Frame, findings: Findings) -> Origin:
    location = locations.read(text)
    if location is None:
        findings.add(expression.spot, f"'{text}' is no location", "Write it like PID-3.4.1.")
        return Origin()
    if frame.json:
        findings.add(
            expression.spot,
            f"'{text}' is a location of HL7 v2, the source is JSON",
            "Write a path such as patient.name.",
        )
        return Origin()
    origin = origins.find(location, frame)
    if origin.wrong:
        findings.add(expression.spot, origin.wrong, origin.mend)
    return origin


# --- what is written


def _change(made: Map, row: Row, origin: Origin, frame: Frame, findings: Findings) -> None:
    if row.reference:
        if not targets.fits("Reference", row.kind):
            findings.add(
                row.sheet.value_at("to"),
                f"a reference can't be written into {row.kind}",
                "Choose an element of type Reference.",
            )
    elif row.set is not MISSING:
        for text, mend in targets.constant(row.set, row.kind):
            findings.add(row.sheet.value_at("set"), text, mend)
    elif row.using:
        _using(made, row, origin, frame, findings)
    elif row.table:
        _translate(made, row, origin, findings)
    else:
        _plain(row, origin, findings)


def _using(made: Map, row: Row, origin: Origin, frame: Frame, findings: Findings) -> None:
    for name in row.using.maps.values() if row.using else ():
        used = made.uses.get(name)
        if used is None:
            continue
        spot = row.sheet.value_at("using")
        if used.kind not in (("json", "fhir") if frame.json else ("datatype",)):
            mend = "Name a map with source: json." if frame.json else "Name a datatype map."
            findings.add(spot, f"'{used.name}' reads {used.source}, not what is here", mend)
        elif used.kind == "datatype" and not origins.readable(origin.type, used.source_name):
            findings.add(
                spot,
                f"'{used.name}' reads {used.source_name}, here is {origin.type}",
                f"Look for a map of {origin.type}.",
            )
        _made_by(row, used, findings)
    if row.table:
        _columns(made, row, findings)


def _made_by(row: Row, used: Map, findings: Findings) -> None:
    spot = row.sheet.value_at("using")
    target = "" if used.target == "json" else used.target
    if row.kind == "Reference" and targets.is_resource(target):
        return
    if not targets.fits(target, row.kind):
        findings.add(
            spot,
            f"'{used.name}' makes {used.target}, {row.to[-1].name} is {row.kind}",
            f"Look for a map that makes {row.kind}.",
        )


def _translate(made: Map, row: Row, origin: Origin, findings: Findings) -> None:
    _columns(made, row, findings)
    _values(made, row, findings)
    _narrow(row, origin, findings)
    if row.kind and not targets.is_primitive(row.kind) and row.kind not in ("Coding", "CodeableConcept"):
        findings.add(
            row.sheet.value_at("to"),
            f"a table gives a code, {row.kind} can't hold one",
            "Write to a code, Coding or CodeableConcept.",
        )


def _values(made: Map, row: Row, findings: Findings) -> None:
    """Whether the texts of a table can become what the target is."""
    table = made.tables.get(row.table)
    if table is None or row.kind not in IMPLIED:
        return
    for text in table.column(row.column or "to").values():
        if REGISTRY[row.kind].work(text, engine.NOBODY) is None:
            findings.add(
                row.sheet.value_at("translate"),
                f"table '{row.table}' gives '{text}', which is no {row.kind}",
                "Write to another element, or mend the table.",
            )
            return


def _columns(made: Map, row: Row, findings: Findings) -> None:
    spot = row.sheet.value_at("translate")
    table = made.tables.get(row.table)
    if table is None:
        if row.table not in made.sheet.get("tables", {}):
            findings.add(
                spot,
                f"the map names no table '{row.table}'",
                nearest(row.table, made.tables, "Add it under tables: at the top."),
            )
    elif row.column and row.column not in table.columns:
        findings.add(spot, f"table '{row.table}' has no column '{row.column}'", nearest(row.column, table.columns))


def _plain(row: Row, origin: Origin, findings: Findings) -> None:
    """A text, changed by functions or not, written as it is."""
    if row.calls:
        _narrow(row, origin, findings)
        _given(row, findings)
        return
    if not row.kind or (row.sheet.get("from") is None and row.each is None and not row.concat):
        return
    if row.kind in IMPLIED:
        row.calls = (Call(row.kind),)
        _narrow(row, origin, findings)
    elif targets.text_fits(row.kind):
        _narrow(row, origin, findings)
    elif not _untyped(row):
        what = (
            f"{origin.type} is not {row.kind}"
            if origins.composite(origin.type)
            else f"text can't be written into {row.kind}"
        )
        findings.add(row.sheet.value_at("to"), what, _mend(row, origin))


def _untyped(row: Row) -> bool:
    """Whether what the row reads can be a whole JSON value."""
    expressions = [e for key, e in row.expressions() if key in ("each", "from")]
    return bool(expressions) and not any(isinstance(n, tree.Location) for e in expressions for n in nodes(e.tree))


def _mend(row: Row, origin: Origin) -> str:
    if row.kind == "CodeableConcept":
        return "Write using: CWE, translate: with a table, or to: ….text."
    if row.kind == "Reference":
        return "Write reference: with an entry, using: with a map that makes a resource, or to: ….display."
    if origins.composite(origin.type):
        return f"Write using: {origin.type} (a map that makes {row.kind})."
    return f"Write using: with a map that makes {row.kind}, or name one of its elements."


def _narrow(row: Row, origin: Origin, findings: Findings) -> None:
    """A composite that is read as text must say which part."""
    takes_parts = bool(row.calls) and REGISTRY[row.calls[0].name].takes == "parts"
    if takes_parts or not origins.composite(origin.type) or origin.type in FIRST:
        return
    key = "each" if row.each else "from"
    findings.add(
        row.sheet.value_at(key),
        f"{row.sheet.get(key)} is {origin.type}, a datatype with parts",
        f"Say which part ({row.sheet.get(key)}.1), or using: {origin.type}.",
    )


def _given(row: Row, findings: Findings) -> None:
    gives = REGISTRY[row.calls[-1].name].gives
    if gives == "list":
        if row.kind and not row.to[-1].new:
            findings.add(
                row.sheet.value_at("to"), f"'{row.calls[-1].name}' gives several texts", f"Write {row.to[-1].name}[]."
            )
        gives = "string"
    if row.kind and not targets.fits(gives, row.kind):
        findings.add(
            row.sheet.value_at("as"),
            f"'{row.calls[-1].name}' gives {gives}, {row.to[-1].name} is {row.kind}",
            _given_mend(row.kind),
        )


def _given_mend(kind: str) -> str:
    named = [f.name for f in REGISTRY.values() if targets.fits(f.gives, kind)]
    return f"Write as: {' or '.join(named[:6])}." if named else f"No function gives {kind}; write using: with a map."


def _fill(row: Row, findings: Findings) -> None:
    if not row.fill:
        return
    if row.kind and targets.is_primitive(row.kind):
        findings.add(row.sheet.at("fill"), f"{row.kind} has no members to fill", "Use default: or another row.")
        return
    kind = row.kind
    if kind == "Reference" and row.using:
        return
    for text, mend in targets.constant(row.fill, kind):
        findings.add(row.sheet.value_at("fill"), text, mend)


# --- the whole


def required(of: list[Row], kind: str, made: Map, findings: Findings, also: Iterable[str] = ()) -> None:
    """Warns of required elements that no row writes."""
    definition = definitions.type_definition(kind) if kind else None
    if definition is None or definition.kind == "primitive":
        return
    of = [row for row in of if not row.fail]
    if any(row.to[0].name == "$this" for row in of):
        return
    written = {definition.keys[row.to[0].name][0].name for row in of if row.to[0].name in definition.keys} | set(also)
    for name, element in definition.elements.items():
        if element.min and name not in written:
            spot = made.sheet.value_at("target")
            findings.warn(spot, f"{element.path} is required and no row writes it", f"Add a row with to: {name}.")


def _ignored(made: Map, frame: Frame, findings: Findings) -> None:
    ignore = made.sheet.get("ignore", {})
    for name in made.ignore:
        location = locations.read(name)
        if location is None:
            if len(name) != 3 and made.kind != "json":
                findings.add(
                    ignore.at(name), f"'{name}' is no place", "Write PID-1: why, or a segment such as GT1: why."
                )
            continue
        found: Any = origins.find(location, frame)
        if found.wrong:
            findings.add(ignore.at(name), found.wrong, found.mend)
