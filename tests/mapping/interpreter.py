"""A plain interpreter of rows, slow and simple: the oracle that compiled maps are compared with."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field, replace
from typing import Any

from suture.errors import Unmapped
from suture.mapping import engine, locations, origins, targets
from suture.mapping.context import Context
from suture.mapping.functions import REGISTRY, Doubt, number_text
from suture.mapping.generate_expressions import engine_text, places
from suture.mapping.model import MISSING, Expression, Map, Row
from suture.mapping.origins import Frame
from suture.mapping.paths import Step
from suture.mapping.runtime import Run, display, recode
from suture.mapping.sheet import Findings
from suture.mapping.tables import coding
from suture.standards.fhir.fhirpath import tree
from suture.standards.hl7v2.escapes import unescape


@dataclass
class Here:
    """What is at hand."""

    frame: Frame
    segments: dict[str, list[str]] = field(default_factory=dict)
    parts: dict[str, list[str]] = field(default_factory=dict)
    json: Any = None
    this: tuple[str, str, str] | None = None  # the repetition at hand, the separator of its parts, its datatype


def cut(raw: str, type_: str, inside: bool) -> str:
    """The text in something written."""
    if origins.composite(type_):
        if not inside:
            raw = raw.split("^")[0]
            return unescape(raw if type_ in ("CWE", "CE") else raw.split("&")[0])
        return unescape(raw.split("&")[0])
    if not inside and type_ not in ("TX", "FT", "ST", "varies", ""):
        raw = raw.split("^")[0]
    return unescape(raw)


def at(items: list[str], number: int) -> str:
    return items[number - 1] if number <= len(items) else ""


class Interpreter:
    def __init__(self, context: Context) -> None:
        self.context = context
        self.host: dict[str, Any] = {}
        self.deletes: list[dict[str, Any]] = []

    # --- reading

    def raws(self, text: str, here: Here) -> list[str]:
        """What is written at a location, one for each repetition; absent ones are ''."""
        location = locations.read(text)
        assert location is not None
        if location.of_segment:
            fields = here.segments.get(location.root, [])
            whole = fields[location.field] if location.field < len(fields) else ""
            envelope = location.root == "MSH" and location.field <= 2
            found = [whole] if envelope else whole.split("~")
            if location.repetition:
                found = [at(found, location.repetition)]
            if location.component:
                found = [at(one.split("^"), location.component) for one in found]
        else:
            found = [at(self._parts(location.root, here), location.component)]
        if location.subcomponent:
            found = [at(one.split("&"), location.subcomponent) for one in found]
        return found

    def _parts(self, root: str, here: Here) -> list[str]:
        for name, parts in here.parts.items():
            alike = origins.ALIKE.get(name, name) == origins.ALIKE.get(root, root)
            if name == root or alike or name in ("varies", ""):
                return parts
        raise AssertionError(root)

    def texts(self, text: str, here: Here) -> list[str]:
        location = locations.read(text)
        assert location is not None
        origin = origins.find(location, here.frame)
        inside = bool(location.component)
        found = []
        for raw in self.raws(text, here):
            made = unescape(raw) if location.subcomponent else cut(raw, origin.type, inside)
            if not made and raw.strip("^&"):
                made = unescape(raw)
            found.append("" if made == '""' else made)
        if location.of_segment and not origin.repeats and not location.repetition:
            found = found[:1]
        return [one for one in found if one]

    def everything(self, expression: Expression, here: Here) -> list[Any]:
        run = Run(self.context)
        run.root = here.json
        found = {text: self.texts(text, here) for text in places(expression)}
        return engine.everything(run, engine_text(expression), here.json, found)

    def holds(self, expression: Expression, here: Here) -> bool:
        run = Run(self.context)
        found = {text: self.texts(text, here) for text in places(expression)}
        return engine.holds(run, engine_text(expression), here.json, found)

    def first(self, expression: Expression, here: Here) -> Any:
        if isinstance(expression.tree, tree.Location):
            return self.text(expression.tree.text, here)
        found = self.everything(expression, here)
        return "" if not found else number_text(found[0]) if not here.frame.json else found[0]

    def text(self, text: str, here: Here) -> str:
        """A location is its first repetition, present or not."""
        location = locations.read(text)
        assert location is not None
        raw = self.raws(text, here)[0]
        made = (
            unescape(raw)
            if location.subcomponent
            else cut(raw, origins.find(location, here.frame).type, bool(location.component))
        )
        return "" if made == '""' else made

    # --- maps and rows

    def map(self, made: Map, here: Here) -> Any:
        kind = "" if made.target == "json" else made.target
        outer = self.host
        value: Any = {"resourceType": kind} if targets.is_resource(kind) else None if targets.is_primitive(kind) else {}
        if targets.is_resource(kind):
            self.host = value
        value = self.rows(made, made.rows, here, kind, value)
        self.host = outer
        if targets.is_resource(kind):
            return value if len(value) > 1 else None
        return value if targets.is_primitive(kind) else value or None

    def rows(self, made: Map, rows: list[Row], here: Here, kind: str, o: Any) -> Any:
        labels: dict[str, int] = {}
        for row in rows:
            if row.when and not self.holds(row.when, here):
                continue
            if row.fail:
                raise Unmapped(row.fail, where=f"{made.name}:{row.id}")
            for value, null in self.sources(made, row, here, kind):
                if null:
                    continue
                if value is None:
                    continue
                for one in value if isinstance(value, list) else [value]:
                    if row.fill:
                        one = {**one, **{k: v for k, v in copy.deepcopy(row.fill).items() if k not in one}}
                    o = self.put(made, row, kind, o, one, labels)
        return o

    def sources(self, made: Map, row: Row, here: Here, kind: str) -> list[tuple[Any, bool]]:
        if row.set is not MISSING:
            return [(copy.deepcopy(row.set), False)]
        if row.each:
            return [
                (self.change(made, row, raw, inner, row.each), False) for raw, inner in self.items(row, row.each, here)
            ]
        if row.concat:
            x = self.joined(row, here)
            if not x and row.calls and REGISTRY[row.calls[0].name].of_nothing:
                return [(self.change(made, row, "", here, None), False)]
        elif (row.where or row.rows) and isinstance(row.source[0].tree, tree.Location):
            found = self.items(row, row.source[0], here)
            return [(self.change(made, row, *found[0], row.source[0]), False)] if found else self.absent(row)
        else:
            for expression in row.source:
                raw = self.raw(row, expression, here)
                if raw not in ("", None) and (raw != '""' or len(row.source) == 1):
                    break
            x = raw
            of_nothing = row.calls and REGISTRY[row.calls[0].name].of_nothing
            if x in ("", None, '""'):
                return [(self.change(made, row, "", here, None), False)] if of_nothing else self.absent(row)
            return [(self.change(made, row, x, here, expression), False)]
        return [(self.change(made, row, x, here, None), False)] if x else self.absent(row)

    def absent(self, row: Row) -> list[tuple[Any, bool]]:
        return [] if row.default is MISSING else [(copy.deepcopy(row.default), False)]

    def joined(self, row: Row, here: Here) -> str:
        parts = [(isinstance(e.tree, tree.Literal), self.first(e, here)) for e in row.concat]
        if not any(text for literal, text in parts if not literal):
            return ""
        return row.joiner.join(str(text) for _, text in parts if text)

    def wants_raw(self, row: Row) -> bool:
        return bool(row.using or row.rows or (row.calls and REGISTRY[row.calls[0].name].takes == "parts"))

    def raw(self, row: Row, expression: Expression, here: Here) -> Any:
        if isinstance(expression.tree, tree.Special) and here.this:
            return here.this[0] if self.wants_raw(row) else cut(here.this[0], here.this[2], here.this[1] == "&")
        if self.wants_raw(row) and isinstance(expression.tree, tree.Location):
            return self.raws(expression.tree.text, here)[0]
        if isinstance(expression.tree, tree.Location) and self.raws(expression.tree.text, here)[0] == '""':
            return '""'
        return self.first(expression, here)

    def items(self, row: Row, expression: Expression, here: Here) -> list[tuple[Any, Here]]:
        """Repetitions that fulfil `where`, with what is at hand inside."""
        found: list[tuple[Any, Here]] = []
        if not isinstance(expression.tree, tree.Location):
            for item in self.everything(expression, here):
                inner = replace(here, json=item) if here.frame.json else here
                if item not in ("", None) and (row.where is None or self.holds(row.where, inner)):
                    found.append((item, inner))
            return found
        location = locations.read(expression.tree.text)
        assert location is not None
        type_ = origins.find(location, here.frame).type
        mark = "&" if location.component else "^"
        for raw in self.raws(expression.tree.text, here):
            if raw in ("", '""'):
                continue
            parts = {type_: raw.split(mark), **here.parts}
            inner = replace(here, frame=here.frame.within(type_), parts=parts, this=(raw, mark, type_))
            if row.where is None or self.holds(row.where, inner):
                text = raw if self.wants_raw(row) else cut(raw, type_, bool(location.component))
                if text and text != '""':
                    found.append((text, inner))
        return found

    def change(self, made: Map, row: Row, x: Any, here: Here, expression: Expression | None) -> Any:
        if row.rows:
            kind = row.kind
            start: Any = (
                {"resourceType": kind} if targets.is_resource(kind) else None if targets.is_primitive(kind) else {}
            )
            y = self.rows(made, row.rows, here, kind, start)
            y = y if targets.is_primitive(kind) else y or None
        elif row.using:
            y = self.used(made, row, x, here, expression)
        elif row.calls:
            y = number_text(x) if here.frame.json else x
            for call in row.calls:
                if y is not None:
                    y = REGISTRY[call.name].work(y, self.context.source, *call.arguments)
                    y = y.value if isinstance(y, Doubt) else y
            if y is None:
                y = self.missed(row, x)
            if row.table and y is not None:
                y = self.translated(made, row, y)
        elif row.table:
            y = self.translated(made, row, x)
        else:
            y = x
        return y

    def used(self, made: Map, row: Row, x: Any, here: Here, expression: Expression | None) -> Any:
        assert row.using is not None
        key = self.first(row.using.by, here) if row.using.by else ""
        name = row.using.maps.get(key) or row.using.maps.get("*")
        if name is None:
            return None
        used = made.uses[name]
        if used.kind == "datatype":
            location = (
                locations.read(expression.tree.text)
                if expression and isinstance(expression.tree, tree.Location)
                else None
            )
            mark = "&" if location and location.component else "^"
            if expression and isinstance(expression.tree, tree.Special) and here.this:
                mark = here.this[1]
            inner = Here(Frame(parts=(used.source_name,)), here.segments, {used.source_name: x.split(mark)})
        else:
            inner = Here(Frame(json=True), json=x)
        y = self.map(used, inner)
        if row.kind == "Reference" and targets.is_resource(used.target):
            y = self.contain(y)
        if y is not None and row.table and not recode(y, made.tables[row.table]) and row.miss.how == "use":
            y = copy.deepcopy(row.miss.value)
        return y

    def contain(self, y: Any) -> Any:
        if y is None:
            return None
        held = self.host.setdefault("contained", [])
        held += [inner for inner in y.pop("contained", []) if inner not in held]
        name = f"{y['resourceType'].lower()}-{self.context.new_id(repr(y))[:18]}"
        made = {"resourceType": y["resourceType"], "id": name, **y}
        if made not in held:
            held.append(made)
        label = display(y)
        return {"reference": f"#{name}", **({"display": label} if label else {})}

    def translated(self, made: Map, row: Row, x: str) -> Any:
        found = made.tables[row.table].find(x)
        if row.kind == "CodeableConcept" and not row.column:
            return {"coding": [coding(r) for r in found]} if found else self.missed(row, x)
        if row.kind == "Coding" and not row.column:
            return coding(found[0]) if found else self.missed(row, x)
        text = found[0].get(row.column or "to") if found else None
        if text is not None and row.kind in ("boolean", "integer", "decimal", "positiveInt", "unsignedInt"):
            text = REGISTRY[row.kind].work(text, self.context.source)
        return self.missed(row, x) if text is None else text

    def missed(self, row: Row, x: Any) -> Any:
        if row.miss.how == "use":
            return copy.deepcopy(row.miss.value)
        if row.miss.how == "keep":
            if row.kind in ("CodeableConcept", "Coding"):
                return {"text" if row.kind == "CodeableConcept" else "code": x}
            return x if targets.text_fits(row.kind) else None
        assert row.miss.how != "fail"
        return None

    # --- writing

    def put(self, made: Map, row: Row, kind: str, o: Any, y: Any, labels: dict[str, int]) -> Any:
        if row.to[0].name == "$this":
            if targets.is_primitive(kind):
                return o if row.once and o is not None else y
            return {**y, **o} if row.once else {**o, **y}
        found = targets.resolve(row.to, kind, row.spot, Findings())
        if row.once and self.is_there(found, o, labels):
            return o
        holder, way = o, ""
        for place in found[:-1]:
            way += f".{place.step}"
            holder = self.step(holder, place, way, labels)
        place = found[-1]
        way += f".{place.step}"
        if place.many:
            items = holder.setdefault(place.key, [])
            if not place.step.new and way in labels and len(labels) and labels[way] < len(items):
                items[labels[way]] = y
            else:
                if not place.step.new:
                    labels[way] = len(items)
                items.append(y)
            return o
        if len(found) == 1 and kind:
            definition = targets.definitions.type_definition(kind)
            assert definition is not None
            element = definition.keys[place.step.name][0]
            for key, (other, _) in definition.keys.items():
                if element.choice and other is element and key != place.key:
                    holder.pop(key, None)
        if row.join is not None and holder.get(place.key):
            y = holder[place.key] + row.join + y
        holder[place.key] = y
        return o

    def is_there(self, found: Any, o: Any, labels: dict[str, int]) -> bool:
        holder, way = o, ""
        for place in found[:-1]:
            way += f".{place.step}"
            below = holder.get(place.key)
            if below is None:
                return False
            if place.many:
                if place.step.new:
                    return False
                if place.step.url:
                    below = next((e for e in below if e.get("url") == place.step.url), None)
                else:
                    below = below[labels[way]] if way in labels else None
                if below is None:
                    return False
            holder = below
        return bool(holder.get(found[-1].key)) if found[-1].many else found[-1].key in holder

    def step(self, holder: Any, place: Any, way: str, labels: dict[str, int]) -> Any:
        step: Step = place.step
        if not place.many:
            return holder.setdefault(place.key, {})
        items = holder.setdefault(place.key, [])
        if step.url and not step.new:
            for item in items:
                if item.get("url") == step.url:
                    return item
        elif not step.new and "[]" not in way and way in labels:
            return items[labels[way]]
        if not step.new:
            labels[way] = len(items)
        items.append({"url": step.url} if step.url else {})
        return items[-1]
