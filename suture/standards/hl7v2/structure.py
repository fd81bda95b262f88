"""The groups of a message (ORDER_OBSERVATION, INSURANCE …), tolerant of disorder and without losing a segment (HL7 v2.8.2 section 2.12)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from suture.standards.hl7v2 import tables
from suture.standards.hl7v2.message import Message, Segment

# A specimen's own observations come after the results; a sender that puts SPM first means results.
AFTER = {"SPECIMEN_OBSERVATION": "OBSERVATION"}


class Rule:
    """One row of a structure: a segment, or a group with rules of its own."""

    __slots__ = ("inside", "name", "ready", "repeats", "required", "rules", "starts")

    def __init__(self, name: str, count: str, rows: list[list[Any]] | None) -> None:
        self.name = name
        self.repeats = count in "*+"
        self.required = count in "1+"
        self.rules = [Rule(row[0], row[1], row[2] if len(row) > 2 else None) for row in rows or ()]
        self.starts: frozenset[str] = frozenset() if rows else frozenset([name])
        self.ready: dict[str, list[int]] = {}  # segment -> rows that are it or can begin with it
        self.inside: dict[str, list[int]] = {}  # segment -> groups that hold it somewhere
        for position, rule in enumerate(self.rules):
            self._add(position, rule)

    def _add(self, position: int, rule: Rule) -> None:
        for name in rule.starts:
            self.ready.setdefault(name, []).append(position)
        for name in {*rule.inside, *(r.name for r in rule.rules if not r.rules)}:
            self.inside.setdefault(name, []).append(position)
        if not any(r.required for r in self.rules[:position]):
            self.starts |= rule.starts


class Group:
    """A group of segments and groups in the order they came; the root is the whole message."""

    __slots__ = ("_cursor", "_rule", "items", "name")

    def __init__(self, rule: Rule) -> None:
        self.name = rule.name
        self.items: list[Segment | Group] = []
        self._rule = rule
        self._cursor = -1

    def segment(self, name: str) -> Segment | None:
        """The first segment of a name that stands directly in this group."""
        return next((i for i in self.items if isinstance(i, Segment) and i.name == name), None)

    def all(self, name: str) -> list[Segment]:
        """The segments of a name that stand directly in this group."""
        return [i for i in self.items if isinstance(i, Segment) and i.name == name]

    def group(self, name: str) -> Group | None:
        """The first group of a name directly in this one."""
        return next((i for i in self.items if isinstance(i, Group) and i.name == name), None)

    def groups(self, name: str) -> list[Group]:
        """The groups of a name directly in this one."""
        return [i for i in self.items if isinstance(i, Group) and i.name == name]

    def find(self, name: str) -> list[Segment]:
        """The segments of a name anywhere below."""
        return [segment for segment in self.walk() if segment.name == name]

    def find_groups(self, name: str) -> list[Group]:
        """The groups of a name anywhere below."""
        own = [i for i in self.items if isinstance(i, Group)]
        return [g for i in own for g in ([i] if i.name == name else []) + i.find_groups(name)]

    def walk(self) -> Iterator[Segment]:
        """Every segment below."""
        for item in self.items:
            if isinstance(item, Group):
                yield from item.walk()
            else:
                yield item

    def outline(self) -> list[Any]:
        """Names only, nested, as tests and people read it: `['OBR', ['OBSERVATION', 'OBX', 'NTE']]`."""
        return [[i.name, *i.outline()] if isinstance(i, Group) else i.name for i in self.items]

    def __repr__(self) -> str:
        return f"<Group {self.name} {len(self.items)} items>"


def name(message: Message) -> str:
    """The structure of a message: by its event (HL7 table 0354), else what MSH-9.3 states; empty when unknown."""
    for candidate in (tables.structure_of(message.type), message.structure, message.type.replace("^", "_")):
        if candidate and tables.structure(candidate):
            return candidate
    return ""


def groups(message: Message, structure: str = "") -> Group:
    """The message as a tree of groups; flat when its structure is unknown. Every segment is in it once."""
    root = Group(_grammar(structure or name(message)))
    stack = [root]
    for segment in message.segments:
        if not any(place(stack, segment) for place in PASSES):
            (stack[-1] if segment.name[0] == "Z" else root).items.append(segment)
    return root


@cache
def _grammar(structure: str) -> Rule:
    return Rule(structure, "1", tables.structure(structure))


def _forward(stack: list[Group], segment: Segment) -> bool:
    """Where the structure expects it next, innermost group first."""
    for depth in range(len(stack) - 1, -1, -1):
        group = stack[depth]
        for position in group._rule.ready.get(segment.name, ()):
            rule = group._rule.rules[position]
            if position > group._cursor or (position == group._cursor and rule.repeats):
                if _too_early(stack[: depth + 1], rule):
                    continue
                del stack[depth + 1 :]
                group._cursor = position
                _enter(stack, rule, segment)
                return True
    return False


def _too_early(stack: list[Group], rule: Rule) -> bool:
    first = AFTER.get(rule.name)
    return bool(first) and len(stack) > 1 and stack[-2].group(first or "") is None


def _backward(stack: list[Group], segment: Segment) -> bool:
    """Where the structure knows it, though not at this point; what is open stays open."""
    for depth in range(len(stack) - 1, -1, -1):
        group = stack[depth]
        for position in group._rule.ready.get(segment.name, ()):
            rule = group._rule.rules[position]
            if _too_early(stack[: depth + 1], rule):
                continue
            if rule.rules:
                del stack[depth + 1 :]
                group._cursor = position
                _enter(stack, rule, segment)
                return True
            if rule.repeats or depth == 0 or group.segment(segment.name) is None:
                group.items.append(segment)
                return True
    return False


def _within(stack: list[Group], segment: Segment) -> bool:
    """Inside a group that it cannot begin: the last one of its kind, or a new one."""
    for depth in range(len(stack) - 1, -1, -1):
        found = stack[depth]._rule.inside.get(segment.name)
        if found:
            rule = stack[depth]._rule.rules[found[0]]
            open_group = next((g for g in reversed(stack[depth].groups(rule.name))), None)
            del stack[depth + 1 :]
            if open_group is None:
                _enter(stack, rule, segment)
            else:
                stack.append(open_group)
                if not any(place([open_group], segment) for place in PASSES):
                    open_group.items.append(segment)
            return True
    return False


def _enter(stack: list[Group], rule: Rule, segment: Segment) -> None:
    """Appends a segment, opening the groups on the way to it."""
    if not rule.rules:
        stack[-1].items.append(segment)
        return
    group = Group(rule)
    stack[-1].items.append(group)
    stack.append(group)
    position = (rule.ready.get(segment.name) or rule.inside[segment.name])[0]
    group._cursor = position
    _enter(stack, rule.rules[position], segment)


PASSES: tuple[Callable[[list[Group], Segment], bool], ...] = (_forward, _backward, _within)
