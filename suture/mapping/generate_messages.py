"""Writes the Python of message maps: conditions and rows of entries; the walk itself is suture.mapping.walk."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from suture.mapping import generate
from suture.mapping.generate import Function
from suture.mapping.generate_lines import Site, Unit
from suture.mapping.model import Entry, Expression, Feed, Map, Part
from suture.mapping.origins import Frame
from suture.mapping.runtime import Spec
from suture.mapping.walk import Fed, Made, Stage
from suture.standards.fhir import fhirpath
from suture.standards.hl7v2 import tables as v2


@dataclass(slots=True)
class Written:
    """A stage while its functions are still names."""

    stage: Stage
    names: list[tuple[Any, str, str]] = field(default_factory=list)  # object, attribute, function
    rows: str = ""  # function of the rows of the Bundle itself


def write(unit: Unit, made: Map) -> Written:
    """Writes everything of a message map into the unit."""
    specify(unit, made)
    for used in made.uses.values():
        generate.function(unit, used)
    written = Written(Stage(""))
    written.stage = _stage(unit, made, made.part or Part("", made.sheet), v2.structure(made.source_name) or [], written)
    if made.rows:
        written.rows = _rows(unit, made, made.rows, "Bundle")
    return written


def bind(written: Written, namespace: dict[str, Any]) -> Stage:
    """Puts the compiled functions where their names were."""
    for holder, attribute, name in written.names:
        setattr(holder, attribute, namespace[name])
    return written.stage


def specify(unit: Unit, made: Map) -> None:
    """How the resources of all maps used meet what is stored."""
    unit.specs[made.name] = spec(made.target, made, None)
    for used in made.uses.values():
        if used.name not in unit.specs:
            specify(unit, used)


def spec(resource: str, of: Map | None, entry: Entry | None) -> Spec:
    """The entry's own words, else its map's."""
    own, other = (entry.meeting if entry else None), (of.meeting if of else None)

    def said(name: str) -> Any:
        found = getattr(own, name) if own else None
        return found if found is not None else getattr(other, name) if other else None

    match = said("match") or ""
    pick = fhirpath.compile(match) if match and match != "identifier" else None
    how = said("write") or ("update" if match else "create")
    return Spec(
        resource,
        match,
        pick,
        how,
        said("snapshot") or (),
        said("keep") or (),
        said("clears") or (),
        said("twice") == "number",
    )


def _stage(unit: Unit, made: Map, part: Part, rows: list[list[Any]], written: Written) -> Stage:
    single = frozenset(row[0] for row in rows if len(row) > 2 and row[1] in "?1")
    stage = Stage(part.name, single=single)
    _test(unit, made, stage, "when", part.when, "", written)
    for entry in part.entries:
        stage.entries.append(_made(unit, made, entry, written))
    for inner in part.parts:
        below: list[list[Any]] = next((row[2] for row in rows if row[0] == inner.name and len(row) > 2), [])
        stage.stages.append(_stage(unit, made, inner, below, written))
    return stage


def _made(unit: Unit, made: Map, entry: Entry, written: Written) -> Made:
    used = made.uses.get(entry.feed.using) if entry.feed else None
    main = _fed(unit, made, entry, entry.feed, written) if entry.feed else None
    also = [_fed(unit, made, entry, feed, written) for feed in entry.also]
    done = Made(entry.id, spec(entry.resource, used, entry), main, also)
    _test(unit, made, done, "when", entry.when, "", written)
    if entry.rows:
        written.names.append((done, "rows", _rows(unit, made, entry.rows, entry.resource)))
    return done


def _fed(unit: Unit, made: Map, entry: Entry, feed: Feed, written: Written) -> Fed:
    used = made.uses.get(feed.using)
    site = unit.site(Site("feed", f"{made.name}#{entry.id}", entry.id, feed.segment, callee=used.name if used else ""))
    fed = Fed(feed.place[:-1], feed.segment, feed.each, None, site)
    unit.widths.setdefault(feed.segment, 0)
    unit.fields.setdefault(feed.segment, {})
    if used:
        written.names.append((fed, "function", unit.functions[used.name]))
        unit.fed.setdefault(feed.segment, []).append(used)
    _test(unit, made, fed, "when", feed.when, "", written)
    _test(unit, made, fed, "where", feed.where, feed.segment, written)
    return fed


def _test(
    unit: Unit, made: Map, holder: Any, key: str, expression: Expression | None, segment: str, written: Written
) -> None:
    if expression is None:
        return
    name = unit.fresh("q")
    function = Function(unit, made, [], Frame(segment=segment), "", name)
    condition = function.condition(expression)
    unit.lines += [f"def {name}(r, f):", *function.head(), f"    return {condition}", ""]
    unit.merge(function.reads)
    written.names.append((holder, key, name))


def _rows(unit: Unit, made: Map, rows: list[Any], kind: str) -> str:
    name = unit.fresh("e")
    function = Function(unit, made, rows, Frame(), kind, name)
    function.write()
    unit.lines += [f"def {name}(r, t, o):", *function.head(), *(function.body or ["    pass"]), *function.end(), ""]
    return name
