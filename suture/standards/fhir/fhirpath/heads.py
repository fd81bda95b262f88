"""The names that begin the paths of an expression: what it asks of its roots and of its focus.

http://hl7.org/fhirpath/N1/#path-selection
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import suture.standards.fhir.fhirpath.parser as parser
import suture.standards.fhir.fhirpath.tree as tree

_TYPED = frozenset({"ofType", "is", "as"})  # what they are given is a type


class Head(NamedTuple):
    """One name; `column` counts from 1, `inside` an argument the focus may be another one."""

    name: str
    column: int
    inside: bool


def heads(text: str, *, locations: bool = False) -> list[Head]:
    """The heads in their order, without those in backticks (elements for sure); raises InvalidSyntax."""
    found = _heads(parser.parse(text, locations=locations), False)
    return sorted((one for one in found if text[one.column - 1] != "`"), key=lambda one: one.column)


def _heads(node: tree.Syntax, inside: bool) -> Iterator[Head]:
    if isinstance(node, tree.Member) and node.source is None:
        yield Head(node.name, node.column, inside)
    source = node.source if isinstance(node, tree.Call) else None
    for part in node.parts():
        if part is source or not isinstance(node, tree.Call):
            yield from _heads(part, inside)
        elif node.name not in _TYPED:
            yield from _heads(part, True)
