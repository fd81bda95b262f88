"""A regular expression as an automaton that reads a text once, whatever the pattern (https://swtch.com/~rsc/regexp/regexp1.html)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

LARGEST: Final = 4_000  # states
_KEPT: Final = 2_000  # transitions that are remembered
_CLASS: Final = re.compile(r"\[\^?\]?(?:[^\]\\]|\\.)*\]", re.DOTALL)
_COUNT: Final = re.compile(r"\{(\d+)(?:(,)(\d*))?\}")
_ESCAPE: Final = re.compile(r"\\(?:x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|[^0-9bBAZGz])", re.DOTALL)


class Unsupported(Exception):
    """The pattern has something that no automaton can do: look-around, back references, word ends."""


@dataclass(frozen=True, slots=True)
class Node:
    """A piece of a pattern: a set of characters, an anchor, a sequence, a choice, or a repetition."""

    kind: str  # set | start | end | sequence | choice | repeat
    text: str = ""
    parts: tuple[Node, ...] = ()
    least: int = 1
    most: int | None = 1

    @property
    def repeats(self) -> bool:
        """Whether it may match again and again."""
        return self.kind == "repeat" and (self.most is None or self.most > 1)


class Reader:
    """Reads a pattern into nodes; raises Unsupported."""

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self.at = 0
        self.depth = 0

    def whole(self) -> Node:
        node = self.choice()
        if self.at < len(self.pattern):
            raise Unsupported
        return node

    def choice(self) -> Node:
        ways = [self.sequence()]
        while self.pattern[self.at : self.at + 1] == "|":
            self.at += 1
            ways.append(self.sequence())
        return ways[0] if len(ways) == 1 else Node("choice", parts=tuple(ways))

    def sequence(self) -> Node:
        parts: list[Node] = []
        while self.at < len(self.pattern) and self.pattern[self.at] not in "|)":
            parts.append(self.repeated(self.atom()))
        return Node("sequence", parts=tuple(parts))

    def atom(self) -> Node:
        letter = self.pattern[self.at]
        if letter == "(":
            return self.group()
        if letter in "^$":
            self.at += 1
            return Node("start" if letter == "^" else "end")
        if letter in "*+?{":
            raise Unsupported
        return self.characters(letter)

    def characters(self, letter: str) -> Node:
        shape = {"[": _CLASS, "\\": _ESCAPE}.get(letter)
        match = shape.match(self.pattern, self.at) if shape else None
        if shape and match is None:
            raise Unsupported
        text = match.group() if match else letter if letter == "." else re.escape(letter)
        self.at += len(match.group()) if match else 1
        return Node("set", text)

    def group(self) -> Node:
        self.at += 1
        self.depth += 1
        if self.pattern.startswith("?", self.at):
            if not self.pattern.startswith("?:", self.at):
                raise Unsupported
            self.at += 2
        inner = self.choice()
        if self.depth > 50 or self.pattern[self.at : self.at + 1] != ")":
            raise Unsupported
        self.at += 1
        self.depth -= 1
        return inner

    def repeated(self, node: Node) -> Node:
        letter = self.pattern[self.at : self.at + 1]
        count = _COUNT.match(self.pattern, self.at) if letter == "{" else None
        if letter == "{" and count is None:
            raise Unsupported
        if not letter or letter not in "*+?{":
            return node
        self.at += count.end() - count.start() if count else 1
        if self.pattern[self.at : self.at + 1] in ("?", "+"):
            self.at += 1  # lazy or possessive: the same texts, or a subset nobody should rely on
        least, most = _bounds(letter, count)
        return Node("repeat", parts=(node,), least=least, most=most)


def _bounds(letter: str, count: re.Match[str] | None) -> tuple[int, int | None]:
    if count is None:
        return {"*": (0, None), "+": (1, None), "?": (0, 1)}[letter]
    least = int(count[1])
    most = least if not count[2] else int(count[3]) if count[3] else None
    if max(least, most or 0) > LARGEST:
        raise Unsupported
    return least, most


def risky(node: Node, inside: bool = False) -> bool:
    """Whether a backtracking engine may need exponential time: a choice or repetition inside a repetition."""
    if inside and (node.kind == "choice" or (node.kind == "repeat" and node.least != node.most)):
        return True
    return any(risky(part, inside or node.repeats) for part in node.parts)


def open_ends(node: Node) -> int:
    """How many repetitions are without limit (or nearly so)."""
    own = node.kind == "repeat" and (node.most is None or node.most > 8)
    return own + sum(open_ends(part) for part in node.parts)


@dataclass(slots=True)
class Program:
    """States: each reads one character of a set, forks, or asserts a place."""

    sets: list[re.Pattern[str] | None] = field(default_factory=list)
    asserts: list[str] = field(default_factory=list)
    targets: list[list[int]] = field(default_factory=list)

    def state(self, text: str = "", place: str = "", flags: int = 0) -> int:
        if len(self.sets) >= LARGEST:
            raise Unsupported
        self.sets.append(re.compile(text, flags) if text else None)
        self.asserts.append(place)
        self.targets.append([])
        return len(self.sets) - 1


class Automaton:
    """Says whether a text holds the pattern (search) or is it (full), reading it once."""

    def __init__(self, node: Node, flags: int) -> None:
        self.program = Program()
        self.flags = flags
        self.first = self.program.state()
        self.last = self.program.state()
        self._build(node, self.first, self.last)
        self.moves: dict[tuple[frozenset[int], str], frozenset[int]] = {}
        self.opening = self._closure([self.first], start=True)
        self.later = self._closure([self.first], start=False)

    # --- building: from state `start` to state `end`

    def _build(self, node: Node, start: int, end: int) -> None:
        if node.kind == "set":
            self._link(start, self.program.state(node.text, flags=self.flags), end)
        elif node.kind in ("start", "end"):
            self._link(start, self.program.state(place=node.kind), end)
        elif node.kind == "choice":
            for part in node.parts:
                self._build(part, start, end)
        elif node.kind == "sequence":
            self._build_sequence(node.parts, start, end)
        else:
            self._build_repeat(node, start, end)

    def _link(self, start: int, middle: int, end: int) -> None:
        self.program.targets[start].append(middle)
        self.program.targets[middle].append(end)

    def _build_sequence(self, parts: Iterable[Node], start: int, end: int) -> None:
        for part in parts:
            after = self.program.state()
            self._build(part, start, after)
            start = after
        self.program.targets[start].append(end)

    def _build_repeat(self, node: Node, start: int, end: int) -> None:
        part = node.parts[0]
        for _ in range(node.least):
            after = self.program.state()
            self._build(part, start, after)
            start = after
        if node.most is None:
            loop = self.program.state()
            self.program.targets[start].append(loop)
            self._build(part, loop, loop)
            self.program.targets[loop].append(end)
            return
        for _ in range(node.most - node.least):
            after = self.program.state()
            self.program.targets[start].append(end)
            self._build(part, start, after)
            start = after
        self.program.targets[start].append(end)

    # --- running

    def _closure(self, states: Iterable[int], *, start: bool, end: bool = False) -> frozenset[int]:
        """All states reachable without reading; an assertion of the end waits until the end."""
        found: set[int] = set()
        todo = list(states)
        while todo:
            state = todo.pop()
            if state in found:
                continue
            found.add(state)
            place = self.program.asserts[state]
            if self.program.sets[state] is None and (
                not place or (place == "start" and start) or (place == "end" and end)
            ):
                todo += self.program.targets[state]
        return frozenset(found)

    def _move(self, states: frozenset[int], letter: str) -> frozenset[int]:
        sets, targets = self.program.sets, self.program.targets
        ahead = [t for s in states if (one := sets[s]) is not None and one.match(letter) for t in targets[s]]
        return self._closure(ahead, start=False)

    def _step(self, states: frozenset[int], letter: str) -> frozenset[int]:
        found = self.moves.get((states, letter))
        if found is None:
            found = self._move(states, letter)
            if len(self.moves) < _KEPT:
                self.moves[states, letter] = found
        return found

    def _ended(self, states: frozenset[int], empty: bool) -> bool:
        return self.last in self._closure(states, start=empty, end=True)

    def full(self, text: str) -> bool:
        """Whether the whole text is the pattern."""
        states = self.opening
        for letter in text:
            if not states:
                return False
            states = self._step(states, letter)
        return self._ended(states, not text)

    def search(self, text: str) -> bool:
        """Whether the pattern stands somewhere in the text."""
        states = self.opening
        for letter in text:
            if self.last in states:
                return True
            states = self._step(states, letter) | self.later
        return self._ended(states, not text)
