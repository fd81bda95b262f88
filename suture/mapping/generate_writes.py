"""Writes the Python that puts a value where a row's target path says (https://hl7.org/fhir/R4/json.html)."""

from __future__ import annotations

from typing import Any

from suture.mapping import targets
from suture.mapping.generate_expressions import constant
from suture.mapping.generate_lines import Lines
from suture.mapping.model import MISSING, Row
from suture.mapping.targets import Place
from suture.standards.fhir import definitions


class Writes(Lines):
    """Assignments, and the deletes that HL7's null asks for."""

    def _fill(self, row: Row) -> None:
        for key, value in row.fill.items():
            with self.block(f"if {key!r} not in y:"):
                self.line(f"y[{key!r}] = {constant(value)}")

    def assign(self, row: Row, found: tuple[Place, ...]) -> None:
        """Writes `y` to the row's target in `o`."""
        if not found:
            self._this(row)
            return
        holder = "o"
        way: tuple[str, ...] = ()
        for place in found[:-1]:
            way = (*way, str(place.step))
            holder = self._holder(holder, place, way)
        self._last(row, holder, found, (*way, str(found[-1].step)))

    def _this(self, row: Row) -> None:
        if self.kind and targets.is_primitive(self.kind):
            self.line("o = y" if not row.once else "o = y if o is None else o")
        elif row.once:
            self.line("o = {**y, **o}")
        else:
            self.line("o.update(y)")
        for name in self.holders.values():
            self.line(f"{name} = None")

    def _holder(self, holder: str, place: Place, way: tuple[str, ...]) -> str:
        if not place.many:
            return self._object(holder, place, way)
        if place.step.url and not place.step.new:
            return self._once(way, f"EXTENSION({holder}, {place.key!r}, {place.step.url!r})")
        name = self.unit.fresh("d")
        if place.step.new:
            start = f"{{'url': {place.step.url!r}}}" if place.step.url else "{}"
            self.line(f"{name} = {start}")
            self.line(f"{holder}.setdefault({place.key!r}, []).append({name})")
        else:
            name = self._label(way)
            with self.block(f"if {name} is None:"):
                self.line(f"{name} = {{}}")
                self.line(f"{holder}.setdefault({place.key!r}, []).append({name})")
        return name

    def _object(self, holder: str, place: Place, way: tuple[str, ...]) -> str:
        name = self._once(way, f"{holder}.get({place.key!r})")
        self.line(f"if {name} is None: {name} = {holder}[{place.key!r}] = {{}}")
        return name

    def _once(self, way: tuple[str, ...], how: str) -> str:
        """The variable of something on the way; looked for once in a run of the function."""
        if any(step.endswith("[]") for step in way[:-1]):
            name = self.unit.fresh("d")
            self.line(f"{name} = {how}")
            return name
        if way not in self.holders:
            self.holders[way] = self.unit.fresh("d")
            self.locals.append(self.holders[way])
        name = self.holders[way]
        self.line(f"if {name} is None: {name} = {how}")
        return name

    def _label(self, way: tuple[str, ...]) -> str:
        """The variable of a labelled item; inside a new item it can't be met again."""
        if any(step.endswith("[]") for step in way[:-1]):
            name = self.unit.fresh("L")
            self.line(f"{name} = None")
            return name
        if way not in self.labels:
            self.labels[way] = self.unit.fresh("L")
            self.locals.append(self.labels[way])
        return self.labels[way]

    def _last(self, row: Row, holder: str, found: tuple[Place, ...], way: tuple[str, ...]) -> None:
        place = found[-1]
        if row.once:
            self.line(f"if not {holder}.get({place.key!r}):" if place.many else f"if {place.key!r} not in {holder}:")
            self.depth += 1
        if not place.many:
            for other in self._others(found):
                self.line(f"{holder}.pop({other!r}, None)")
            if row.join is not None:
                with self.block(f"if {holder}.get({place.key!r}):"):
                    self.line(f"y = {holder}[{place.key!r}] + {row.join!r} + y")
            self.line(f"{holder}[{place.key!r}] = y")
            for known, name in self.holders.items():
                if known[: len(way)] == way:
                    self.line(f"{name} = None")  # it is another object now
        elif place.step.new:
            self.line(f"{holder}.setdefault({place.key!r}, []).append(y)")
        else:
            self._slot(holder, place, way)
        if row.once:
            self.depth -= 1

    def _slot(self, holder: str, place: Place, way: tuple[str, ...]) -> None:
        name = self._label((*way, "*"))
        self.line(f"h = {holder}.setdefault({place.key!r}, [])")
        with self.block(f"if {name} is None:"):
            self.line(f"{name} = len(h)")
            self.line("h.append(y)")
        with self.block("else:"):
            self.line(f"h[{name}] = y")

    def _others(self, found: tuple[Place, ...]) -> list[str]:
        """The other names of a choice that rows here write, too: only one may stay."""
        definition = definitions.type_definition(self.kind) if self.kind and len(found) == 1 else None
        if definition is None or found[0].key not in definition.keys:
            return []
        element = definition.keys[found[0].key][0]
        names = [key for key, (other, _) in definition.keys.items() if other is element and key != found[0].key]
        return [name for name in names if name in self.written] if element.choice else []

    # --- values that delete

    def _deletable(self, row: Row, found: tuple[Place, ...]) -> bool:
        return self.map.kind == "segment" and bool(found) and not self.name.startswith("i")

    def _delete(self, row: Row, found: tuple[Place, ...]) -> None:
        steps = [place.step for place in found]
        keys = [place.key for place in found]
        matching: dict[str, Any] = {}
        for number, place in enumerate(found):
            if place.step.url:
                keys, matching = keys[: number + 1], {"url": place.step.url}
                break
            if place.step.label:
                matching = self._siblings(row, number)
                if not matching:
                    self.line("pass")  # which item it is can't be said
                    return
                keys = keys[: number + 1]
                break
            if place.many and number < len(steps) - 1:
                keys = keys[: number + 1]
                break
        if not matching and row.fill:
            matching = dict(row.fill)
        self.line(f"r.deletes.append({constant({'path': '.'.join(keys), 'matching': matching})})")

    def _siblings(self, row: Row, number: int) -> dict[str, Any]:
        """The constants that other rows write into the same labelled item."""
        prefix = row.to[: number + 1]
        return {
            other.to[-1].name: other.set
            for other in self.rows
            if other.set is not MISSING and other.to[:-1] == prefix and isinstance(other.set, str)
        }
