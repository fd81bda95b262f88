"""Turns the everyday expressions of maps into Python; whatever is beyond them goes to the FHIRPath engine (http://hl7.org/fhirpath/N1/)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from suture.mapping import locations, origins
from suture.mapping.functions import REGISTRY
from suture.mapping.locations import Location
from suture.mapping.model import Expression
from suture.mapping.origins import Frame
from suture.standards.fhir.fhirpath import tree
from suture.standards.hl7v2 import tables as v2

WHOLE = ("TX", "FT", "ST", origins.VARIES, "")  # primitives that are read with everything that stands in them
NAME = re.compile(r"[a-z_][A-Za-z0-9_]*")


class NotSimple(Exception):
    """The expression is beyond what is written as Python."""


@dataclass(slots=True)
class Reads:
    """What a generated function reads, so that its head can cut it once: variable -> how it is made."""

    splits: dict[str, str] = field(default_factory=dict)
    widths: dict[str, int] = field(default_factory=dict)  # segment -> highest field
    fields: dict[str, dict[int, set[int] | None]] = field(
        default_factory=dict
    )  # segment -> field -> components (None: all)
    parts: set[int] = field(default_factory=set)  # components of the own datatype


@dataclass(slots=True)
class Writer:
    """Writes expressions of one frame: the own segment is `f`, the datatype at hand `p`, JSON `j`."""

    frame: Frame
    reads: Reads
    names: dict[str, str] = field(default_factory=dict)  # datatype at hand -> variable of its parts
    escapes: bool = True  # whether the message may hold escape sequences or nulls
    this: tuple[str, str, str] = ("", "", "")  # the repetition at hand: variable, separator of its parts, datatype

    # --- texts

    def field(self, location: Location) -> str:
        """The whole field as written, with all repetitions."""
        self.reads.widths[location.root] = max(self.reads.widths.get(location.root, 0), location.field)
        if location.nth:
            return f"NTH(r, {location.root!r}, {location.nth}, {location.field})"
        if location.root == self.frame.segment:
            return f"f[{location.field}]"
        name = f"s_{location.root}"
        self.reads.splits[name] = f"r.scope.get({location.root!r}, BLANKS)"
        return f"{name}[{location.field}]"

    def read(self, location: Location) -> None:
        """Notes that a field, or a part of it, is read."""
        parts = self.reads.fields.setdefault(location.root, {})
        known = parts.setdefault(location.field, set())
        if not location.component:
            parts[location.field] = None
        elif known is not None:
            known.add(location.component)

    def raw(self, location: Location) -> str:
        """What is at a location, as written (first repetition unless another is named)."""
        if not location.of_segment:
            return self._part(location)
        self.read(location)
        whole = self.field(location)
        if location.root in ("MSH", "FHS", "BHS") and location.field <= 2:
            return whole
        if location.repetition:
            first = f"REP({whole}, {location.repetition})"
        else:
            first = f"(w if '~' not in (w := {whole}) else w.partition('~')[0])"
        if not location.component:
            return first
        name = f"c_{location.root}_{location.nth}_{location.field}_{location.repetition}"
        self.reads.splits[name] = f"({first} + {self._pad(location)}).split('^') if {whole} else BLANKS"
        text = f"{name}[{location.component - 1}]"
        return f"SUB({text}, '&', {location.subcomponent})" if location.subcomponent else text

    def _pad(self, location: Location) -> str:
        return pad("^", origins.find(Location(location.root, field=location.field), self.frame).type)

    def _part(self, location: Location) -> str:
        variable = self._at_hand(location.root)
        if variable == "p":
            self.reads.parts.add(location.component)
        text = f"{variable}[{location.component - 1}]"
        return f"SUB({text}, '&', {location.subcomponent})" if location.subcomponent else text

    def _at_hand(self, root: str) -> str:
        if root in self.names:
            return self.names[root]
        for part in self.frame.parts:
            alike = origins.ALIKE.get(part, part) == origins.ALIKE.get(root, root)
            if alike or part in (origins.VARIES, ""):
                return self.names[part]
        raise NotSimple

    def text(self, location: Location) -> str:
        """The text at a location: its first part where it has several, unescaped; '' when absent."""
        raw = self.raw(location)
        if location.subcomponent:
            return self._unescaped(raw)
        return self.leaf(raw, origins.find(location, self.frame).type, inside=bool(location.component))

    def leaf(self, raw: str, type_: str, *, inside: bool) -> str:
        """The text in something written: the first part where it has several."""
        for mark in self.marks(type_, inside=inside):
            raw = f"(w if '{mark}' not in (w := {raw}) else w.partition('{mark}')[0])"
        return self._unescaped(raw)

    def marks(self, type_: str, *, inside: bool) -> list[str]:
        """The separators behind which a text of that type ends."""
        if type_ in WHOLE:
            return []
        if origins.composite(type_):
            return ["&"] if inside else ["^"] if type_ in ("CWE", "CE") else ["^", "&"]
        return [] if inside else ["^"]

    def refine(self, location: Location) -> list[str]:
        """Statements that make `x`, as written, the text at a location."""
        type_ = origins.find(location, self.frame).type
        marks = [] if location.subcomponent else self.marks(type_, inside=bool(location.component))
        made = [f"if '{mark}' in x: x = x.partition('{mark}')[0]" for mark in marks]
        return made + (["if '\\\\' in x: x = UNESCAPE(x)"] if self.escapes else [])

    def present(self, text: str) -> str:
        """Python in which HL7's null is nothing."""
        return f"PRESENT({text})" if self.escapes else text

    def _unescaped(self, raw: str) -> str:
        return f"(v if '\\\\' not in (v := {raw}) else UNESCAPE(v))" if self.escapes else raw

    def all(self, location: Location) -> str:
        """The list of all texts at a location; one whose first part is empty counts as it is written."""
        marks = "" if location.subcomponent else "".join(self._marks(location))
        if not location.of_segment or location.repetition or not self.repeats(location):
            return f"VALUES({self.raw(location)}, 0, 0, {marks!r})"
        self.read(location)
        return f"VALUES({self.field(location)}, {location.component}, {location.subcomponent}, {marks!r})"

    def _marks(self, location: Location) -> list[str]:
        return self.marks(origins.find(location, self.frame).type, inside=bool(location.component))

    def repeats(self, location: Location) -> bool:
        return location.of_segment and origins.find(location, self.frame).repeats

    # --- expressions

    def value(self, node: tree.Syntax) -> str:
        """Python for the first value of an expression: text, '' (or None, over JSON) when there is none."""
        if isinstance(node, tree.Location):
            return self.text(_located(node))
        if isinstance(node, tree.Literal) and len(node.values) == 1 and isinstance(node.values[0], str | bool | int):
            return repr(node.values[0])
        if isinstance(node, tree.External) and node.name in ("now", "source", "system"):
            return {"now": "r.now", "source": "r.context.source.id", "system": "r.context.source.own"}[node.name]
        if is_this(node) and self.this[0]:
            return self.leaf(self.this[0], self.this[2], inside=self.this[1] == "&")
        if isinstance(node, tree.Operation) and node.operator == "&":
            return "(" + " + ".join(self._joined(part) for part in node.operands) + ")"
        if isinstance(node, tree.Operation) and node.operator == "|" and not self.frame.json:
            return "(" + " or ".join(self._joined(part) for part in node.operands) + ")"
        if isinstance(node, tree.Call):
            return self._call(node)
        if self.frame.json:
            return f"FIRST({self.path(node)})"
        raise NotSimple

    def _joined(self, node: tree.Syntax) -> str:
        if isinstance(node, tree.Location) and self.repeats(_located(node)):
            raise NotSimple  # here all repetitions count
        if self.frame.json and not isinstance(node, tree.Literal):
            raise NotSimple
        return self.present(self.value(node)) if isinstance(node, tree.Location) else self.value(node)

    def _call(self, node: tree.Call) -> str:
        if node.name == "iif" and node.source is None and len(node.arguments) == 3:
            yes, no = self._joined(node.arguments[1]), self._joined(node.arguments[2])
            return f"({yes} if {self.condition(node.arguments[0])} else {no})"
        if node.name == "first" and node.source is not None and not node.arguments:
            return self.value(node.source)
        f = REGISTRY.get(node.name)
        if f is None or node.source is None or f.takes != "text" or f.gives == "list" or self.frame.json:
            raise NotSimple
        if not isinstance(node.source, tree.Location) or self.repeats(_located(node.source)):
            raise NotSimple
        arguments = [a.values[0] for a in node.arguments if isinstance(a, tree.Literal) and len(a.values) == 1]
        if len(arguments) != len(node.arguments) or not f.least <= len(arguments) <= f.most:
            raise NotSimple
        more = "".join(f", {str(a)!r}" for a in arguments)
        return f"APPLY(F_{f.name}, {self.text(_located(node.source))}, r{more})"

    def path(self, node: tree.Syntax) -> str:
        """Python for the list of items at a plain JSON path."""
        names: list[str | int] = []
        walk = "WALK_FHIR" if self.frame.fhir else "WALK"
        while True:
            if isinstance(node, tree.Member) and NAME.fullmatch(node.name):
                names.insert(0, node.name)
                if node.source is None:
                    return f"{walk}(j, {tuple(names)!r})"
                node = node.source
            elif isinstance(node, tree.Index) and isinstance(node.index, tree.Literal) and _whole(node.index):
                names.insert(0, node.index.values[0])
                node = node.source
            elif isinstance(node, tree.External) and node.name == "root":
                return f"{walk}(r.root, {tuple(names)!r})"
            elif isinstance(node, tree.Special) and node.name == "$this":
                return f"{walk}(j, {tuple(names)!r})"
            else:
                raise NotSimple

    def items(self, node: tree.Syntax) -> str:
        """Python for the list of all values of an expression."""
        if isinstance(node, tree.Location):
            return self.all(_located(node))
        if isinstance(node, tree.Call) and node.name == "split" and isinstance(node.source, tree.Location):
            separator = node.arguments[0] if len(node.arguments) == 1 else None
            if isinstance(separator, tree.Literal) and separator.values and isinstance(separator.values[0], str):
                return f"(F_split({self.text(_located(node.source))}, r.context.source, {separator.values[0]!r}) or ())"
        if self.frame.json:
            return self.path(node)
        raise NotSimple

    def condition(self, node: tree.Syntax) -> str:
        """Python that is true when the expression is."""
        return self._truth(node)[0]

    def _truth(self, node: tree.Syntax) -> tuple[str, bool]:
        """The Python and whether the expression is never empty (so that it may be negated)."""
        if isinstance(node, tree.Operation):
            return self._operation(node)
        if isinstance(node, tree.Call):
            return self._test(node)
        if isinstance(node, tree.Literal) and node.values in ((True,), (False,)):
            return repr(node.values[0]), True
        raise NotSimple

    def _operation(self, node: tree.Operation) -> tuple[str, bool]:
        if node.operator in ("and", "or"):
            parts = [self._truth(part) for part in node.operands]
            return "(" + f" {node.operator} ".join(p[0] for p in parts) + ")", all(p[1] for p in parts)
        if len(node.operands) != 2:
            raise NotSimple
        left, right = node.operands
        if node.operator in ("=", "!="):
            return self._equal(left, right, node.operator)
        if node.operator == "in":
            return self._among(left, right)
        if node.operator in ("<", ">", "<=", ">="):
            return self._length(left, node.operator, right)
        raise NotSimple

    def _equal(self, left: tree.Syntax, right: tree.Syntax, operator: str) -> tuple[str, bool]:
        if isinstance(left, tree.Literal):
            left, right = right, left
        if not isinstance(right, tree.Literal) or len(right.values) != 1 or not isinstance(right.values[0], str):
            raise NotSimple
        wanted = right.values[0]
        if isinstance(left, tree.Location):
            location = _located(left)
            if self.repeats(location):
                found = f"SAME({self.all(location)}, {wanted!r})"
                return (found if operator == "=" else f"(not {found})"), True
            if wanted in ("", '""'):
                return f"({self.present(self.text(location))} {'==' if operator == '=' else '!='} {wanted!r})", True
            return f"({self.text(location)} {'==' if operator == '=' else '!='} {wanted!r})", True
        if self.frame.json and wanted and isinstance(left, tree.Member | tree.Index):
            found = f"EQUAL({self.path(left)}, {wanted!r})"
            return (f"({found} is True)" if operator == "=" else f"({found} is False)"), False
        raise NotSimple

    def _among(self, left: tree.Syntax, right: tree.Syntax) -> tuple[str, bool]:
        if not isinstance(left, tree.Location):
            raise NotSimple
        wanted = [one for part in _union(right) for one in part.values]
        if not wanted or not all(isinstance(one, str) for one in wanted):
            raise NotSimple
        location, known = _located(left), "{" + ", ".join(repr(one) for one in wanted) + "}"
        if self.repeats(location):
            return f"AMONG({self.all(location)}, {known})", True
        return f"({self.present(self.text(location))} in {known})", True

    def _length(self, left: tree.Syntax, operator: str, right: tree.Syntax) -> tuple[str, bool]:
        if not isinstance(right, tree.Literal) or not _whole(right):
            raise NotSimple
        if not isinstance(left, tree.Call) or not isinstance(left.source, tree.Location) or left.arguments:
            raise NotSimple
        location = _located(left.source)
        if left.name == "count":
            return f"(len({self.all(location)}) {operator} {right.values[0]})", True
        if left.name == "length" and not self.repeats(location):
            return f"(0 < len({self.present(self.text(location))}) {operator} {right.values[0]})", False
        raise NotSimple

    def _test(self, node: tree.Call) -> tuple[str, bool]:
        if node.name == "not" and node.source is not None and not node.arguments:
            inner, total = self._truth(node.source)
            if not total:
                raise NotSimple
            return f"(not {inner})", True
        if node.name in ("exists", "empty") and node.source is not None and not node.arguments:
            return self._exists(node.source, node.name == "exists"), True
        if node.name in ("startsWith", "endsWith", "contains", "matches") and isinstance(node.source, tree.Location):
            return self._contains(node, node.source), False
        raise NotSimple

    def _exists(self, source: tree.Syntax, wanted: bool) -> str:
        if isinstance(source, tree.Location):
            location = _located(source)
            if self.repeats(location) or (self.escapes and self._marks(location)):
                return f"({'' if wanted else 'not '}{self.all(location)})"
            raw = self.raw(location)
            if self._marks(location):
                raw = f"{raw}.strip('^&')"
            if not self.escapes:
                return raw if wanted else f"(not {raw})"
            return f"({self._unescaped(raw)} {'not in' if wanted else 'in'} NOTHING)"
        if self.frame.json:
            return f"({'' if wanted else 'not '}{self.path(source)})"
        raise NotSimple

    def _contains(self, node: tree.Call, source: tree.Location) -> str:
        location = _located(source)
        argument = node.arguments[0] if len(node.arguments) == 1 else None
        if not isinstance(argument, tree.Literal) or self.repeats(location) or not argument.values:
            raise NotSimple
        wanted = argument.values[0]
        if not isinstance(wanted, str) or not wanted:
            raise NotSimple
        text = self.present(self.text(location))
        if node.name == "matches":
            return f"MATCHES({text}, {wanted!r})"
        if node.name == "contains":
            return f"({wanted!r} in {text})"
        return f"({text}.{node.name.lower()}({wanted!r}))"


def is_this(node: tree.Syntax) -> bool:
    return isinstance(node, tree.Special) and node.name == "$this"


def pad(mark: str, type_: str = "") -> str:
    """Enough separators that every part of the datatype is there."""
    return repr(mark * max(len(v2.components(type_)), 5) if v2.components(type_) else mark * 30)


def _located(node: tree.Location) -> Location:
    found = locations.read(node.text)
    if found is None:
        raise NotSimple
    return found


def _whole(node: tree.Literal) -> bool:
    return len(node.values) == 1 and type(node.values[0]) is int and node.values[0] >= 0


def _union(node: tree.Syntax) -> list[tree.Literal]:
    parts = node.operands if isinstance(node, tree.Operation) and node.operator == "|" else (node,)
    found = [part for part in parts if isinstance(part, tree.Literal)]
    if len(found) != len(parts):
        raise NotSimple
    return found


def places(expression: Expression) -> list[str]:
    """The locations in an expression, as written."""
    found: list[str] = []
    todo = [expression.tree]
    while todo:
        node = todo.pop(0)
        if isinstance(node, tree.Location):
            found.append(node.text)
        todo += list(node.parts())
    return found


def engine_text(expression: Expression) -> str:
    """The expression for the engine: a location that is compared counts as '' when it is absent."""
    columns: list[tuple[int, str]] = []
    todo = [expression.tree]
    while todo:
        node = todo.pop()
        todo += list(node.parts())
        if isinstance(node, tree.Operation) and node.operator in ("=", "!=", "in"):
            operands = node.operands[:1] if node.operator == "in" else node.operands
            columns += [(o.column, o.text) for o in operands if isinstance(o, tree.Location)]
    text = expression.text
    for column, location in sorted(set(columns), reverse=True):
        at = column - 1
        text = f"{text[:at]}iif({location}.exists(),{location},''){text[at + len(location) :]}"
    return text


def constant(value: Any) -> str:
    """Python that makes a constant anew each time."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key!r}: {constant(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(constant(item) for item in value) + "]"
    if isinstance(value, float):
        return f"Decimal({str(value)!r})"
    return repr(value)
