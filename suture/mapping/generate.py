"""Writes the Python of maps: one function for each map, straight-line code, one block for each row (docs/map-language.md)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from suture.mapping import checks, locations, origins, targets
from suture.mapping.functions import REGISTRY
from suture.mapping.generate_changes import Changes
from suture.mapping.generate_expressions import Writer, constant, is_this, pad
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
        if row.fail:
            self.line(f"REFUSE({row.fail!r}, {self.map.name + ':' + row.id!r})")
            self.depth = before
            return
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
        shared = {inside: self._label(way) for way, inside in inner.labels.items()}
        self.kept |= set(shared.values())
        start = [f"    {inside} = k.get({outside!r})" for inside, outside in shared.items()]
        end = [f"    k[{outside!r}] = {inside}" for inside, outside in shared.items()]
        self.unit.lines += [f"def {name}(y, o, k):", *inner.head(), *start, *inner.body, *end, ""]
        several = any(place.step.new for place in found)
        labels = "k" if shared else "NO_LABELS"
        self.line(f"r.later.append(({row.reference!r}, {event}, {name}, o, r.host, {several}, {labels}))")

    def _first(self, row: Row, found: tuple[Place, ...], event: int) -> None:
        if row.concat:
            parts = [self._part(e) for e in row.concat]
            self.line(f"x = JOIN({row.joiner!r}, {', '.join(parts)})")
        elif (row.where or row.rows) and isinstance(row.source[0].tree, tree.Location):
            self._picked(row, found, event)
            return
        else:
            self.line(f"x = {self._raw_source(row)}")
        if self._of_nothing(row):
            if self.unit.escapes or self.writer.frame.json:
                self.line("if x is None or x == NULL: x = ''")
            self._changed(row, found, event, "0")
            return
        self._refined(row)
        with self.block(f"if {self._there()}:"):
            self._changed(row, found, event, "0")
        self._absent(row, found, event)

    def _refined(self, row: Row) -> None:
        """From what is written to its text."""
        location = self._location(row.source[0]) if len(row.source) == 1 and not row.where else None
        statements = self.writer.refine(location) if location is not None and not self._takes_raw(row) else []
        if statements:
            with self.block("if x:"):
                for statement in statements:
                    self.line(statement)

    def _there(self) -> str:
        if self.writer.frame.json:
            return "x is not None and x != ''"
        return "x and x != NULL" if self.unit.escapes else "x"

    def _part(self, expression: Expression) -> str:
        text = self.value(expression)
        return f"({text},)" if isinstance(expression.tree, tree.Literal) else text

    def _raw_source(self, row: Row) -> str:
        """The value, or the field as written where a map or function takes its parts."""
        if len(row.source) == 1:
            if self._takes_raw(row) and is_this(row.source[0].tree) and self.writer.this[0]:
                return self.writer.this[0]
            location = self._location(row.source[0])
            return self.writer.raw(location) if location else self.value(row.source[0])
        found = []
        for expression in row.source:
            location = self._location(expression) if self._takes_raw(row) else None
            found.append(self.writer.present(self.writer.raw(location) if location else self.value(expression)))
        if self.writer.frame.json:
            return f"EITHER({', '.join(self.value(e) for e in row.source)})"
        return "(" + " or ".join(found) + ")"

    def _takes_raw(self, row: Row) -> bool:
        return bool(row.using or row.rows or self._takes_parts(row))

    def _picked(self, row: Row, found: tuple[Place, ...], event: int) -> None:
        """`from` with `where` or `rows`: the first repetition (that fulfils it), with its parts at hand."""
        with self._loop(row, row.source[0]):
            self.line(f"x = {self._item(row, self._location(row.source[0]))}")
            with self.block(f"if {self._there()}:"):
                self._changed(row, found, event, "n")
            self.line("break")
        if row.default is not MISSING:
            with self.block("else:"):
                self.line(f"y = {constant(row.default)}")
                self._put(row, found, event, changed=False)

    def _item(self, row: Row, location: Location | None) -> str:
        """A repetition: as written where its parts are wanted, else its text."""
        if location is None or self._takes_raw(row):
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
            names = {type_: variable, **outer.names}
            self.writer = Writer(outer.frame.within(type_), self.reads, names, outer.escapes, ("q", mark, type_))
            self.line("if not q or q == NULL: continue" if self.unit.escapes else "if not q: continue")
            if row.where or row.rows:
                self.line(f"{variable} = (q + {pad(mark, type_)}).split({mark!r})")
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
            if self.unit.escapes:
                with self.block(f"if {whole} == NULL:"):
                    self._delete(row, found)
            with self.block(f"{'elif' if self.unit.escapes else 'if'} {whole}:"), self._loop(row, row.each):
                self.line(f"x = {self._item(row, location)}")
                with self.block(f"if {self._there()}:"):
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
        this = self.writer.this
        given += ["q"] if this[0] else []
        inner = self.__class__(self.unit, self.map, row.rows, self.writer.frame, row.kind, name)
        inner.id = f"{self.id}#{row.id}"
        inner.writer.names = dict(self.writer.names)
        inner.writer.this = this
        inner.write()
        head = f"def {name}(r, t{''.join(', ' + g for g in given)}):"
        self.unit.lines += [head, *inner.whole(), ""]
        self.reads.parts |= inner.reads.parts
        self.line(f"t({self._event(event, repetition)})")
        values = ["x"] if self.writer.frame.json else given
        self.line(f"y = {name}(r, t{''.join(', ' + g for g in values)})")
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
        deletes = self.unit.escapes and row.default is MISSING and not row.where and bool(row.source)
        if deletes and self._deletable(row, found):
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
        with self.block("if " + " or ".join(f"p[{n - 1}]" for n in unread) + ":"):
            for n in unread:
                site = self.unit.site(Site("loss", self.id, "", f"{self.map.source_name}.{n}"))
                with self.block(f"if p[{n - 1}] not in NOTHING:" if self.unit.escapes else f"if p[{n - 1}]:"):
                    self.line(f"t({site})")
                    self.line("r.lost = True")

    def head(self) -> list[str]:
        cut = [f"    {name} = {how}" for name, how in self.reads.splits.items() if name.startswith("s_")]
        cut += [f"    {name} = {how}" for name, how in self.reads.splits.items() if not name.startswith("s_")]
        return cut + [f"    {name} = None" for name in self.locals] + (["    k = {}"] if self.kept else [])

    def end(self) -> list[str]:
        """Labelled items that references will write into, too."""
        return [f"    k[{name!r}] = {name}" for name in sorted(self.kept)]

    def whole(self) -> list[str]:
        """Head, body and what it gives."""
        primitive = bool(self.kind) and targets.is_primitive(self.kind)
        start = (
            f"{{'resourceType': {self.kind!r}}}" if targets.is_resource(self.kind) else "None" if primitive else "{}"
        )
        made = [*self.head(), f"    o = {start}"]
        if targets.is_resource(self.kind):
            made += [
                "    u, r.host = r.host, o",
                *self.body,
                *self.end(),
                "    r.host = u",
                "    return o if len(o) > 1 else None",
            ]
        elif primitive:
            made += [*self.body, "    return o"]
        else:
            made += [*self.body, *self.end(), "    return o or None"]
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
        unit.lines += [f"def {name}(f, r, t, o):", *written.head(), *(written.body or ["    pass"]), *written.end(), ""]
    else:
        variable = "p" if made.kind == "datatype" else "j"
        unit.lines += [f"def {name}({variable}, r, t):", *written.whole(), ""]
    return name
