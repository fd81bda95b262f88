"""Writes the Python of maps: one function for each map, straight-line code, one block for each row (docs/map-language.md)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from suture.mapping import checks, locations, origins, targets
from suture.mapping.functions import REGISTRY
from suture.mapping.generate_changes import Changes
from suture.mapping.generate_expressions import Writer, constant
from suture.mapping.generate_lines import Site, Unit
from suture.mapping.locations import Location
from suture.mapping.model import MISSING, Expression, Map, Row
from suture.mapping.runtime import VOID
from suture.mapping.sheet import Findings
from suture.mapping.targets import Place
from suture.standards.fhir.fhirpath import tree
from suture.standards.hl7v2 import tables as v2


class Function(Changes):
    """The rows of a map, or rows inside a row."""

    # --- rows

    def write(self) -> None:
        """The whole function goes to the unit."""
        for row in self.rows:
            self._row(row)
        self._lost()
        self.unit.merge(self.reads)

    def _row(self, row: Row) -> None:
        before = self.depth
        if row.when:
            self.line(f"if {self.condition(row.when)}:")
            self.depth += 1
        found = targets.resolve(row.to, self.kind, row.spot, Findings())
        event = self.unit.site(self._site(row, found))
        if row.set is not MISSING:
            self.line(f"y = {constant(row.set)}")
            self._put(row, found, event)
        elif row.reference:
            self._later(row, found, event)
        elif row.each:
            self._each(row, found, event)
        else:
            self._first(row, found, event)
        self.depth = before

    def _later(self, row: Row, found: tuple[Place, ...], event: int) -> None:
        """A reference is written when the entries are known."""
        name = self.unit.fresh("w")
        inner = Function(self.unit, self.map, [], self.writer.frame, self.kind, name)
        inner.assign(row, found)
        self.unit.lines += [f"def {name}(y, o):", *inner.head(), *inner.body, ""]
        self.line(
            f"r.later.append(({row.reference!r}, {event}, {name}, o, r.host, {any(place.step.new for place in found)}))"
        )

    def _first(self, row: Row, found: tuple[Place, ...], event: int) -> None:
        if row.concat:
            parts = [self._part(e) for e in row.concat]
            self.line(f"x = JOIN({row.joiner!r}, {', '.join(parts)})")
        elif row.where and isinstance(row.source[0].tree, tree.Location):
            self._picked(row)
        else:
            raw = self._raw_source(row)
            self.line(f"x = {raw}")
        if self._of_nothing(row):
            with self.block("if x is None or x == NULL:"):
                self.line("x = ''")
            self._changed(row, found, event, "0")
            return
        with self.block(f"if {self._there()}:"):
            self._changed(row, found, event, "0")
        self._absent(row, found, event)

    def _there(self) -> str:
        return "x is not None and x != ''" if self.writer.frame.json else "x and x != NULL"

    def _part(self, expression: Expression) -> str:
        text = self.value(expression)
        return f"({text},)" if isinstance(expression.tree, tree.Literal) else text

    def _raw_source(self, row: Row) -> str:
        """The value, or the field as written where a map or function takes its parts."""
        takes_raw = bool(row.using or row.rows or self._takes_parts(row))
        found = []
        for expression in row.source:
            if takes_raw and isinstance(expression.tree, tree.Location):
                location = locations.read(expression.tree.text)
                found.append(self.writer.raw(location) if location else "''")
            else:
                found.append(self.value(expression))
        if self.writer.frame.json and len(found) > 1:
            return f"EITHER({', '.join(found)})"
        return found[0] if len(found) == 1 else "(" + " or ".join(found) + ")"

    def _picked(self, row: Row) -> None:
        """`from` with `where`: the first repetition that fulfils it."""
        self.line("x = ''")
        with self._loop(row, row.source[0]):
            self.line(f"x = {self._item(row, self._location(row.source[0]))}")
            self.line("break")

    def _item(self, row: Row, location: Location | None) -> str:
        """A repetition: as written where its parts are wanted, else its text."""
        if location is None or row.using or row.rows or self._takes_parts(row):
            return "q"
        type_ = origins.find(location, self.writer.frame).type
        return self.writer.leaf("q", type_, inside=bool(location.component))

    def _takes_parts(self, row: Row) -> bool:
        return bool(row.calls) and REGISTRY[row.calls[0].name].takes == "parts"

    @contextmanager
    def _loop(self, row: Row, expression: Expression) -> Iterator[None]:
        """Over the repetitions of a field: `q` is one as written, its parts are at hand for `where`."""
        location = self._location(expression)
        outer = self.writer
        if location is None:
            with self.block(f"for n, q in enumerate({self.items(expression)}):"):
                if self.writer.frame.json:
                    self.line("k, j = j, q")
                yield from self._filtered(row)
                if self.writer.frame.json:
                    self.line("j = k")
            return
        raw, variable = self._repeated(location), self.unit.fresh("p")
        type_ = origins.find(location, outer.frame).type
        mark = "&" if location.component else "^"
        with self.block(f"for n, q in enumerate({raw}):"):
            self.writer = Writer(outer.frame.within(type_), self.reads, {type_: variable, **outer.names})
            with self.block("if not q or q == NULL:"):
                self.line("continue")
            if row.where or row.rows:
                self.line(f"{variable} = (q + {mark * 30!r}).split({mark!r})")
            yield from self._filtered(row)
        self.writer = outer

    def _filtered(self, row: Row) -> Iterator[None]:
        if row.where:
            with self.block(f"if {self.condition(row.where)}:"):
                yield
        else:
            yield

    def _repeated(self, location: Location) -> str:
        if not location.of_segment or location.repetition or location.component:
            return f"({self.writer.raw(location)},)" if not self.writer.repeats(location) else self.writer.all(location)
        self.writer.read(location)
        whole = self.writer.field(location)
        return f"({whole}.split('~') if '~' in {whole} else ({whole},))"

    def _each(self, row: Row, found: tuple[Place, ...], event: int) -> None:
        assert row.each is not None
        location = self._location(row.each)
        if location is not None and location.of_segment and self._deletable(row, found):
            whole = self.writer.field(location)
            self.writer.read(location)
            with self.block(f"if {whole} == NULL:"):
                self._delete(row, found)
            with self.block(f"elif {whole}:"), self._loop(row, row.each):
                self.line(f"x = {self._item(row, location)}")
                self._changed(row, found, event, "n")
            return
        with self._loop(row, row.each):
            self.line(f"x = {self._item(row, location)}")
            with self.block(f"if {self._there()}:"):
                self._changed(row, found, event, "n")

    def _inside(self, row: Row, event: int, repetition: str) -> None:
        """Rows inside the row: a function that sees everything at hand."""
        name = self.unit.fresh("i")
        variables = list(dict.fromkeys(self.writer.names.values()))
        if "p" in variables:
            variables.remove("p")
        given = ["j"] if self.writer.frame.json else [*variables, *self._own()]
        inner = self.__class__(self.unit, self.map, row.rows, self.writer.frame, row.kind, name)
        inner.id = f"{self.id}#{row.id}"
        inner.writer.names = dict(self.writer.names)
        inner.write()
        head = f"def {name}(r, t{''.join(', ' + g for g in given)}):"
        self.unit.lines += [head, *inner.whole(), ""]
        self.reads.parts |= inner.reads.parts
        self.line(f"t({self._event(event, repetition)})")
        self.line(f"y = {name}(r, t{''.join(', ' + g for g in given)})")
        with self.block("if y is None:"):
            self.line(f"t({VOID})")

    def _own(self) -> list[str]:
        own = []
        if self.writer.frame.segment:
            own.append("f")
        if "p" in self.writer.names.values():
            own.append("p")
        return own

    def _absent(self, row: Row, found: tuple[Place, ...], event: int) -> None:
        """What happens when the source is absent or null."""
        if self._deletable(row, found) and row.source and not row.where:
            with self.block("elif x == NULL:"):
                self._delete(row, found)
        if row.default is not MISSING:
            with self.block("else:"):
                self.line(f"y = {constant(row.default)}")
                self._put(row, found, event, changed=False)

    def _of_nothing(self, row: Row) -> bool:
        return bool(row.calls) and REGISTRY[row.calls[0].name].of_nothing

    # --- the whole

    def _lost(self) -> None:
        """Parts of a datatype that no row reads."""
        if self.map.kind != "datatype" or self.name.startswith("i"):
            return
        ignored = {location.component for name in self.map.ignore if (location := locations.read(name))}
        count = len(v2.components(self.map.source_name))
        unread = [n for n in range(1, count + 1) if n not in self.reads.parts | ignored]
        if not unread or 0 in self.reads.parts:
            return
        self.unit.loses = True
        with self.block("if " + " or ".join(f"p[{n - 1}]" for n in unread) + ":"):
            for n in unread:
                site = self.unit.site(Site("loss", self.id, "", f"{self.map.source_name}.{n}"))
                with self.block(f"if p[{n - 1}] not in NOTHING:"):
                    self.line(f"t({site})")

    def head(self) -> list[str]:
        cut = [f"    {name} = {how}" for name, how in self.reads.splits.items() if name.startswith("s_")]
        cut += [f"    {name} = {how}" for name, how in self.reads.splits.items() if not name.startswith("s_")]
        return cut + [f"    {name} = None" for name in self.locals]

    def whole(self) -> list[str]:
        """Head, body and what it gives."""
        primitive = bool(self.kind) and targets.is_primitive(self.kind)
        start = (
            f"{{'resourceType': {self.kind!r}}}" if targets.is_resource(self.kind) else "None" if primitive else "{}"
        )
        made = [*self.head(), f"    o = {start}"]
        if targets.is_resource(self.kind):
            made += ["    u, r.host = r.host, o", *self.body, "    r.host = u", "    return o if len(o) > 1 else None"]
        elif primitive:
            made += [*self.body, "    return o"]
        else:
            made += [*self.body, "    return o or None"]
        return made


def function(unit: Unit, made: Map) -> str:
    """Writes the function of a map (and of those it uses, before it); gives its name."""
    if made.name in unit.functions:
        return unit.functions[made.name]
    for used in made.uses.values():
        if used.kind != "message":
            function(unit, used)
    name = unit.fresh("m")
    unit.functions[made.name] = name
    frame = checks.frame_of(made)
    kind = "" if made.target == "json" else made.target
    written = Function(unit, made, made.rows, frame, kind, name)
    if made.kind == "datatype":
        written.writer.names = {made.source_name: "p"}
    written.write()
    if made.kind == "segment":
        unit.lines += [f"def {name}(f, r, t, o):", *written.head(), *(written.body or ["    pass"]), ""]
    else:
        variable = "p" if made.kind == "datatype" else "j"
        unit.lines += [f"def {name}({variable}, r, t):", *written.whole(), ""]
    return name
