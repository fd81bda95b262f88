"""Tells from the trace of a run which target came from which source by which row, what was doubtful, what was left (W3C PROV in small, https://www.w3.org/TR/prov-overview/)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from suture.mapping import locations
from suture.mapping.generate_lines import Site
from suture.mapping.runtime import CLOSE, CONTAINED, OPEN, REOPEN, SHIFT, VOID
from suture.mapping.targets import Place

MASK = (1 << SHIFT) - 1


@dataclass(frozen=True, slots=True)
class Lineage:
    """`target` was written from `source` by `row` (map:row)."""

    target: str
    source: str
    row: str


@dataclass(frozen=True, slots=True)
class Warned:
    """Something to look at; holds no value."""

    where: str
    text: str
    row: str

    def __str__(self) -> str:
        return f"{self.where}: {self.text} ({self.row})"


@dataclass(slots=True)
class Level:
    """One map at work: where it writes, where it reads."""

    map: str  # whose rows may follow; * is any
    target: str
    source: str  # location its parts are relative to
    counts: dict[str, int]  # list -> items so far; shared by what writes into one resource
    labels: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class Told:
    """Findings of one resource until it is known which entry it became."""

    levels: list[Level]
    lineage: list[Lineage] = field(default_factory=list)
    warnings: list[Warned] = field(default_factory=list)
    loss: list[str] = field(default_factory=list)
    segment: str = ""
    known: dict[str, dict[str, int]] = field(
        default_factory=dict
    )  # map -> its labelled items, for references that come later


HERE = "\0"  # stands for the entry until its number is known


def tell(
    trace: Sequence[int], sites: Sequence[Site], prefix: str, doubts: Mapping[int, str] | None = None
) -> tuple[list[Lineage], list[Warned], list[str]]:
    """Lineage, warnings and parts that were lost."""
    stack = [Told([Level("*", prefix, "", {})])]
    counts: dict[int, dict[str, int]] = {}
    labels: dict[int, dict[str, dict[str, int]]] = {}
    for event in trace:
        if event >= 0:
            _event(stack[-1], sites[event >> SHIFT], event & MASK, doubts or {}, event >> SHIFT)
        elif event == OPEN:
            stack.append(Told([Level("*", HERE, _source(stack[-1]), {})], segment=stack[-1].segment))
        elif event == VOID:
            _void(stack)
        elif event <= REOPEN:
            number = REOPEN - event
            target = f"Bundle.entry[{number}].resource"
            stack.append(Told([Level("*", target, "", counts.setdefault(number, {}))], known=labels.get(number, {})))
        else:
            _close(stack, event, counts, labels)
    while len(stack) > 1:
        _merge(stack, "")
    return stack[0].lineage, stack[0].warnings, list(dict.fromkeys(stack[0].loss))


def _source(told: Told) -> str:
    return told.levels[-1].source


def _close(
    stack: list[Told], event: int, counts: dict[int, dict[str, int]], labels: dict[int, dict[str, dict[str, int]]]
) -> None:
    if len(stack) == 1:
        return
    if event == CONTAINED:
        _merge(stack, f"{stack[-2].levels[0].target}.contained")
    else:
        counts.setdefault(CLOSE - event, stack[-1].levels[0].counts)
        labels.setdefault(CLOSE - event, stack[-1].known)
        _merge(stack, f"Bundle.entry[{CLOSE - event}].resource")


def _void(stack: list[Told]) -> None:
    """Nothing came of the last call, or of the entry."""
    if len(stack[-1].levels) > 1:
        level = stack[-1].levels.pop()
        path = level.target
        if path.endswith("]"):
            holder, _, number = path.rpartition("[")
            if number[:-1].isdigit():
                stack[-1].levels[-1].counts[holder] = int(number[:-1])
    elif len(stack) > 1:
        _merge(stack, "")


def _merge(stack: list[Told], target: str) -> None:
    told = stack.pop()
    into = stack[-1]
    into.lineage += [
        Lineage(item.target.replace(HERE, target, 1), item.source, item.row) for item in told.lineage if target
    ]
    into.warnings += told.warnings
    into.loss += told.loss


def _event(told: Told, site: Site, number: int, doubts: Mapping[int, str], site_number: int) -> None:
    if site.kind == "feed":
        del told.levels[1:]
        nth = f"[{number}]" if number > 1 else ""
        told.segment = site.source + nth
        told.levels.append(Level(site.callee or "*", told.levels[0].target, "", told.levels[0].counts))
        told.known[site.callee] = told.levels[-1].labels
        return
    while len(told.levels) > 1 and told.levels[-1].map not in ("*", site.map):
        told.levels.pop()
    level = told.levels[-1]
    row = f"{site.map.partition('#')[0]}:{site.row}"
    if site.kind == "loss":
        told.loss.append(_located(site.source, level, told, 0))
        return
    if site.kind == "warning":
        text = doubts.get(site_number, "") if site.text == "DOUBT" else site.text
        told.warnings.append(Warned(_located(site.source, level, told, 0) or level.source, text, row))
        return
    if level is told.levels[0]:
        level.labels = told.known.setdefault(site.map, {})
    source = _located(site.source, level, told, number + 1 if site.each else 0)
    target = _target(site.target, level)
    if site.callee:
        told.levels.append(Level(site.callee, target, source, level.counts))
    else:
        told.lineage.append(Lineage(target, source, row))


def _located(source: str, level: Level, told: Told, repetition: int) -> str:
    """A location of the message for one that is relative to a repetition."""
    location = locations.read(source)
    if location is None:
        return f"{level.source}: {source}" if level.source and source else source or level.source
    if location.of_segment:
        name = told.segment if told.segment.partition("[")[0] == location.root else location.root
        nth = f"[{location.nth}]" if location.nth else ""
        number = location.repetition or (repetition if repetition > 1 else 0)
        again = f"[{number}]" if number else ""
        parts = "".join(f".{n}" for n in (location.component, location.subcomponent) if n)
        return f"{name}{nth}-{location.field}{again}{parts}"
    parts = "".join(f".{n}" for n in (location.component, location.subcomponent) if n)
    return f"{level.source}{parts}" if level.source else str(location)


def _target(places: tuple[Place, ...], level: Level) -> str:
    path = level.target
    for place in places:
        path = f"{path}.{place.key.removeprefix('_')}" if path else place.key
        if not place.many:
            continue
        if place.step.new:
            number = level.counts.get(path, 0)
            level.counts[path] = number + 1
        else:
            label = f"{path}[{place.step.label or place.step.url}"
            if label not in level.labels:
                level.labels[label] = level.counts.get(path, 0)
                level.counts[path] = level.labels[label] + 1
            number = level.labels[label]
        path = f"{path}[{number}]"
    return path
