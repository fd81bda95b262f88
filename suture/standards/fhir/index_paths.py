"""Reads the FHIRPath expressions of search parameters into branches of plain steps: https://hl7.org/fhir/R4/searchparameter.html

Search parameters of R4 need a small part of FHIRPath: paths, casts, `where(x='y')`, `where(resolve() is T)`, `extension('url')`, `[0]`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from suture.errors import InvalidSyntax

_SEGMENT = re.compile(
    r"(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?P<first>\[0\])?$"
    r"|(?:as|ofType)\((?P<cast>[A-Za-z.]+)\)$"
    r"|where\(resolve\(\) is (?P<resolve>[A-Za-z]+)\)$"
    r"|where\((?P<field>[A-Za-z]+)\s*=\s*'(?P<value>[^']*)'\)$"
    r"|extension\('(?P<extension>[^']*)'\)$"
)
_DECEASED = re.compile(r"(?P<path>[A-Za-z.]+)\.exists\(\) and (?P=path) != false")


@dataclass(frozen=True, slots=True)
class Step:
    """One element on the way; `where` keeps those whose field has a value, `first` the first one."""

    name: str
    where: tuple[str, str] | None = None
    first: bool = False

    def __str__(self) -> str:
        where = f"[{self.where[0]}={self.where[1]}]" if self.where else ""
        return self.name + where + ("[0]" if self.first else "")


@dataclass(frozen=True, slots=True)
class Path:
    """A way from a resource (or, in composites, from an element) to values."""

    steps: tuple[Step, ...]
    casts: tuple[str, ...] = ()  # types of the last element that count; empty: all
    resolves: str = ""  # only references to this type
    exists: bool = False  # is there a value other than false
    root: bool = False  # `%resource.`: from the resource, though the rest starts at an element

    def __str__(self) -> str:
        text = ".".join(map(str, self.steps))
        return text + (":" + "+".join(self.casts) if self.casts else "") + ("?" if self.exists else "")


def paths(expression: str, resource_type: str) -> tuple[Path, ...]:
    """The branches of an expression; branches that differ only in their cast are one."""
    found: dict[tuple[object, ...], Path] = {}
    for branch in expression.split(" | "):
        path = _path(branch.strip(), resource_type)
        key = (path.steps, path.resolves, path.exists, path.root, bool(path.casts))
        before = found.get(key)
        casts = tuple(sorted({*path.casts, *(before.casts if before else ())}))
        found[key] = replace(path, casts=casts)
    return tuple(found.values())


def _path(text: str, resource_type: str) -> Path:
    exists = _DECEASED.fullmatch(text)
    if exists:
        return replace(_path(exists["path"], resource_type), exists=True)
    path = Path(())
    for number, segment in enumerate(_segments(_without_as(text))):
        if number == 0 and segment in (resource_type, "Resource", "DomainResource"):
            continue
        path = replace(path, root=True) if segment == "%resource" else _with(path, segment, text)
    return path


def _without_as(text: str) -> str:
    """`(A.b as T).c` as `A.b.as(T).c`."""
    return re.sub(r"\(([A-Za-z.\[\]0]+) as ([A-Za-z]+)\)", r"\1.as(\2)", text)


def _segments(text: str) -> list[str]:
    """Split at dots that stand outside brackets and quotes."""
    return re.findall(r"(?:[^.('\[]|\((?:[^()']|'[^']*'|\([^()]*\))*\)|\[[^\]]*\])+", text)


def _with(path: Path, segment: str, text: str) -> Path:
    shape = _SEGMENT.match(segment)
    if shape is None:
        raise InvalidSyntax(f"a search parameter can't be indexed by '{text}'")
    if shape["name"]:
        return _stepped(path, Step(shape["name"], first=bool(shape["first"])))
    if shape["cast"]:
        kind = shape["cast"]
        return replace(path, casts=("dateTime" if kind == "DateTime" else kind,))
    if shape["resolve"]:
        return replace(path, resolves=shape["resolve"])
    if shape["extension"] is not None:
        return replace(path, steps=(*path.steps, Step("extension", ("url", shape["extension"]))))
    if not path.steps or path.steps[-1].where is not None:
        raise InvalidSyntax(f"a search parameter can't be indexed by '{text}'")
    last = replace(path.steps[-1], where=(shape["field"], shape["value"]))
    return replace(path, steps=(*path.steps[:-1], last))


def _stepped(path: Path, step: Step) -> Path:
    """One step further; a cast before it (`(value as CodeableConcept).text`) narrows the step it stands on."""
    if not path.casts:
        return replace(path, steps=(*path.steps, step))
    last = path.steps[-1]
    kind = path.casts[0]
    narrowed = replace(last, name=last.name + kind[0].upper() + kind[1:])  # the JSON key says the type
    return replace(path, steps=(*path.steps[:-1], narrowed, step), casts=())
