"""Writes the Python that turns what a row reads into what it writes: maps, functions, tables (docs/map-language.md)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from suture.mapping import checks, targets
from suture.mapping.context import Source
from suture.mapping.functions import REGISTRY
from suture.mapping.generate_expressions import constant, is_this, pad
from suture.mapping.generate_lines import Site
from suture.mapping.generate_writes import Writes
from suture.mapping.locations import Location
from suture.mapping.model import MISSING, Map, Row
from suture.mapping.runtime import SHIFT, VOID
from suture.mapping.tables import Table
from suture.mapping.targets import Place

NOBODY = Source()  # tables know nothing of a source


class Changes(Writes):
    """From `x` to `y`, then to the target."""

    # --- changes

    def _changed(self, row: Row, found: tuple[Place, ...], event: int, repetition: str) -> None:
        """From `x` to `y`, then to the target."""
        if row.rows:
            self._inside(row, event, repetition)
        elif row.using:
            self._used(row, event, repetition)
        elif row.calls:
            self._called(row, found, event, repetition)
            if row.table:
                self.line("x = y")
                with self.block("if y is not None:"):
                    self._translated(row, event, repetition)
        elif row.table:
            self._translated(row, event, repetition)
        else:
            self._copied(row, event)
        self._put(row, found, event, repetition, traced=bool(row.rows or row.using))

    def _copied(self, row: Row, event: int) -> None:
        """As it is; over JSON only what has the target's form."""
        if not self.writer.frame.json or not row.kind:
            self.line("y = x")
            return
        if targets.is_primitive(row.kind):
            self.line("y = TEXT(x)")
        else:
            self.line("y = x if isinstance(x, dict) else None")
        with self.block("if y is None:"):
            self._missed(row, event, kept="x")

    def _inside(self, row: Row, event: int, repetition: str) -> None:
        """Rows inside the row."""
        raise NotImplementedError

    def _event(self, event: int, repetition: str) -> str:
        return str(event) if repetition == "0" else f"{event} | n" if repetition == "n" else repetition

    def _used(self, row: Row, event: int, repetition: str) -> None:
        assert row.using is not None
        self.line(f"t({self._event(event, repetition)})")
        location = self._location(row.each or row.source[0]) if row.each or row.source else None
        mark = "&" if (location is not None and location.component) or self._in_part(location) else "^"
        if row.source and is_this(row.source[0].tree) and self.writer.this[0]:
            mark = self.writer.this[1]
        if row.using.by is None:
            self._call(row, self.map.uses[row.using.maps[""]], mark)
        else:
            self.line(f"b = {self.value(row.using.by)}")
            for number, (text, name) in enumerate(row.using.maps.items()):
                if text != "*":
                    with self.block(f"{'el' if number else ''}if b == {text!r}:"):
                        self._call(row, self.map.uses[name], mark)
            with self.block("else:"):
                if "*" in row.using.maps:
                    self._call(row, self.map.uses[row.using.maps["*"]], mark)
                else:
                    self.line("y = None")
        with self.block("if y is None:"):
            self.line(f"t({VOID})")
        if row.table:
            self._recoded(row, event)

    def _in_part(self, location: Location | None) -> bool:
        return location is not None and not location.of_segment

    def _call(self, row: Row, used: Map, mark: str) -> None:
        function = self.unit.functions[used.name]
        spawned = row.kind == "Reference" and targets.is_resource(used.target)
        if spawned:
            self.line("t(OPEN)")
        if used.kind == "datatype":
            self.line(f"y = {function}((x + {pad(mark, used.source_name)}).split({mark!r}), r, t)")
        else:
            self.line(f"y = {function}(x, r, t)")
        if spawned:
            spec = self.unit.constant("S", self.unit.specs[used.name])
            self.line(f"y = r.spawn(y, {spec})")

    def _recoded(self, row: Row, event: int) -> None:
        table = self.unit.constant("T", self.map.tables[row.table])
        with self.block(f"if y is not None and not RECODE(y, {table}):"):
            self._missed(row, event, kept="y")

    def _called(self, row: Row, found: tuple[Place, ...], event: int, repetition: str) -> None:
        json = self.writer.frame.json
        if json:
            self.line("y = TEXT(x)")
        for number, call in enumerate(row.calls):
            f = REGISTRY[call.name]
            arguments = "".join(f", {a!r}" for a in call.arguments)
            given = "y" if number or json else "x"
            work = f"y = F_{f.name}({given}, r.context.source{arguments})"
            self.line(f"if y is not None: {work}" if number or json else work)
            if f.name in ("system", "coding_system"):
                with self.block("if y.__class__ is DOUBT:"):
                    warning = self.unit.site(
                        Site("warning", self.id, row.id, self._site(row, found).source, text="DOUBT")
                    )
                    self.line(f"r.doubts[{warning >> SHIFT}] = y.reason")
                    self.line(f"t({warning})")
                    self.line("y = y.value")
        with self.block("if y is None:"):
            self._missed(row, event, kept="x")

    def _missed(self, row: Row, event: int, kept: str) -> None:
        """`on_miss`."""
        source = self._site(row, ()).source
        if row.miss.how == "fail":
            self.line(f"FAIL({source!r}, {self.map.name + ':' + row.id!r})")
            return
        if row.miss.warn:
            what = (
                f"table '{row.table}' has no such code"
                if row.table
                else f"is no {row.calls[-1].name}"
                if row.calls
                else "can't be read"
            )
            warning = self.unit.site(Site("warning", self.id, row.id, source, text=what))
            self.line(f"t({warning})")
        if row.miss.how == "keep":
            self.line(f"y = {self._kept(row, kept)}")
        elif row.miss.how == "use":
            self.line(f"y = {constant(row.miss.value)}")
        elif kept == "y":
            self.line("pass")  # the originals stay
        else:
            self.line("y = None")

    def _kept(self, row: Row, kept: str) -> str:
        if kept == "y":
            return "y"
        if row.kind == "CodeableConcept":
            return "{'text': x}"
        if row.kind == "Coding":
            return "{'code': x}"
        return "x" if targets.text_fits(row.kind) else "None"

    def _translated(self, row: Row, event: int, repetition: str) -> None:
        table = self.map.tables[row.table]
        if self.writer.frame.json:
            self.line("x = TEXT(x)")
        if row.kind in ("Coding", "CodeableConcept") and not row.column:
            known = self._codings(table)
            name = self.unit.constant("D", known)
            other = f", {name}.get('*')" if "*" in known else ""
            made = "{'coding': [{**c} for c in y]}" if row.kind == "CodeableConcept" else "{**y[0]}"
            self.line(f"y = {name}.get(x{other})")
            self.line(f"if y is not None: y = {made}")
        else:
            column = self._column(table, row)
            name = self.unit.constant("D", column)
            other = f", {name}.get('*')" if "*" in column else ""
            self.line(f"y = {name}.get(x{other})")
        with self.block("if y is None:"):
            self._missed(row, event, kept="x")

    def _codings(self, table: Table) -> dict[str, Any]:
        found: dict[str, Any] = self.unit.specs.setdefault(f"codings {id(table)}", table.codings())
        return found

    def _column(self, table: Table, row: Row) -> dict[str, Any]:
        key = (id(table), row.column or "to", row.kind)
        known: dict[str, Any] | None = self.unit.specs.get(str(key))
        if known is None:
            convert = _converter(row.kind)
            column = table.column(row.column or "to")
            known = {code: value for code, text in column.items() if (value := convert(text)) is not None}
            self.unit.specs[str(key)] = known
        return known

    # --- writing

    def _put(
        self,
        row: Row,
        found: tuple[Place, ...],
        event: int,
        repetition: str = "0",
        *,
        traced: bool = False,
        changed: bool = True,
    ) -> None:
        safe = (
            row.set is not MISSING
            or not changed
            or (not (row.calls or row.table or row.using or row.rows) and not (self.writer.frame.json and row.kind))
        )
        gives_list = bool(row.calls) and REGISTRY[row.calls[-1].name].gives == "list" and changed
        if gives_list:
            with self.block("for y in y or ():"):
                self.line(f"t({self._event(event, repetition)})")
                self.assign(row, found)
            return
        if not safe:
            self.line("if y is not None:")
            self.depth += 1
        if row.fill:
            self._fill(row)
        if not traced:
            self.line(f"t({self._event(event, repetition)})")
        self.assign(row, found)
        if not safe:
            self.depth -= 1


def _converter(kind: str) -> Callable[[str], Any]:
    """How a table's text becomes the target's JSON value."""
    f = REGISTRY.get(kind)
    if f is None or kind not in checks.IMPLIED:
        return lambda text: text
    return lambda text: f.work(text, NOBODY)
