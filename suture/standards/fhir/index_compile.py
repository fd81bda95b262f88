"""Writes one Python function per type that extracts all atoms in a single walk; a path that several atoms share is walked once."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from suture.standards.fhir.definitions import RESOURCE_TYPES, Element, type_definition, value_set
from suture.standards.fhir.index_atoms import OTHER, Atom, step_keys
from suture.standards.fhir.index_paths import Step
from suture.standards.fhir.index_taken import TAKEN
from suture.standards.fhir.index_time import moment_range
from suture.standards.fhir.index_values import (
    SPECIAL_VALUES,
    canonical_urls,
    cut,
    elsewhere,
    elsewhere_canonical,
    money_row,
    number_range_row,
    period_range,
    place_row,
    quantity_row,
    range_row,
    sampled_row,
    timing_ranges,
)

_NAMES: dict[str, Any] = {
    "RESOURCE_TYPES": RESOURCE_TYPES,
    "SPECIAL_VALUES": SPECIAL_VALUES,
    "canonical_urls": canonical_urls,
    "cut": cut,
    "elsewhere": elsewhere,
    "elsewhere_canonical": elsewhere_canonical,
    "moment_range": moment_range,
    "money_row": money_row,
    "number_range_row": number_range_row,
    "period_range": period_range,
    "place_row": place_row,
    "quantity_row": quantity_row,
    "range_row": range_row,
    "sampled_row": sampled_row,
    "timing_ranges": timing_ranges,
}
_PICK = re.compile(r"#([^#]*)#")
LISTS = (
    "tokens",
    "words",
    "identifiers",
    "typed",
    "references",
    "urls",
    "strings",
    "dates",
    "quantities",
    "token_pairs",
    "token_quantities",
)
Numbers = dict[str, int]  # part -> number of the atom that gets it
Extractor = Callable[[dict[str, Any], str], tuple[Sequence[Any], ...]]


@dataclass(slots=True)
class _Edge:
    """What follows one JSON key for values that pass a condition."""

    where: tuple[str, str] | None
    first: bool
    node: _Node


@dataclass(slots=True)
class _Key:
    kind: str
    many: bool
    element: Element | None
    edges: list[_Edge] = field(default_factory=list)


@dataclass(slots=True)
class _Node:
    """One place on the walk: the keys that are looked at from here, and what is taken here."""

    kind: str
    keys: dict[str, _Key] = field(default_factory=dict)
    takes: list[tuple[Atom, Numbers, Element | None]] = field(default_factory=list)


def compiled(type: str, atoms: Sequence[Atom]) -> Extractor:
    """A function from a value of `type` to the rows of LISTS; an atom's number is its place in `atoms`."""
    namespace = dict(_NAMES)
    exec(compile(source(type, atoms, namespace), f"<index of {type}>", "exec"), namespace)  # noqa: S102 - our own text
    made: Extractor = namespace["extract"]
    return made


def source(type: str, atoms: Sequence[Atom], namespace: dict[str, Any]) -> str:
    """The text of the function; what it needs beside plain Python is put into `namespace`."""
    root = _Node(type)
    for atom, numbers in _groups(atoms):
        _grow(root, atom, numbers)
    text = _Text(namespace)
    text.node(root, "r")
    used = [name for name in LISTS if any(f"{name}(" in line for line in text.lines)]
    head = [f"    all_{n} = []; {n} = all_{n}.append" for n in used]
    parts = [f"[row for row in all_{n} if row[0] >= 0]" if text.partial else f"all_{n}" for n in LISTS]
    result = ", ".join(part if n in used else "()" for n, part in zip(LISTS, parts, strict=True))
    return "\n".join(["def extract(r, base):", *head, *text.lines, f"    return {result}", ""])


def _groups(atoms: Sequence[Atom]) -> list[tuple[Atom, Numbers]]:
    """Atoms that are shares of the same values together."""
    found: dict[tuple[Any, ...], tuple[Atom, Numbers]] = {}
    for number, atom in enumerate(atoms):
        group = found.setdefault((atom.path, atom.kind, atom.pair), (atom, {}))
        group[1][atom.part] = number
    return list(found.values())


def _grow(root: _Node, atom: Atom, numbers: Numbers) -> None:
    """Adds the atom to the places its path leads to."""
    places: list[tuple[_Node, Element | None]] = [(root, None)]
    last = len(atom.path.steps) - 1
    if atom.path.exists:
        last = -1  # taken where the element stands, for it counts even if it is absent
    for number, step in enumerate(atom.path.steps[: last + 1]):
        casts = atom.path.casts if number == last else ()
        places = [place for node, _ in places for place in _step(node, step, casts)]
    for node, element in places:
        node.takes.append((atom, numbers, element))


def _step(node: _Node, step: Step, casts: tuple[str, ...]) -> list[tuple[_Node, Element | None]]:
    definition = type_definition(node.kind)
    if definition is None:
        return []
    reached: list[tuple[_Node, Element | None]] = []
    for name, kind, many in step_keys(definition, step, casts):
        element = definition.keys[name][0]
        key = node.keys.setdefault(name, _Key(kind, many, element))
        edge = next((e for e in key.edges if (e.where, e.first) == (step.where, step.first)), None)
        if edge is None:
            edge = _Edge(step.where, step.first, _Node(kind))
            key.edges.append(edge)
        reached.append((edge.node, element))
    return reached


class _Text:
    """The lines of the function as they are written."""

    def __init__(self, namespace: dict[str, Any]) -> None:
        self.lines: list[str] = []
        self.namespace = namespace
        self.depth = 1
        self.names = 0
        self.partial = False  # some rows belong to no atom

    def line(self, text: str) -> None:
        self.lines.append("    " * self.depth + text)

    def block(self, head: str, body: Callable[[], None]) -> None:
        self.line(head)
        self.depth += 1
        before = len(self.lines)
        body()
        if len(self.lines) == before:
            self.line("pass")  # a value that can't be compared
        self.depth -= 1

    def name(self) -> str:
        self.names += 1
        return f"v{self.names}"

    def shares(self, value: Numbers) -> str:
        name = "SHARES_" + "_".join(map(str, value.values()))
        self.namespace[name] = value
        return name

    def node(self, node: _Node, value: str) -> None:
        for atom, numbers, element in node.takes:
            if atom.pair:
                self.pair(node, atom, numbers[""], value)
            elif atom.path.exists:
                self.existence(node, atom, numbers[""], value)
            else:
                self.take(node.kind, atom.kind, numbers, element, value)
        for name, key in node.keys.items():
            self.key(name, key, value)

    def key(self, name: str, key: _Key, value: str) -> None:
        found = self.name()
        self.line(f"{found} = {value}.get({name!r})")
        primitive = key.kind[0].islower()
        for edge in key.edges:
            if not key.many:
                self.block(f"if {found} is not None:", lambda e=edge: self.edge(e, found))  # type: ignore[misc]
            elif edge.first:
                self.block(f"if {found}:", lambda e=edge: self.edge(e, f"{found}[0]"))  # type: ignore[misc]
            else:
                self.block(f"if {found}:", lambda e=edge: self.loop(e, found, primitive))  # type: ignore[misc]

    def loop(self, edge: _Edge, found: str, primitive: bool) -> None:
        item = self.name()
        if primitive:  # a null holds the place of a value that only has extensions
            self.block(
                f"for {item} in {found}:",
                lambda: self.block(f"if {item} is not None:", lambda: self.edge(edge, item)),
            )
        else:
            self.block(f"for {item} in {found}:", lambda: self.edge(edge, item))

    def edge(self, edge: _Edge, value: str) -> None:
        if edge.where is None:
            self.node(edge.node, value)
            return
        name, wanted = edge.where
        self.block(f"if {value}.get({name!r}) == {wanted!r}:", lambda: self.node(edge.node, value))

    def existence(self, node: _Node, atom: Atom, number: int, value: str) -> None:
        definition = type_definition(node.kind)
        assert definition is not None
        keys = [key for key, _, _ in step_keys(definition, atom.path.steps[0], ())]
        found = " or ".join(f"{value}.get({key!r})" for key in keys)
        self.line(f"tokens(({number}, SPECIAL_VALUES, 'true' if {found} else 'false'))")

    def pair(self, node: _Node, atom: Atom, number: int, value: str) -> None:
        """Each first value with each second value of the same element."""
        assert atom.pair is not None
        one, two = self.name(), self.name()
        self.part(node.kind, Atom(atom.pair[1], atom.second), two, value)  # more often absent than the first
        self.block(f"if {two}:", lambda: self.joined(node.kind, atom, number, one, two, value))

    def joined(self, kind: str, atom: Atom, number: int, one: str, two: str, value: str) -> None:
        assert atom.pair is not None
        self.part(kind, Atom(atom.pair[0], "token"), one, value)
        sink = "token_pairs" if atom.second == "token" else "token_quantities"
        self.line(f"for a in {one}:")
        self.line(f"    for b in {two}:")
        self.line(f"        if a[2]: {sink}(({number}, a[1], a[2], *b[1:]))")

    def part(self, kind: str, atom: Atom, sink: str, value: str) -> None:
        """Gathers the rows of a component in a list of its own."""
        inner = _Text(self.namespace)
        inner.depth, inner.names = self.depth, self.names
        root = _Node(kind)
        _grow(root, atom, {"": 0})
        inner.node(root, value)
        self.names = inner.names
        gathered = "tokens(" if atom.kind == "token" else "quantities("
        self.line(f"{sink} = []")
        self.lines += [line.replace(gathered, f"{sink}.append(") for line in inner.lines]

    def take(self, type: str, kind: str, numbers: Numbers, element: Element | None, value: str) -> None:
        """The lines that make rows of a value; without an entry in TAKEN, values of the type can't be compared."""
        template = TAKEN.get((kind, type))
        if template is None:
            return
        fields = {"x": value, "v": self.name(), "w": self.name(), "system": repr(_implied_system(element))}
        for line in template.strip("\n").splitlines():
            self.line(self.numbered(line.format(**fields), numbers))

    def numbered(self, line: str, numbers: Numbers) -> str:
        """`#` stands for the atom's number, `#(expression)` for the number of the share the expression picks."""
        if "" in numbers:
            whole = str(numbers[""])
            return _PICK.sub(whole, line)
        shares = self.shares({k: n for k, n in numbers.items() if k != OTHER})
        rest = numbers.get(OTHER, -1)  # -1: no parameter looks at the others
        self.partial |= rest < 0
        return _PICK.sub(lambda m: f"{shares}.get({m[1]}, {rest})", line)


def _implied_system(element: Element | None) -> str:
    """The code system of a `code` element: that of its required value set, if there is one only."""
    if element is None or element.binding is None or element.binding[0] != "required":
        return ""
    systems = {system for system, _ in value_set(element.binding[1]) or ()}
    return systems.pop() if len(systems) == 1 else ""
