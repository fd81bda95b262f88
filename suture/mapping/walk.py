"""Walks the groups of a message, makes its entries and writes the references between them (docs/map-language.md, message maps)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from suture.mapping.runtime import CLOSE, OPEN, REOPEN, VOID, Run, Spec, identity
from suture.mapping.segments import fields
from suture.standards.hl7v2.structure import Group

Urls = dict[str, list[str]]
Fields = list[str]
Test = Callable[[Run, Fields], bool]
Held = dict[str, list[tuple[Fields, int]]]  # segment name -> its fields and its number in the message


@dataclass(slots=True)
class Fed:
    """A segment (or each of a name) and the map that writes it."""

    way: tuple[str, ...]
    name: str
    each: bool
    function: Callable[[Fields, Run, Callable[[int], None], dict[str, Any]], None] | None
    site: int
    when: Test | None = None
    where: Test | None = None


@dataclass(slots=True)
class Made:
    """An entry, ready to run."""

    id: str
    spec: Spec
    main: Fed | None
    also: list[Fed]
    when: Test | None = None
    rows: Callable[[Run, Callable[[int], None], dict[str, Any]], None] | None = None


@dataclass(slots=True)
class Stage:
    """A group, ready to run; the root is the message."""

    name: str
    when: Test | None = None
    entries: list[Made] = field(default_factory=list)
    stages: list[Stage] = field(default_factory=list)
    single: frozenset[str] = frozenset()  # groups below that stand at most once: what is in them is seen from here


NOWHERE: Fields = []


class Walker:
    """One walk through one message."""

    def __init__(self, run: Run, widths: Mapping[str, int]) -> None:
        self.run = run
        self.widths = widths
        self.segments: dict[str, list[Fields]] = {}
        run.segments = self.segments
        self.held: dict[int, tuple[Held, dict[str, list[Group]]]] = {}

    def read(self, group: Group) -> None:
        """Cuts every segment once, in the order of the message."""
        held: Held = {}
        groups: dict[str, list[Group]] = {}
        for item in group.items:
            if isinstance(item, Group):
                groups.setdefault(item.name, []).append(item)
                self.read(item)
            else:
                name = item.name
                cut = fields(item, self.widths.get(name, 0))
                held.setdefault(name, []).append((cut, item.number))
                self.segments.setdefault(name, []).append(cut)
        self.held[id(group)] = held, groups

    def walk(self, stage: Stage, group: Group, outside: Urls) -> Urls:
        """One pass of a group; gives the entries made in it and below."""
        run = self.run
        outer = run.scope
        scope = run.scope = {**outer, **self._seen(stage, group)}
        start = len(run.later)
        own: Urls = {}
        for made in stage.entries:
            if made.when is None or made.when(run, NOWHERE):
                self._entry(made, group, scope, own)
        below: Urls = {}
        groups = self.held[id(group)][1]
        for inner in stage.stages:
            seen = {**outside, **below, **own} if below else {**outside, **own}  # groups written before are seen, too
            for one in groups.get(inner.name, ()):
                run.scope = scope
                if inner.when is None or self._allowed(inner, one, scope):
                    for name, urls in self.walk(inner, one, seen).items():
                        below.setdefault(name, []).extend(urls)
        self._refer(start, own, outside, below)
        run.scope = outer
        for name, urls in own.items():
            below.setdefault(name, [])[:0] = urls
        return below

    def _allowed(self, stage: Stage, group: Group, scope: dict[str, Fields]) -> bool:
        self.run.scope = {**scope, **self._seen(stage, group)}
        return stage.when is None or stage.when(self.run, NOWHERE)

    def _seen(self, stage: Stage, group: Group) -> dict[str, Fields]:
        """The first segment of each name of a group, and of the groups in it that stand at most once."""
        held, groups = self.held[id(group)]
        seen = {name: found[0][0] for name, found in held.items()}
        for name in stage.single:
            for inner in groups.get(name, ())[:1]:
                for segment, found in self.held[id(inner)][0].items():
                    seen.setdefault(segment, found[0][0])
                for deeper in self.held[id(inner)][1].values():
                    for segment, found in self.held[id(deeper[0])][0].items():
                        seen.setdefault(segment, found[0][0])
        return seen

    def _found(self, fed: Fed, group: Group) -> list[tuple[Fields, int]]:
        if fed.way:
            return self._far(fed, group)
        found = self.held[id(group)][0].get(fed.name, [])
        return found if fed.each else found[:1]

    def _far(self, fed: Fed, group: Group) -> list[tuple[Fields, int]]:
        """Segments in groups below: of `each` those of every repetition, else the first."""
        groups = [group]
        for name in fed.way:
            groups = [inner for outer in groups for inner in self.held[id(outer)][1].get(name, ())]
        found = [one for inner in groups for one in self.held[id(inner)][0].get(fed.name, ())]
        return found if fed.each else found[:1]

    def _entry(self, made: Made, group: Group, scope: dict[str, Fields], own: Urls) -> None:
        if made.main is None:
            self._resource(made, group, scope, own, None, 0)
            return
        before = scope.get(made.main.name)
        for cut, number in self._found(made.main, group):
            scope[made.main.name] = cut
            if made.main.where is None or made.main.where(self.run, cut):
                self._resource(made, group, scope, own, cut, number)
        if before is not None:
            scope[made.main.name] = before

    def _resource(
        self, made: Made, group: Group, scope: dict[str, Fields], own: Urls, cut: Fields | None, number: int
    ) -> None:
        run = self.run
        t = run.trace.append
        o: dict[str, Any] = {"resourceType": made.spec.type}
        run.host, run.deletes = o, []
        start = len(run.later)
        t(OPEN)
        if cut is not None and made.main is not None:
            t(made.main.site | number)
            if made.main.function is not None:
                made.main.function(cut, run, t, o)
        for fed in made.also:
            self._also(fed, group, scope, o)
        if made.rows is not None:
            made.rows(run, t, o)
        if len(o) == 1 and made.spec.write != "delete":
            t(VOID)
            del run.later[start:]
            return
        found = identity(o, made.spec)
        if made.spec.numbered:
            found = run.number(o, made.spec, found)
        url = run.enter(o, made.spec, found, made.id)
        run.settle(url, made.spec, run.deletes)
        own.setdefault(made.id, []).append(url)

    def _also(self, fed: Fed, group: Group, scope: dict[str, Fields], o: dict[str, Any]) -> None:
        run = self.run
        if fed.when is not None and not fed.when(run, NOWHERE):
            return
        before = scope.get(fed.name)
        for cut, number in self._found(fed, group):
            scope[fed.name] = cut
            if fed.where is None or fed.where(run, cut):
                run.trace.append(fed.site | number)
                if fed.function is not None:
                    fed.function(cut, run, run.trace.append, o)
        if before is not None:
            scope[fed.name] = before

    def _refer(self, start: int, own: Urls, outside: Urls, below: Urls) -> None:
        run = self.run
        t = run.trace.append
        if start == len(run.later):
            return
        for name, event, write, holder, host, many, labels in run.later[start:]:
            urls = own.get(name) or outside.get(name) or below.get(name) or []
            number = run.places.get(id(host), -1)
            for url in dict.fromkeys(urls) if many else urls[:1]:
                t(REOPEN - number if number >= 0 else OPEN)
                t(event)
                write({"reference": url}, holder, labels)
                t(CLOSE - number if number >= 0 else VOID)
        del run.later[start:]
