"""Conditions and templates of a flow: FHIRPath with the flow's roots and HL7 v2 locations; `{{ … }}` inside text.

https://hl7.org/fhirpath/N1/
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from typing import Any

from suture.engine.plan import Place
from suture.errors import Invalid, InvalidSyntax, Problems
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
_TEMPLATE = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_QUIET = re.compile(r"`(?:\\.|[^`\\])*`|'(?:\\.|[^'\\])*'|//[^\n]*|/\*.*?\*/", re.DOTALL)
_HEAD = re.compile(r"(?<![.\w%@$`-])([A-Za-z_]\w*)\b(?!\s*\(|-\d)")


FUNCTIONS = functions(Source())


@lru_cache(maxsize=4096)
def compiled(text: str, roots: tuple[str, ...] = ()) -> fhirpath.Expression:
    """The expression, compiled once; raises InvalidSyntax."""
    return fhirpath.compile(text, roots=(*ROOTS, *roots), locations=True, functions=FUNCTIONS)


def heads(text: str) -> list[str]:
    """The names that stand at the head of a path: roots, or elements of the current content."""
    return [name for name in _HEAD.findall(_QUIET.sub("''", text)) if name not in KEYWORDS]


@dataclass(slots=True)
class Scope:
    """What an expression at this place of the flow may name."""

    before: tuple[str, ...]  # steps already walked
    every: frozenset[str]  # all step ids of the flow
    problems: Problems

    def with_step(self, *ids: str) -> Scope:
        return Scope((*self.before, *ids), self.every, self.problems)

    def expression(self, text: str, at: Place) -> None:
        """Adds what is wrong with an expression."""
        try:
            compiled(text, self.before)
        except InvalidSyntax as error:
            self.problems.add(
                at,
                f"the expression cannot be read ({error.where}): {error.text}",
                error.mend or "It is FHIRPath; see docs/fhirpath.md.",
            )
            return
        for name in heads(text):
            self._head(name, at)

    def _head(self, name: str, at: Place) -> None:
        if name in self.every and name not in self.before:
            self.problems.add(
                at, f"'{name}' is a step that comes later", "Use a step that stands before this one, or move it up."
            )
        elif name not in self.before and name not in ROOTS:
            close = get_close_matches(name, [*self.before, *ROOTS], 1, 0.8)
            if close:
                self.problems.add(
                    at,
                    f"'{name}' is no step of this flow; it is read as an element",
                    f"Did you mean '{close[0]}'?",
                    "warning",
                )

    def template(self, text: str, at: Place) -> None:
        """Adds what is wrong with the expressions inside a text."""
        if text.count("{{") != text.count("}}"):
            self.problems.add(at, "a '{{' without its '}}'", "Write {{ expression }}.")
            return
        for inner in _TEMPLATE.findall(text):
            self.expression(inner.strip(), at)


def texts(value: Any) -> Iterator[str]:
    """Every text inside a value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from texts(item)
    elif isinstance(value, Sequence):
        for item in value:
            yield from texts(item)


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
    alone = _TEMPLATE.fullmatch(text.strip())
    if alone and "}}" not in alone[1]:
        return _single(alone[1].strip(), evaluate, place)
    return _TEMPLATE.sub(lambda found: written(_single(found[1].strip(), evaluate, place)), text)


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
