"""YAML content that remembers file, line and column of everything, also after an overlay has changed it (https://yaml.org/spec/1.2.2/)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from suture import spelling, yaml
from suture.errors import InvalidFile, Problem


class Spot(NamedTuple):
    """A place in a file."""

    file: str
    line: int
    column: int


class Sheet(dict[str, Any]):
    """A YAML mapping: `spot` of itself, `keys_at` and `values_at` of what it holds."""

    def __init__(self, spot: Spot) -> None:
        super().__init__()
        self.spot = spot
        self.keys_at: dict[str, Spot] = {}
        self.values_at: dict[str, Spot] = {}

    def at(self, key: str) -> Spot:
        """Where the key stands; the mapping itself when it has no such key."""
        return self.keys_at.get(key, self.spot)

    def value_at(self, key: str) -> Spot:
        return self.values_at.get(key, self.spot)

    def put(self, key: str, value: Any, key_at: Spot, value_at: Spot) -> None:
        self[key] = value
        self.keys_at[key] = key_at
        self.values_at[key] = value_at

    def take(self, other: Sheet, key: str) -> None:
        """A key of another sheet with its places."""
        self.put(key, other[key], other.at(key), other.value_at(key))

    def copy(self) -> Sheet:
        made = Sheet(self.spot)
        for key in self:
            made.take(self, key)
        return made

    def drop(self, key: str) -> None:
        for table in (self, self.keys_at, self.values_at):
            table.pop(key, None)


class Items(list[Any]):
    """A YAML list with the places of its items."""

    def __init__(self, spot: Spot) -> None:
        super().__init__()
        self.spot = spot
        self.spots: list[Spot] = []

    def put(self, value: Any, spot: Spot, before: int | None = None) -> None:
        position = len(self) if before is None else before
        self.insert(position, value)
        self.spots.insert(position, spot)


@dataclass(slots=True)
class Findings:
    """Everything found in one map and what it extends."""

    found: list[Problem] = field(default_factory=list)

    def add(self, spot: Spot, text: str, mend: str = "", severity: str = "error") -> None:
        problem = Problem(spot.file, spot.line, spot.column, text, mend, severity)
        if problem not in self.found:
            self.found.append(problem)

    def warn(self, spot: Spot, text: str, mend: str = "") -> None:
        self.add(spot, text, mend, "warning")

    @property
    def errors(self) -> list[Problem]:
        return [problem for problem in self.found if problem.severity == "error"]

    def raise_if_any(self) -> None:
        if self.errors:
            raise InvalidFile(self.errors)


def load(text: str, file: str) -> Sheet:
    """The document, a mapping; raises InvalidFile."""
    document = yaml.load(text, file)
    if not isinstance(document, dict):
        raise InvalidFile([Problem(file, 1, 1, "a map file is a YAML mapping", "Begin with: suture: map/1")])
    _measure(document, file)
    return _sheet(document, file, 0)


DEEPEST = 60
MOST = 100_000  # keys and values of one file; aliases may make a small text very large


def _measure(document: Any, file: str) -> None:
    """Refuses a document that aliases blow up, before anything is copied."""
    todo, count = [(document, 0)], 0
    while todo:
        node, depth = todo.pop()
        count += 1
        inner = list(node.values()) if isinstance(node, dict) else node if isinstance(node, list) else ()
        if count > MOST or depth > DEEPEST or len(todo) + len(inner) > MOST:
            raise InvalidFile([Problem(file, 1, 1, "the file holds too much", "Split it into several maps.")])
        todo += [(item, depth + 1) for item in inner]


def _sheet(node: dict[Any, Any], file: str, depth: int) -> Sheet:
    sheet = Sheet(Spot(file, *yaml.at(node)))
    for key, value in node.items():
        key_at, value_at = Spot(file, *yaml.at(node, key)), Spot(file, *yaml.value_at(node, key))
        sheet.put(str(key), _value(value, file, depth + 1, value_at), key_at, value_at)
    return sheet


def _value(node: Any, file: str, depth: int, spot: Spot) -> Any:
    if depth > DEEPEST:
        raise InvalidFile([Problem(file, spot.line, spot.column, "nested too deeply", "Say it in fewer levels.")])
    if isinstance(node, dict):
        return _sheet(node, file, depth)
    if isinstance(node, list):
        items = Items(spot)
        for number, item in enumerate(node):
            at = Spot(file, *yaml.at(node, number))
            items.put(_value(item, file, depth + 1, at), at)
        return items
    return yaml.plain(node)


def plain(value: Any) -> Any:
    """The same as plain dicts and lists."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value


def nearest(name: str, names: Any, otherwise: str = "") -> str:
    """`Did you mean 'x'?`, or what is known."""
    known = [str(n) for n in names]
    close = spelling.nearest(name, known, 0.5)
    if not close and "/" in name:
        last = {n.rpartition("/")[2]: n for n in known}
        close = last.get(spelling.nearest(name.rpartition("/")[2], last, 0.5), "")
    if close:
        return f"Did you mean '{close}'?"
    return otherwise or (f"Known: {', '.join(sorted(known)[:30])}." if known else "")
