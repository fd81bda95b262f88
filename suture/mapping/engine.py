"""Expressions that are not written as Python run in the FHIRPath engine, with locations and the registered functions (http://hl7.org/fhirpath/N1/)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from suture.errors import SutureError
from suture.mapping.context import Source
from suture.mapping.functions import REGISTRY, Doubt, Function, number_text
from suture.mapping.read_rows import ROOTS
from suture.mapping.runtime import Run
from suture.standards.fhir import fhirpath
from suture.standards.fhir.fhirpath import Environment, Expression

BUILT_IN = frozenset({"upper", "lower", "trim", "split", "first"})  # FHIRPath's own stay FHIRPath's
MOST_SOURCES = 64
NOBODY = Source()

Functions = Mapping[str, fhirpath.Function]
_known: dict[int, tuple[Source, Functions, dict[str, Expression]]] = {}


def _of(source: Source) -> tuple[Source, Functions, dict[str, Expression]]:
    """The registered functions as FHIRPath functions of one source, and the expressions it has met."""
    found = _known.get(id(source))
    if found is None or found[0] is not source:
        if len(_known) >= MOST_SOURCES:
            _known.clear()
        made = {f.name: _function(f, source) for f in REGISTRY.values() if f.name not in BUILT_IN}
        found = _known[id(source)] = (source, made, {})
    return found


def functions(source: Source) -> Functions:
    """The registered functions as FHIRPath functions of one source."""
    return _of(source)[1]


def _function(f: Function, source: Source) -> fhirpath.Function:
    def call(items: list[Any], *arguments: list[Any]) -> Any:
        given = [number_text(a[0]) if a else "" for a in arguments]
        made = [f.work(number_text(item), source, *given) for item in items if not isinstance(item, dict)]
        return [one.value if isinstance(one, Doubt) else one for one in made]

    return fhirpath.Function(call, f.least, f.most, f.help)


def expression(text: str, source: Source = NOBODY, type_: str = "") -> Expression:
    """The expression, ready to run for a source; raises InvalidSyntax naming the column."""
    _, registered, met = _of(source)
    found = met.get(text + type_)
    if found is None:
        found = fhirpath.compile(text, type=type_, locations=True, components=ROOTS, functions=registered)
        met[text + type_] = found
    return found


def _environment(run: Run, found: Mapping[str, list[str]]) -> Environment:
    source = run.context.source
    now = run.context.now
    return Environment(
        now=datetime.fromisoformat(now) if now else None,
        variables={"now": now, "source": source.id, "system": source.own, "root": run.root},
        locate=lambda text: found.get(text, []),
    )


def everything(run: Run, text: str, focus: Any, found: Mapping[str, list[str]]) -> list[Any]:
    """All values of an expression."""
    try:
        return expression(text, run.context.source).evaluate(focus, _environment(run, found))
    except SutureError as error:
        error.where = error.where or text[:80]
        raise


def first(run: Run, text: str, focus: Any, found: Mapping[str, list[str]]) -> Any:
    """The first value; None when there is none. What is no text becomes its text in a message."""
    items = everything(run, text, focus, found)
    if not items:
        return None if focus is not None else ""
    if focus is None and not isinstance(items[0], dict):
        return number_text(items[0])
    return items[0]


def holds(run: Run, text: str, focus: Any, found: Mapping[str, list[str]]) -> bool:
    """Whether a condition is true."""
    return expression(text, run.context.source).holds(focus, _environment(run, found))
