"""Conditions and templates of a flow: FHIRPath with the flow's roots and HL7 v2 locations; `{{ … }}` inside text.

https://hl7.org/fhirpath/N1/
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from suture import yaml
from suture.engine.plan import Place
from suture.errors import Invalid
from suture.mapping.context import Source
from suture.mapping.engine import functions
from suture.standards.fhir import fhirpath

ROOTS = ("message", "original", "settings")
KEYWORDS = frozenset(
    [
        "and",
        "or",
        "xor",
        "implies",
        "div",
        "mod",
        "is",
        "as",
        "in",
        "contains",
        "true",
        "false",
        "year",
        "years",
        "month",
        "months",
        "week",
        "weeks",
        "day",
        "days",
        "hour",
        "hours",
        "minute",
        "minutes",
        "second",
        "seconds",
        "millisecond",
        "milliseconds",
    ]
)
TEMPLATE = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)


FUNCTIONS = functions(Source())


@lru_cache(maxsize=4096)
def compiled(text: str, roots: tuple[str, ...] = ()) -> fhirpath.Expression:
    """The expression, compiled once; raises InvalidSyntax."""
    return fhirpath.compile(text, roots=(*ROOTS, *roots), locations=True, functions=FUNCTIONS)


def texts(value: Any, at: Place) -> Iterator[tuple[str, Place]]:
    """Every text inside a value that stands at a place, with the place of each."""
    if isinstance(value, str):
        yield value, at
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from texts(item, yaml.value_at(value, key))
    elif isinstance(value, Sequence):
        for i, item in enumerate(value):
            yield from texts(item, yaml.at(value, i))


Evaluate = Callable[[str], list[Any]]


def render(value: Any, evaluate: Evaluate, place: str) -> Any:
    """The value with every template filled in; a text that is one template alone keeps the type of its value."""
    if isinstance(value, str):
        return _text(value, evaluate, place)
    if isinstance(value, Mapping):
        return {str(key): render(item, evaluate, f"{place}.{key}") for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [render(item, evaluate, f"{place}[{i}]") for i, item in enumerate(value)]
    return value


def _text(text: str, evaluate: Evaluate, place: str) -> Any:
    if "{{" not in text:
        return text
    alone = TEMPLATE.fullmatch(text.strip())
    if alone and "}}" not in alone[1]:
        return _single(alone[1].strip(), evaluate, place)
    return TEMPLATE.sub(lambda found: written(_single(found[1].strip(), evaluate, place)), text)


def _single(expression: str, evaluate: Evaluate, place: str) -> Any:
    found = evaluate(expression)
    if not found:
        raise Invalid(
            "a template gave no value",
            where=place,
            mend="Give it a default: {{ (path | 'default').first() }}.",
        )
    if len(found) > 1:
        raise Invalid(
            f"a template gave {len(found)} values",
            where=place,
            mend="Choose one with .first() or join them with .join(', ').",
        )
    return found[0]


def written(value: Any) -> str:
    """A value as it stands inside a text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict | list):
        raise Invalid(
            "a template inside a text gave a structure", mend="Name the element you want, such as .text or .value."
        )
    return str(value)
